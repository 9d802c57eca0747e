"""Figure 4 of the SVG paper: SVG(1)-ER on tasks with contacts, and its behaviour.

    python reproduce/svg_figure4.py                 # minutes: a few thousand steps
    python reproduce/svg_figure4.py --preset svg    # five seeds at each panel's length
    python reproduce/svg_figure4.py --preset svg --envs smoothie_tf/FourTargetReacher-v0

Finished runs are not repeated. `--plot_only` draws the existing runs.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import svg_figure4

if __name__ == "__main__":
    sys.exit(program.run(svg_figure4))
