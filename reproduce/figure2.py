"""Figure 2: Smoothie leaves the worse mode of a one-step task, and DDPG stays there.

    python reproduce/figure2.py [--seeds 20] [--out_dir results/figure2]

This trains a single one of the runs, with all files of a run directory:

    python reproduce/train.py --agent smoothie --env smoothie_tf/TwoGaussians-v0 \
        --seed 0 --num_steps 4000 --run_dir runs/two-gaussians
"""

import sys

from smoothie_tf import program
from smoothie_tf.experiments.commands.theory import figure2_command

if __name__ == "__main__":
    sys.exit(program.run(figure2_command))
