"""Compares the paper's variants of Algorithm 1 with exact values and the default.

    python reproduce/ablations.py                  # linear-quadratic, two Gaussians
    python reproduce/ablations.py --plot_only
    python reproduce/ablations.py --hopper         # 7 variants, 100,000 steps, 3 seeds

The first command takes about twenty minutes on one core, the last about two hours on
two cores.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.ablations import ablations_command

if __name__ == "__main__":
    sys.exit(program.run(ablations_command))
