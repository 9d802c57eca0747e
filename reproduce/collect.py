"""Copies the records of runs to results/, from which the report is written.

python reproduce/collect.py [--runs_dir runs] [--presets short paper]
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.collect import collect_command

if __name__ == "__main__":
    sys.exit(program.run(collect_command))
