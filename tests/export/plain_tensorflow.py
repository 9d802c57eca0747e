"""A machine with TensorFlow and nothing of ours: loads exports, writes what they say.

    python plain_tensorflow.py FOLDER

Each folder <name>/policy of FOLDER is loaded, and given the observations in
<name>/inputs.npz, flat arrays by the names of the signature's inputs; the answers go
to <name>/outputs.npz, the errors to <name>/errors.json.
"""

import json
import pathlib
import sys

REFUSED = ("smoothie_tf", "tf_agents", "tensorflow_probability", "gin", "gymnasium")


class Refuse:
    """Finds nothing, and lets nobody else find it."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"{name} is not installed here")


sys.meta_path.insert(0, Refuse())

import numpy as np  # noqa: E402  Only now is nothing of ours to be had.
import tensorflow as tf  # noqa: E402


def error_of(function):
    try:
        return f"no error: {function()}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def errors(policy, x):
    """What a policy of one observation array, x, says to input that is wrong."""
    signature = policy.signatures["serving_default"]

    def serve(array, dtype=tf.float32):
        return signature(observation=tf.constant(array, dtype))

    nan, infinite, large = (np.array(x[:2], np.float64) for _ in range(3))
    nan[1, 0], infinite[1, 0], large[1, 0] = np.nan, np.inf, 1e300
    wide = np.concatenate([x, x], axis=1)
    return {
        "nan": error_of(lambda: policy.action(nan)),
        "nan sample": error_of(lambda: policy.sample(nan, 1)),
        "nan parameters": error_of(lambda: policy.distribution_parameters(nan)),
        "nan served": error_of(lambda: serve(nan)),
        "infinite": error_of(lambda: policy.action(infinite)),
        "too large for float32": error_of(lambda: policy.action(large)),
        "narrow": error_of(lambda: policy.action(x[:, :-1])),
        "narrow served": error_of(lambda: serve(x[:, :-1])),
        "wide served": error_of(lambda: serve(wide)),
        "wide": error_of(lambda: policy.action(wide)),
        "no batch": error_of(lambda: policy.action(x[0])),
        "no batch sample": error_of(lambda: policy.sample(x[0], 3)),
        "narrow parameters": error_of(
            lambda: policy.distribution_parameters(x[:, :-1])
        ),
        "no batch served": error_of(lambda: serve(x[0])),
        "float64 served": error_of(lambda: serve(x, tf.float64)),
        "no seed": error_of(lambda: policy.sample(x)),
    }


def answers(policy, inputs):
    """What a policy says to the first 1 and to all of its inputs."""
    signatures = policy.signatures
    said = {}
    for number in (1, len(next(iter(inputs.values())))):
        batch = {name: tf.constant(x[:number]) for name, x in inputs.items()}
        for name in ("serving_default", "action"):
            said[f"{name} {number}"] = signatures[name](**batch)["action"]
        for seed in (3, 4):
            said[f"sample {number} seed {seed}"] = signatures["sample"](
                seed=tf.constant(seed, tf.int64), **batch
            )["action"]
        for name, value in signatures["distribution_parameters"](**batch).items():
            said[f"{name} {number}"] = value
        if list(inputs) == ["observation"]:
            x = inputs["observation"][:number]
            said[f"from float32 {number}"] = policy.action(x)
            said[f"from float64 {number}"] = policy.action(x.astype(np.float64))
            said[f"from float64 tensor {number}"] = policy.action(
                tf.constant(x, tf.float64)
            )
            whole = np.abs(np.round(x)).clip(max=1)
            for kind in ("float32", "float16", "int64", "int32", "uint8", "bool"):
                said[f"whole {kind} {number}"] = policy.action(whole.astype(kind))
            for i, seed in enumerate((3, np.int64(3), np.int32(3), np.uint32(3))):
                said[f"seed {i} {number}"] = policy.sample(x.astype(np.float64), seed)
    return {name: value.numpy() for name, value in said.items()}


def main():
    refused = {name: error_of(lambda n=name: __import__(n)) for name in REFUSED}
    assert all(v.startswith("ModuleNotFoundError") for v in refused.values()), refused
    for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        policy = tf.saved_model.load(str(folder / "policy"))
        inputs = dict(np.load(folder / "inputs.npz"))
        np.savez(folder / "outputs.npz", **answers(policy, inputs))
        if list(inputs) == ["observation"]:
            said = errors(policy, inputs["observation"])
            (folder / "errors.json").write_text(json.dumps(said))
    assert not any(name in sys.modules for name in REFUSED)


if __name__ == "__main__":
    main()
