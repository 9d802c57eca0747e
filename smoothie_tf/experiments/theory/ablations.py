"""The ablations: the paper's variants of Algorithm 1 beside the default.

These are short runs, compared with exact values where there are some. The comparison on
Hopper is a grid of runs, `figures.ablations`.
"""

from smoothie_tf.experiments.theory.ablation_escapes import ESCAPE
from smoothie_tf.experiments.theory.ablation_policies import POLICIES
from smoothie_tf.experiments.theory.ablation_values import VALUES

#: Folders in `--results_dir`: of the ablations, and of the runs on Hopper.
FOLDER = "ablations"
HOPPER_FOLDER = "ablations-hopper"

#: All, by name.
ABLATIONS = {each.name: each for each in (*VALUES, POLICIES, ESCAPE)}
