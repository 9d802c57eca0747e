"""Figure 2 of the SVG paper: SVG and the planner on Hand, SVG and DPG on cart-pole.

    python reproduce/svg_figure2.py                 # minutes: a few thousand steps
    python reproduce/svg_figure2.py --preset svg    # five seeds at each panel's length
    python reproduce/svg_figure2.py --preset svg --envs smoothie_tf/CartpoleSwingup-v0

Finished runs are not repeated. `--plot_only` draws the existing runs.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import svg_figure2

if __name__ == "__main__":
    sys.exit(program.run(svg_figure2))
