"""Measures Section 3: variance of the naive update, optima, fits, limit of DDPG.

python reproduce/section3.py [--seeds 20] [--out_dir results/section3]
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.theory import section3_command

if __name__ == "__main__":
    sys.exit(program.run(section3_command))
