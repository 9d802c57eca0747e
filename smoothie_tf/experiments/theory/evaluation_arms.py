"""The paper's ways to learn Q̃, each with the kind of replay that it learns from."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to learn Q̃ from one kind of replay.

    Attributes:
        name: Name in tables.
        label: Label in pictures.
        replay: Distribution of the stored actions: "on-policy"; "uniform" in a box
            around the policy's mean; or "inner", which is uniform too but gives weight
            0 to phantom actions near the edges of the box, because no actions are
            stored beyond the edges.
        arguments: Arguments of `smoothie_variants.VariantConfig`.
    """

    name: str
    label: str
    replay: str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)


_DERIVATIVES = {"bellman_error_weights": (1.0, 0.1, 0.01)}
_BASELINE = {**_DERIVATIVES, "derivative_baseline": True}
_AT_MEAN = {**_BASELINE, "mean_error_weights": (1.0, 0.1, 0.01)}
_EXPECTED = {"evaluation": "expected"}
#: All of them, in the order of tables.
ARMS = (
    Arm("inner", "(18), uniform", "inner"),
    Arm("uniform", "(18), uniform, with edges", "uniform"),
    Arm("on-policy", "(18), on-policy", "on-policy"),
    *(
        Arm(
            f"on-policy-weights-{clipping}",
            f"(18), on-policy, weights ≤ {clipping}",
            "on-policy",
            {"replay_weight_clipping": float(clipping)},
        )
        for clipping in (5, 50)
    ),
    Arm("uniform-expected", "(16), (17), uniform", "uniform", _EXPECTED),
    Arm("on-policy-expected", "(16), (17), on-policy", "on-policy", _EXPECTED),
    Arm("inner-derivatives", "derivatives, uniform", "inner", _DERIVATIVES),
    Arm("inner-baseline", "with baseline, uniform", "inner", _BASELINE),
    Arm("on-policy-derivatives", "derivatives, on-policy", "on-policy", _DERIVATIVES),
    Arm("on-policy-baseline", "with baseline, on-policy", "on-policy", _BASELINE),
    Arm("on-policy-mean", "... and at a = μ(s), on-policy", "on-policy", _AT_MEAN),
    Arm(
        "on-policy-mean-alone",
        "... at a = μ(s) alone, on-policy",
        "on-policy",
        {**_AT_MEAN, "bellman_error_weights": (0.0, 0.0, 0.0)},
    ),
)
