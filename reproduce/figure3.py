"""Figure 3: Smoothie and DDPG on six continuous-control tasks.

    python reproduce/figure3.py                   # minutes: a few thousand steps
    python reproduce/figure3.py --preset short    # 300k steps; resumes where it stopped
    python reproduce/figure3.py --preset short --plot_only

Finished runs are not repeated. Figure 4 shares the runs of Smoothie.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import figure3

if __name__ == "__main__":
    sys.exit(program.run(figure3))
