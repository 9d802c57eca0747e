"""Table 1: random search over an agent's hyperparameters on one task.

    python reproduce/table1.py --agent smoothie --env Hopper-v5 --num_trials 100
    python reproduce/table1.py --agent ddpg --env Hopper-v5 --num_trials 16
    python reproduce/table1.py --agent ddpg --env Hopper-v5 --no-halving  # as the paper

The best values go to gin/tuned/<agent>/<env>.gin, where Figures 3 and 4 find them.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.search_command import search_command

if __name__ == "__main__":
    sys.exit(program.run(search_command))
