"""What the paper has beside Algorithm 1, one piece at a time."""

from smoothie_tf.experiments.figures.continuous_control import SMOOTHIE
from smoothie_tf.experiments.figures.grids import Arm, Figure

_ABLATIONS = {
    "covariance-full": ("full Σ", ("covariance = 'full'",), "#009E73"),
    "covariance-state": (
        "Σ(s) diagonal",
        ("covariance = 'state_diagonal'",),
        "#56B4E9",
    ),
    "weights": (
        "weights 1/q ≤ 5",
        ("replay_weight_clipping = 5.0",),
        "#E69F00",
    ),
    "expected": ("(16) and (17)", ("evaluation = 'expected'",), "#CC79A7"),
    "derivatives": (
        "derivative errors, baseline",
        ("bellman_error_weights = (1.0, 0.1, 0.01)", "derivative_baseline = True"),
        "#D55E00",
    ),
}
ABLATIONS = Figure(
    title="Ablations",
    subject="the pieces of the paper beside Algorithm 1",
    arms=(
        SMOOTHIE,
        *(
            Arm(
                f"smoothie-{name}",
                "smoothie",
                label,
                tuple(f"SmoothieAgent.{binding}" for binding in bindings),
                colour,
            )
            for name, (label, bindings, colour) in _ABLATIONS.items()
        ),
        Arm(
            "smoothie-compatible",
            "smoothie",
            "compatible critic (22)",
            (
                "create_agent.critic_network = @CompatibleCriticNetwork",
                "SmoothieAgent.bellman_error_weights = (1.0, 0.1, 0.01)",
                "SmoothieAgent.derivative_baseline = True",
            ),
            "#000000",
        ),
    ),
    envs=("Hopper-v5",),
    tuned=False,
)
