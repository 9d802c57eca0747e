"""Renders the model card of an exported policy from its policy.json."""

from typing import Any

from smoothie_tf import rounding

_LOAD = """```python
import tensorflow as tf

policy = tf.saved_model.load("{folder}")
observation = {observation}  # A batch as the task returns them.
action = policy.action(observation)  # The mean action in the task's units, {shape}.
action = policy.sample(observation, 7)  # A draw from the Gaussian; 7 is its seed.
policy.distribution_parameters(observation)  # "mean" and "stddev", {of_what}.
```"""
# What the parameters of the distribution are, where its actions are not only clipped.
_OF_WHAT = {"sac": "tanh of the Gaussian's mean; its σ before tanh"}
_SELECTED = {
    "last": "the last checkpoint",
    "best": "the best evaluation",
    "checkpoint": "the step given by --checkpoint",
}


_NAMES = {"ddpg": "DDPG", "sac": "SAC", "smoothie": "Smoothie", "td3": "TD3"}


def render(description: dict[str, Any], files: set[str], folder: str) -> str:
    """Returns a model card as Markdown.

    Args:
      description: The contents of policy.json.
      files: Names in the export's directory.
      folder: The directory's name.
    """
    environment, training = description["environment"], description["training"]
    agent = _NAMES.get(description["agent"], description["agent"])
    name = environment["id"]
    parts = [f"# {name}: a policy of {agent}"]
    if "policy.gif" in files:
        parts.append(f"![The first seconds of an episode of {name}](policy.gif)")
    parts.append(
        f"A policy for the task `{name}`, learned by {agent} of smoothie_tf (a"
        " reproduction of *Smoothed Action Value Functions for Learning Gaussian"
        " Policies*, Nachum et al., 2018) and exported as a TensorFlow SavedModel."
        " Observations go in as the task returns them, actions come out as it takes"
        " them, within its bounds. Running it takes TensorFlow and nothing else."
    )
    parts += ["## Load", _load(description, folder), _contents(files)]
    parts += ["## Returns", *_returns(description)]
    parts += ["## Training", *_training(agent, training)]
    parts += ["## Limits", _limits(description)]
    return "\n\n".join(parts) + "\n"


def _load(description, folder):
    shape = ", ".join(["B", *map(str, description["action"]["shape"])])
    return _LOAD.format(
        folder=folder,
        observation=_zeros(description["observation"]),
        shape=f"[{shape}]",
        of_what=_OF_WHAT.get(description["agent"], "before clipping"),
    )


def _zeros(space):
    """Returns a Python expression for a batch of one observation."""
    if space["type"] == "Dict":
        inner = [f'"{key}": {_zeros(each)}' for key, each in space["spaces"].items()]
        return "{" + ", ".join(inner) + "}"
    if space["type"] == "Tuple":
        return "(" + "".join(f"{_zeros(each)}, " for each in space["spaces"]) + ")"
    dtype = "float32" if "float" in space["dtype"] else space["dtype"]
    return f"tf.zeros({[1, *space['shape']]}, tf.{dtype})"


def _contents(files):
    known = {
        "policy.json": "spaces with their bounds, where it comes from, its returns, and"
        " pairs of observation and action to check an installation with",
        "policy.tflite": "the mean action as a float32 TFLite model, which checks"
        " nothing",
        "tf_agents": "`greedy` and `collect` as TF-Agents saves policies, for"
        " `SavedModelPyTFEagerPolicy`: flat observations, actions in the agent's units",
        "operative_config.gin": "every hyperparameter of the run",
    }
    lines = [f"- `{name}`: {what}." for name, what in known.items() if name in files]
    return "\n".join(["Beside it:", "", *lines])


def _returns(description):
    training = description["training"]
    evaluation = training["evaluation"]
    if evaluation is None:
        parts = [f"The run was not evaluated at step {training['step']:,}."]
    else:
        mean, std = rounding.beside(
            evaluation["return_mean"], evaluation["return_std"], least=1
        )
        parts = [
            f"During training, at step {training['step']:,}: {mean} ± {std} (mean"
            f" action, undiscounted, ± the standard deviation over the"
            f" {evaluation['episodes']} episodes)."
        ]
    if training["selected"] == "best":
        parts.append(
            f"This step was chosen as the best of {training['num_evaluations']}"
            " evaluations, so its mean return is biased upwards. An evaluation with"
            " other seeds is not."
        )
    if not description["evaluations"]:
        parts.append("The export has not been evaluated since.")
    for each in description["evaluations"]:
        parts.append(f"```\n$ {each['command']}\n{each['output']}\n```")
    return parts


def _training(agent, training):
    rows = [
        ("algorithm", agent),
        ("environment steps", f"{training['step']:,} of {training['num_steps']:,}"),
        ("chosen as", _SELECTED[training["selected"]]),
        ("seed", training["seed"]),
        ("commit", training["commit"] or _version(training)),
        ("versions", ", ".join(f"{k} {v}" for k, v in training["versions"].items())),
    ]
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    return ["\n".join(table), f"```\n{training['command']}\n```"]


def _limits(description):
    environment = description["environment"]
    simulator = environment["versions"].get("mujoco")
    on = f" on MuJoCo {simulator}" if simulator else ""
    bound = environment.get("bindings", {}).items()
    bound = ", ".join(f"`{name} = {value}`" for name, value in bound)
    sentences = [
        f"It is known to work in `{environment['id']}`{bound and f' with {bound}'},"
        f" with Gymnasium {environment['versions']['gymnasium']}{on}, and nowhere"
        " else.",
        "An observation of another shape, or with a NaN or an infinity in it, is an"
        " error and not an action.",
    ]
    if description["deterministic"]:
        sentences.append(
            "The policy is deterministic: `sample` returns the mean action, and"
            " `stddev` is 0."
        )
    return " ".join(sentences)


def _version(training):
    """Returns the version to show if the package was installed without a commit."""
    version = training["versions"].get("smoothie_tf")
    return f"none: version {version}" if version else "unknown"
