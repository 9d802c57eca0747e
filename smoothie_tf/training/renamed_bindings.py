"""Renamed and removed bindings, so that older configurations still parse."""

import re

#: Current names by former names.
RENAMED = {
    # In the SVG family the former name limits importance weights, a ratio of policies;
    # this one limits the weights 1/q(ã|s) of (18).
    "SmoothieAgent.importance_weight_clipping": "SmoothieAgent.replay_weight_clipping",
}


def renamed(text: str) -> str:
    """Returns gin statements with the current names.

    Args:
      text: One or more bindings.
    """
    for before, now in RENAMED.items():
        text = re.sub(rf"(?m)(?<!\w){re.escape(before)}(?=\s*=)", now, text)
    # Older records bind this parameter, which is no more; None had no effect.
    return re.sub(r"(?m)^DiscretizedReward\.width = None\n", "", text)
