"""Exports the policy of a run as a SavedModel that needs only TensorFlow.

python reproduce/export.py --run_dir runs/hopper --out policy
"""

import sys

from smoothie_tf import program
from smoothie_tf.export.export_command import export_main

if __name__ == "__main__":
    sys.exit(program.run(export_main))
