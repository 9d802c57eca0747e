"""Table 1: searches an agent's hyperparameters on one task.

    python reproduce/table1.py --agent smoothie --env Hopper-v5
    python reproduce/table1.py --agent ddpg --env Hopper-v5 --space first_block
    python reproduce/table1.py --agent ddpg --env Hopper-v5 --preset paper

The first command runs 10 trials with successive halving. The second begins with trials
chosen by hand. The third is the paper's search: 100 trials of 1,000,000 steps.

The best values are written to gin/tuned/<agent>/<env>.gin, and Figures 3 and 4 use
them.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.search_command import search_command

if __name__ == "__main__":
    sys.exit(program.run(search_command))
