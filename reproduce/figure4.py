"""Figure 4: Smoothie with and without the KL penalty on the four harder tasks.

    python reproduce/figure4.py                   # minutes: a few thousand steps
    python reproduce/figure4.py --preset short    # 300k steps; resumes where it stopped
    python reproduce/figure4.py --preset short --plot_only

Finished runs are not repeated. Figure 3 shares the runs with the penalty.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import figure4

if __name__ == "__main__":
    sys.exit(program.run(figure4))
