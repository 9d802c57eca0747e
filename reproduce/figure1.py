"""Figure 1: a reward, and the reward smoothed by the policy's Gaussian.

    python reproduce/figure1.py [--out_dir results/figure1]

Computes the smoothed reward in closed form and by quadrature, and fails if they differ.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.theory import figure1_command

if __name__ == "__main__":
    sys.exit(program.run(figure1_command))
