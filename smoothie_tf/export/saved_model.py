"""Writes a policy as a SavedModel that needs only TensorFlow to run.

The SavedModel takes observations as the task returns them, and returns actions as the
task takes them: its graph includes flattening, one-hot encoding, clipping and the
conversion from the agent's units to the task's.

Shapes: B batch, S state, A action.
"""

import contextlib
import os
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from gymnasium import spaces
from tf_agents.distributions import utils as distribution_utils
from tf_agents.policies import greedy_policy, policy_saver, tf_policy
from tf_agents.trajectories import time_step as ts

from smoothie_tf import gaussian, quiet
from smoothie_tf.environments import checked_task
from smoothie_tf.policies import squashed_gaussian_policy
from smoothie_tf.training import files

#: A gymnasium observation, batched: an array, or a dict or tuple of them.
Observation = Any

# Dtypes of observations and of seeds.
_INTEGERS = (tf.int64, tf.int32, tf.int16, tf.int8, tf.uint8, tf.bool)
_NUMBERS = (tf.float64, tf.float32, tf.float16, *_INTEGERS)
_SEEDS = (tf.int64, tf.int32, tf.uint32)


class ExportError(ValueError):
    """A policy or a space that cannot be exported."""


class DeployedPolicy(tf.Module):
    """A policy from raw observations of its task to raw actions.

    Attributes:
      action: From observations to the mean action, in the task's units and within
        its bounds, shape [B, A].
      sample: From observations and an integer seed to a draw from the policy, in the
        task's units and within its bounds, shape [B, A]. The same seed gives the same
        draw.
      distribution_parameters: From observations to "mean" and "stddev" of the
        policy's Gaussian, in the task's units, before clipping, each of shape [B, A].
        A deterministic policy has standard deviation 0. For a Gaussian that is squashed
        by tanh, "mean" is the tanh of the Gaussian's mean, and "stddev" the Gaussian's
        standard deviation before the tanh.

    All three take NumPy arrays of any numeric dtype, nested as the observation space
    is. Tensors may have any numeric dtype if the space is a single array. In a dict or
    tuple, tensors must be float32, or have the integer dtype of their space.
    Observations of another shape, or with a NaN or infinity, raise
    `tf.errors.InvalidArgumentError`.
    """

    def __init__(
        self,
        policy: tf_policy.TFPolicy,
        observation_space: spaces.Space,
        action_space: spaces.Box,
    ):
        """Builds the functions.

        Args:
          policy: A stateless policy of flat float32 observations, shape [S], whose
            actions, shape [A], are Gaussian, Gaussian squashed by tanh, or
            deterministic. If it is a `GreedyPolicy`, `sample` draws from the policy
            that it wraps.
          observation_space: The task's observation space, which flattens to S numbers.
          action_space: The task's action space, shape [A]. The policy's bounds are
            mapped linearly to the bounds of this space.

        Raises:
          ExportError: If policy and spaces do not fit together.
        """
        super().__init__(name="policy")
        if isinstance(policy, greedy_policy.GreedyPolicy):
            policy = policy.wrapped_policy
        _check(policy, observation_space, action_space)
        # Only the weights are tracked: no other part of the policy is saved.
        self._weights = list(policy.variables())
        spec = policy.action_spec
        agent_low = np.broadcast_to(spec.minimum, spec.shape).astype(np.float64)
        agent_high = np.broadcast_to(spec.maximum, spec.shape).astype(np.float64)
        low, high = (
            x.astype(np.float64) for x in (action_space.low, action_space.high)
        )
        scale = (high - low) / (agent_high - agent_low)
        offset = low - scale * agent_low
        scale64, offset64 = scale, offset
        scale, offset = scale.astype(np.float32), offset.astype(np.float32)

        # A separate function, so that the SavedModel holds its graph once.
        @tf.function(
            input_signature=[tf.TensorSpec([None, _size(observation_space)])],
            autograph=False,
        )
        def parameters(flat):
            batch = tf.shape(flat)[:1]
            first = tf.fill(batch, ts.StepType.FIRST)
            time_step = ts.TimeStep(first, tf.zeros(batch), tf.ones(batch), flat)
            distribution = policy.distribution(time_step).action
            if isinstance(distribution, distribution_utils.SquashToSpecNormal):
                distribution = distribution.input_distribution
            mean, stddev = distribution.mean(), distribution.stddev()
            operator = getattr(distribution, "scale", None)
            correlated = isinstance(operator, tf.linalg.LinearOperatorLowerTriangular)
            # The Cholesky factor, if the covariance is not diagonal.
            factor = operator.to_dense() if correlated else ()
            return mean, tf.broadcast_to(stddev, tf.shape(mean)), factor

        squash, slope = _squashing(policy)

        def in_task(before, dtype=action_space.dtype):
            action = squash(before)
            clipped = tf.clip_by_value(action, spec.minimum, spec.maximum)
            if dtype == np.float64:  # As the task's adapter does.
                own = offset64 + scale64 * tf.cast(clipped, tf.float64)
            else:
                own = tf.cast(offset + scale * clipped, dtype)
            # Clips again, since rounding may exceed a bound.
            return tf.clip_by_value(own, *_bounds(action_space, dtype))

        def unchecked_action(observation):
            mean, *_ = parameters(_flatten(observation_space, observation))
            # TFLite clips only float32.
            return in_task(mean, np.dtype(np.float32))

        def action(observation):
            mean, *_ = parameters(_checked(observation_space, observation))
            return in_task(mean)

        def sample(observation, seed):
            mean, stddev, factor = parameters(_checked(observation_space, observation))
            noise = gaussian.stateless_normal(
                tf.shape(mean), tf.stack([tf.zeros_like(seed), seed])
            )
            if tf.is_tensor(factor):
                return in_task(mean + tf.linalg.matvec(factor, noise))
            return in_task(mean + stddev * noise)

        def distribution_parameters(observation):
            mean, stddev, _ = parameters(_checked(observation_space, observation))
            return {
                "mean": offset + scale * squash(mean),
                "stddev": scale * slope * stddev,
            }

        self._observation_space = observation_space
        # The signature accepts any shape, so that a wrong shape raises the same error
        # at run time as a NaN does.
        self._spec = _map(
            observation_space,
            lambda leaf, name: _leaf_spec(leaf, name, any_shape=True),
        )
        self.action = self._for_any_dtype(action)
        self.sample = self._for_any_dtype(sample, tf.TensorSpec([], tf.int64, "seed"))
        self.distribution_parameters = self._for_any_dtype(distribution_parameters)
        self._unchecked_action = tf.function(unchecked_action, autograph=False)

    def _for_any_dtype(self, function, *seed):
        """Returns a function that takes arrays of any numeric dtype.

        A `tf.function` with a signature casts arrays to the signature's dtype, but
        rejects tensors of another dtype. A restored function without a signature
        accepts all dtypes that were traced before saving. If the observation is a
        single array, `_trace` traces each of them.
        """
        of_one_dtype = tf.function(
            function, input_signature=[self._spec, *seed], autograph=False
        )
        if not isinstance(self._spec, tf.TensorSpec):
            return of_one_dtype
        dtype = self._spec.dtype

        def without_seed(observation):
            return of_one_dtype(tf.cast(observation, dtype))

        def with_seed(observation, seed):
            return of_one_dtype(tf.cast(observation, dtype), tf.cast(seed, tf.int64))

        return tf.function(with_seed if seed else without_seed, autograph=False)

    def _trace(self):
        """Traces the functions without a signature, for the SavedModel."""
        if not isinstance(self._spec, tf.TensorSpec):
            return
        own = self._spec.dtype
        others = _NUMBERS if own.is_floating else _INTEGERS
        for dtype in dict.fromkeys((own, *others)):
            spec = tf.TensorSpec(None, dtype, self._spec.name)
            self.action.get_concrete_function(spec)
            self.distribution_parameters.get_concrete_function(spec)
            for seed in _SEEDS:
                self.sample.get_concrete_function(spec, tf.TensorSpec([], seed, "seed"))

    def signatures(self) -> dict[str, Callable[..., Any]]:
        """Returns the SavedModel's signatures, and traces the Python functions.

        Signatures take float32 where the space has floats; the attributes also take
        other dtypes.
        """
        self._trace()
        seed = tf.TensorSpec([], tf.int64, "seed")
        spec = input_spec(self._observation_space)

        def action(observation):
            return {"action": self.action(observation)}

        def sample(observation, seed):
            return {"action": self.sample(observation, seed)}

        def traced(function, *extra):
            function = tf.function(function, autograph=False)
            return function.get_concrete_function(spec, *extra)

        return {
            "serving_default": traced(action),
            "action": traced(action),
            "sample": traced(sample, seed),
            "distribution_parameters": traced(self.distribution_parameters),
        }

    def tflite(self) -> bytes:
        """Returns `action` as a TFLite model, which does not check observations.

        The model returns float32 within the task's bounds, whatever the dtype of the
        action space. It takes float32 where the space has unsigned integers of more
        than 8 bits, which TFLite's interpreter does not take or cannot convert.
        """
        spec = tf.nest.map_structure(_for_tflite, input_spec(self._observation_space))
        concrete = self._unchecked_action.get_concrete_function(spec)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], self)
        with quiet.silent_unless_failing():
            return converter.convert()


def save(
    policy: tf_policy.TFPolicy,
    observation_space: spaces.Space,
    action_space: spaces.Box,
    directory: str | os.PathLike[str],
) -> DeployedPolicy:
    """Writes a policy as a SavedModel with plain signatures.

    Args:
      policy: A policy that `DeployedPolicy` accepts.
      observation_space: The task's observation space.
      action_space: The task's action space, shape [A].
      directory: The directory of the SavedModel.

    Returns:
      The saved policy.

    Raises:
      ExportError: If policy and spaces do not fit together.
    """
    deployed = DeployedPolicy(policy, observation_space, action_space)
    # Debug information would contain paths of this machine.
    options = tf.saved_model.SaveOptions(save_debug_info=False)
    signatures = deployed.signatures()
    with _writable(directory) as path:
        tf.saved_model.save(deployed, path, signatures, options)
    return deployed


def save_for_tf_agents(
    policy: tf_policy.TFPolicy,
    directory: str | os.PathLike[str],
    train_step: int,
) -> None:
    """Writes a policy in the format of TF-Agents: from a time step to a policy step.

    Args:
      policy: Any policy; it acts on flat observations in the agent's units.
      directory: The directory of the SavedModel; `SavedModelPyTFEagerPolicy` reads it.
      train_step: The number of training steps, which is saved with the policy.
    """
    step = tf.Variable(train_step, dtype=tf.int64, name="train_step")
    # TF-Agents warns, for instance, that Ornstein-Uhlenbeck noise has no distribution.
    with quiet.silent_unless_failing(), _writable(directory) as path:
        policy_saver.PolicySaver(policy, train_step=step).save(path)


@contextlib.contextmanager
def _writable(directory):
    """Makes a directory, and yields a path to it that TensorFlow accepts."""
    pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
    with files.literal(directory) as path:
        yield os.fspath(path)


def input_spec(space: spaces.Space) -> Observation:
    """Returns the specs of a batch of a space's observations.

    Args:
      space: The observation space.

    Returns:
      Specs of shape [B, …], nested as the space is, and named "observation", or
      "observation_<key>" within a dict or tuple.

    Raises:
      ExportError: If the space does not flatten to numbers.
    """
    return _map(space, lambda leaf, name: _leaf_spec(leaf, name))


def _for_tflite(spec):
    if spec.dtype in (tf.uint16, tf.uint32, tf.uint64):
        return tf.TensorSpec(spec.shape, tf.float32, spec.name)
    return spec


def batch(observations: Sequence[Observation]) -> Observation:
    """Stacks B observations into one batch, whose arrays have shape [B, …].

    Args:
      observations: Observations as the task returns them, nested or not.
    """
    return tf.nest.map_structure(lambda *leaves: np.stack(leaves), *observations)


def as_json(observation: Observation) -> Any:
    """Replaces an observation's arrays by lists of numbers, which JSON can hold.

    Args:
      observation: An observation as the task returns it, nested or not.
    """
    return tf.nest.map_structure(lambda leaf: np.asarray(leaf).tolist(), observation)


def _bounds(space, dtype):
    """Returns a space's bounds in a dtype, rounded into the space if necessary."""
    low, high = space.low.astype(dtype), space.high.astype(dtype)
    low = np.where(low < space.low, np.nextafter(low, dtype.type(np.inf)), low)
    high = np.where(high > space.high, np.nextafter(high, dtype.type(-np.inf)), high)
    return low, high


def _check(policy, observation_space, action_space):
    if tf.nest.flatten(policy.policy_state_spec):
        raise ExportError(
            f"The policy {policy.name} has a state, but only a stateless policy can be"
            " exported."
        )
    expected = policy.time_step_spec.observation.shape
    size = _size(observation_space)
    if tuple(expected) != (size,):
        raise ExportError(
            f"The policy takes observations of shape {tuple(expected)}, but the task's"
            f" observation space {observation_space} flattens to {size} numbers."
        )
    if tuple(policy.action_spec.shape) != action_space.shape:
        raise ExportError(
            f"The policy's actions have shape {tuple(policy.action_spec.shape)}, but"
            f" the task's actions have shape {action_space.shape}."
        )


def _squashing(policy):
    """Returns the function applied to a policy's Gaussian draw, and its slope at 0."""
    state = tf.zeros([1, *policy.time_step_spec.observation.shape])
    distribution = policy.distribution(ts.restart(state, 1)).action
    if not isinstance(distribution, distribution_utils.SquashToSpecNormal):
        return tf.identity, 1.0
    function = squashed_gaussian_policy.squash(distribution)
    return function.forward, distribution.action_magnitudes


def _map(space, function, name="observation", taken=None):
    """Returns `function(space, name)` of each leaf space, nested as the space is.

    A name has letters, digits and underscores only, as a signature needs, and differs
    from the others in more than upper and lower case.
    """
    taken = set() if taken is None else taken
    if isinstance(space, spaces.Dict):
        return {
            key: _map(inner, function, f"{name}_{key}", taken)
            for key, inner in space.spaces.items()
        }
    if isinstance(space, spaces.Tuple):
        return tuple(
            _map(inner, function, f"{name}_{i}", taken)
            for i, inner in enumerate(space.spaces)
        )
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    unique, number = plain, 1
    while unique.lower() in taken:
        number += 1
        unique = f"{plain}_{number}"
    taken.add(unique.lower())
    return function(space, unique)


def _leaf_spec(space, name, any_shape=False):
    if not isinstance(space, checked_task.LEAVES):
        raise ExportError(
            f"{name} is a {type(space).__name__}, but an exported policy can take only"
            " Box, Discrete, MultiBinary, MultiDiscrete, and Dict and Tuple of these."
        )
    dtype = tf.as_dtype(space.dtype)
    shape = None if any_shape else [None, *space.shape]
    return tf.TensorSpec(shape, tf.float32 if dtype.is_floating else dtype, name)


def _leaves(space, observation):
    """Returns the leaves as pairs (space, tensor), in the order of flattening."""
    if isinstance(space, spaces.Dict):
        pairs = [(inner, observation[key]) for key, inner in space.spaces.items()]
    elif isinstance(space, spaces.Tuple):
        pairs = list(zip(space.spaces, observation, strict=True))
    else:
        return [(space, observation)]
    return [leaf for pair in pairs for leaf in _leaves(*pair)]


def _size(space):
    total = 0
    for leaf, _ in _leaves(space, _map(space, lambda leaf, name: leaf)):
        total += spaces.flatdim(leaf)
    return total


def _flatten(space, observation):
    """Flattens a batch as `gymnasium.spaces.flatten` does: float32, shape [B, S]."""
    return tf.concat([_flat_leaf(*leaf) for leaf in _leaves(space, observation)], -1)


def _flat_leaf(space, x):
    flat = tf.reshape(x, [tf.shape(x)[0], int(np.prod(space.shape))])
    if not isinstance(space, checked_task.CATEGORIES):
        return tf.cast(flat, tf.float32)
    start, number = _categories(space)
    flat = tf.cast(flat, tf.int64)  # One-hot encoding does not take all integers.
    columns = [
        tf.one_hot(flat[:, i] - int(start[i]), int(number[i]))
        for i in range(len(number))
    ]
    return tf.concat(columns, -1)


def _categories(space):
    """Returns the first category and the number of categories of each element."""
    number = space.n if isinstance(space, spaces.Discrete) else space.nvec
    return np.ravel(space.start), np.ravel(number)


def _checked(space, observation):
    """Checks and flattens a batch; a failed check raises an error at run time."""
    checked = []
    names = _leaves(space, _map(space, lambda _, name: name))
    for (leaf, x), (_, name) in zip(_leaves(space, observation), names, strict=True):
        # The placeholder hides the static shape: a wrong one would otherwise raise
        # another error during tracing. Its name appears in the message.
        with tf.name_scope("given"):
            x = tf.compat.v1.placeholder_with_default(x, None, name)
        x = tf.ensure_shape(x, [None, *leaf.shape])
        checks = []
        if x.dtype.is_floating:
            # A number that is too large for float32 becomes infinite in the policy.
            finite = tf.reduce_all(tf.math.is_finite(tf.cast(x, tf.float32)))
            message = "An observation holds a NaN or an infinity."
            checks.append(tf.debugging.Assert(finite, [message]))
        if isinstance(leaf, checked_task.CATEGORIES):
            start, number = _categories(leaf)
            flat = tf.reshape(x, [tf.shape(x)[0], len(number)])
            known = tf.reduce_all((flat >= start) & (flat < start + number))
            message = "An observation holds a category that its space does not have."
            checks.append(tf.debugging.Assert(known, [message]))
        with tf.control_dependencies(checks):
            checked.append(_flat_leaf(leaf, tf.identity(x)))
    return tf.concat(checked, -1)
