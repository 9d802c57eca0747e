"""Trains variants that test why Smoothie is behind DDPG on some tasks.

    python reproduce/behind_ddpg.py                   # minutes: a few thousand steps
    python reproduce/behind_ddpg.py --preset short    # up to 200,000 steps, three seeds

Finished runs are not repeated. Figure 3 shares the runs of Smoothie and DDPG, and can
extend them. `--plot_only` draws the existing runs.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import behind_ddpg

if __name__ == "__main__":
    sys.exit(program.run(behind_ddpg))
