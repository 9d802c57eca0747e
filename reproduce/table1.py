"""Table 1: random search over an agent's hyperparameters on one task.

    python reproduce/table1.py --agent smoothie --env Hopper-v5
    python reproduce/table1.py --agent ddpg --env Hopper-v5 --space first_block
    python reproduce/table1.py --agent ddpg --env Hopper-v5 --preset paper  # as theirs

The first trains 10 trials, halved on the way; the second begins with points given by
hand; the third is the paper's: 100 trials of 1,000,000 steps.

The best values go to gin/tuned/<agent>/<env>.gin, where Figures 3 and 4 find them.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.search_command import search_command

if __name__ == "__main__":
    sys.exit(program.run(search_command))
