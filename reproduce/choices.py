"""Adds choices that the paper leaves open one after the other, for both agents.

    python reproduce/choices.py                   # minutes: a few thousand steps
    python reproduce/choices.py --preset short    # 150,000 steps, three seeds

Finished runs are not repeated. Figure 3 shares the first arm of each agent, and can
extend its runs. `--plot_only` draws the existing runs.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import choices

if __name__ == "__main__":
    sys.exit(program.run(choices))
