"""Smoothie: Gaussian policies learned from smoothed action values, in TF-Agents.

A reproduction of Nachum, Norouzi, Tucker and Schuurmans, *Smoothed Action Value
Functions for Learning Gaussian Policies* (ICML 2018).
"""

import os
import sys

__version__ = "0.1.0"

if not (3, 10) <= sys.version_info[:2] <= (3, 11):
    raise ImportError(
        "smoothie_tf needs Python 3.10 or 3.11 (TensorFlow 2.15 has no wheels for "
        f"others), but this is Python {sys.version.split()[0]}."
    )

# TensorFlow reads this once, when it is first imported. Without it every program
# opens with notices about CUDA factories on machines that have no GPU.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
