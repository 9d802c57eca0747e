"""DDPG, Soft DDPG, SVG(0) and Smoothie, with dense and with discretized rewards.

    python reproduce/soft_ddpg.py                   # minutes: a few thousand steps
    python reproduce/soft_ddpg.py --preset short --envs InvertedPendulum-v5 Hopper-v5
    python reproduce/soft_ddpg.py --preset short --ablation    # the width of Soft DDPG

Runs that are done are not run again; those of Smoothie and DDPG are Figure 3's. The
two-Gaussians task, 20 seeds of each: `python reproduce/neighbours_escape.py`.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import soft_ddpg

if __name__ == "__main__":
    sys.exit(program.run(soft_ddpg))
