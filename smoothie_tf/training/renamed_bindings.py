"""Bindings that have another name now, so that configurations of before still parse."""

import re

#: The name of today by the one of before.
RENAMED = {
    # The SVG family's limits importance weights, a ratio of policies; this one limits
    # the weights 1/q(ã|s) of (18).
    "SmoothieAgent.importance_weight_clipping": "SmoothieAgent.replay_weight_clipping",
}


def renamed(text: str) -> str:
    """Returns gin statements with the names of today.

    Args:
      text: Bindings, one or more.
    """
    for before, now in RENAMED.items():
        text = re.sub(rf"(?m)(?<!\w){re.escape(before)}(?=\s*=)", now, text)
    return text
