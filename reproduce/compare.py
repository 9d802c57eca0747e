"""Compares any arms on any tasks, given on the command line.

    python reproduce/compare.py --env Pendulum-v1 --arm smoothie \
        --arm 'wide: smoothie, SmoothieAgent.initial_log_variance = 0' --arm ddpg \
        --seeds 5 --num_steps 50000 --out_dir results/pendulum

Finished runs are not repeated. Differences are relative to the first arm.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.compare import compare_command

if __name__ == "__main__":
    sys.exit(program.run(compare_command))
