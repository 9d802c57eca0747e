"""Counts which of four agents leave the worse mode of the two-Gaussians task.

    python reproduce/neighbours_escape.py [--seeds 20] [--out_dir DIR]

The agents are Smoothie, DDPG, Soft DDPG and SVG(0), each with a dense and with a
discretized reward.
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.theory import neighbours_escape_command

if __name__ == "__main__":
    sys.exit(program.run(neighbours_escape_command))
