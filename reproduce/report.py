"""Writes results/README.md and its figures, from only the CSV files in results/.

python reproduce/report.py [--results_dir results]
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.report import report_command

if __name__ == "__main__":
    sys.exit(program.run(report_command))
