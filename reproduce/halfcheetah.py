"""What holds Smoothie back on HalfCheetah: one change at a time.

    python reproduce/halfcheetah.py                     # minutes: a few thousand steps
    python reproduce/halfcheetah.py --preset short      # 150,000 steps, three seeds

Runs that are done are not run again; those of Smoothie and DDPG are Figure 3's, which
goes on with them. `--plot_only` draws what there is.
"""

import sys

from smoothie_tf.experiments.command import figure_command
from smoothie_tf.experiments.halfcheetah import EQUAL, HALFCHEETAH

if __name__ == "__main__":
    sys.exit(figure_command(HALFCHEETAH, baseline=EQUAL.variant))
