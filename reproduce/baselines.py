"""Compares Smoothie, searched and recommended, with DDPG, TD3 and SAC.

    python reproduce/baselines.py                   # minutes: a few thousand steps
    python reproduce/baselines.py --preset short    # 300,000 steps, three seeds

Finished runs are not repeated. Figure 3 shares the runs of Smoothie and DDPG.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import baselines

if __name__ == "__main__":
    sys.exit(program.run(baselines))
