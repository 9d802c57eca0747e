"""Trains SVG(1)-ER for 50,000 steps on each task of the SVG paper except Hand.

    python reproduce/svg_tasks.py                   # minutes: a few thousand steps
    python reproduce/svg_tasks.py --preset svg      # five seeds, 50,000 steps
    python reproduce/svg_tasks.py --preset svg --envs smoothie_tf/Gripper-v0 --seeds 3

Finished runs are not repeated; `svg_figure2.py` to `svg_figure4.py` can extend them.
`--plot_only` draws the existing runs.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import svg_tasks

if __name__ == "__main__":
    sys.exit(program.run(svg_tasks))
