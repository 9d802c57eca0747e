"""What the paper has beside Algorithm 1: against the truth, and against the default.

    python reproduce/ablations.py                  # linear-quadratic, two Gaussians
    python reproduce/ablations.py --plot_only
    python reproduce/ablations.py --hopper         # 7 variants, 100,000 steps, 3 seeds

The first is some twenty minutes on one core, the last some two hours on two.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.ablations import ablations_command

if __name__ == "__main__":
    sys.exit(program.run(ablations_command))
