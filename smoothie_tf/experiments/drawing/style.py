"""The style of all figures: fonts, sizes and colours, without a display.

`picture` makes the figures. No module here imports pyplot, so that the caller's backend
does not change, for example in a notebook. It imports Matplotlib only when it
draws, so that commands can check their flags first.
"""

import contextlib
import io
import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from smoothie_tf.training import files

if TYPE_CHECKING:
    import matplotlib.figure

# From the colour-blind safe set of Okabe and Ito.
SMOOTHIE = "#0072B2"
DDPG = "#D55E00"
SOFT_DDPG = "#009E73"
SVG0 = "#CC79A7"
#: Colours of agents and their variants in all figures.
COLOURS = {
    "smoothie": SMOOTHIE,
    "ddpg": DDPG,
    "soft_ddpg": SOFT_DDPG,
    "svg0": SVG0,
    "smoothie-no-kl": "#E69F00",
    "smoothie-no-kl-searched": "#56B4E9",
}
# As the paper draws Figure 1.
REWARD = "tab:green"
SMOOTHED_REWARD = "magenta"

PANEL_INCHES = (3.6, 2.7)
DOTS_PER_INCH = 200

STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "savefig.dpi": DOTS_PER_INCH,
}


def literal(text: str) -> str:
    """Returns a text of the user's for Matplotlib, without formulas between dollars."""
    # Bytes of a command line that Python did not decode, as in the locale C.
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.replace("$", r"\$")


@contextlib.contextmanager
def picture(
    path: str | os.PathLike[str], **kwargs: Any
) -> Iterator["matplotlib.figure.Figure"]:
    """Yields an empty figure, and writes it if the block ends without an error.

    Args:
        path: The picture to write.
        **kwargs: Arguments of `matplotlib.figure.Figure`, such as `figsize`.

    Yields:
        The figure. Inside the block, Matplotlib uses its defaults and `STYLE`, and
        ignores the user's matplotlibrc, which might for example require LaTeX.
    """
    from matplotlib import figure as matplotlib_figure
    from matplotlib import style
    from matplotlib.backends import backend_agg

    with style.context(["default", STYLE]):
        figure = matplotlib_figure.Figure(**kwargs)
        backend_agg.FigureCanvasAgg(figure)
        yield figure
        content = io.BytesIO()
        figure.savefig(content, format=pathlib.Path(path).suffix[1:])
    files.replace(path, content.getvalue(), lasts_power_cut=False)
