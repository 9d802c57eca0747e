"""Figure 3 of the SVG paper: swimmers of 3 and 5 links, and small models.

    python reproduce/svg_figure3.py                 # minutes: a few thousand steps
    python reproduce/svg_figure3.py --preset svg    # five seeds at each panel's length
    python reproduce/svg_figure3.py --preset svg --envs smoothie_tf/Swimmer3-v0

Finished runs are not repeated. `--plot_only` draws the existing runs.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import svg_figure3

if __name__ == "__main__":
    sys.exit(program.run(svg_figure3))
