"""Figure 1: a reward, and the same reward smoothed by the policy's Gaussian.

    python reproduce/figure1.py [--out_dir results/figure1]

Smooths in closed form and by quadrature, and stops if the two disagree.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.theory import figure1_command

if __name__ == "__main__":
    sys.exit(program.run(figure1_command))
