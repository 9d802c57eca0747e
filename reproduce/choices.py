"""Choices that the paper leaves open, added one after the other, for both agents.

    python reproduce/choices.py                   # minutes: a few thousand steps
    python reproduce/choices.py --preset short    # 150,000 steps, three seeds

Runs that are done are not run again; the first arm of each agent is Figure 3's, which
goes on with it. `--plot_only` draws what there is.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.figure_commands import choices

if __name__ == "__main__":
    sys.exit(program.run(choices))
