"""Compares DDPG, Soft DDPG, SVG(0) and Smoothie on dense and discretized rewards.

    python reproduce/soft_ddpg.py                   # minutes: a few thousand steps
    python reproduce/soft_ddpg.py --preset short --envs InvertedPendulum-v5 Hopper-v5
    python reproduce/soft_ddpg.py --preset short --ablation    # Soft DDPG's σ

Finished runs are not repeated. Figure 3 shares the runs of Smoothie and DDPG.
`python reproduce/neighbours_escape.py` compares the same agents on the two-Gaussians
task, with 20 seeds each.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import soft_ddpg

if __name__ == "__main__":
    sys.exit(program.run(soft_ddpg))
