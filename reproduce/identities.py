"""Verifies Theorem 1, the fixed point of (18) and the fast Hessians of D.1.

python reproduce/identities.py [--out_dir results/identities]
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.theory import identities_command

if __name__ == "__main__":
    sys.exit(program.run(identities_command))
