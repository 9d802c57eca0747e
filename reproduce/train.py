"""Trains one agent on one task.

python reproduce/train.py --agent smoothie --env Hopper-v5 --run_dir runs/hopper
"""

import sys

from smoothie_tf import program
from smoothie_tf.training.main import main

if __name__ == "__main__":
    sys.exit(program.run(main))
