"""How figures look: drawn without a display, in one set of fonts, sizes and colours."""

import matplotlib

matplotlib.use("Agg")

# From the colour-blind safe set of Okabe and Ito.
SMOOTHIE = "#0072B2"
DDPG = "#D55E00"
SOFT_DDPG = "#009E73"
SVG0 = "#CC79A7"
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


def sequence(count: int) -> list:
    """Returns so many colours of one order, from light to dark."""
    places = [0.85 - 0.85 * place / max(1, count - 1) for place in range(count)]
    return [matplotlib.colormaps["viridis"](place) for place in places]
