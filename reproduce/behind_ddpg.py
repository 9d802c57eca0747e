"""Variants that test why Smoothie is behind DDPG on some tasks.

    python reproduce/behind_ddpg.py                   # minutes: a few thousand steps
    python reproduce/behind_ddpg.py --preset short    # up to 200,000 steps, three seeds

Runs that are done are not run again; those of Smoothie and DDPG are Figure 3's, which
goes on with them. `--plot_only` draws what there is.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import behind_ddpg

if __name__ == "__main__":
    sys.exit(program.run(behind_ddpg))
