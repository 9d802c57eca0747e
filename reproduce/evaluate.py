"""Runs an exported policy and prints its mean return.

python reproduce/evaluate.py --policy policy --env Hopper-v5 --episodes 20
"""

import sys

from smoothie_tf import program
from smoothie_tf.export.export_command import evaluate_main

if __name__ == "__main__":
    sys.exit(program.run(evaluate_main))
