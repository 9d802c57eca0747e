"""Ornstein-Uhlenbeck exploration that restarts with every episode.

TF-Agents' `OUNoisePolicy` keeps its process in a variable that is never reset. Here the
process is the policy's state, which drivers and loops pass from step to step and
`TFPolicy` resets at the beginning of each episode.

Shapes: B batch, A action.
"""

import tensorflow as tf
from tf_agents.policies import tf_policy
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import policy_step

from smoothie_tf import gaussian, validation


class OrnsteinUhlenbeckPolicy(tf_policy.TFPolicy):
    """Adds x ← (1 − damping)·x + N(0, stddev²) to a policy's action, and clips."""

    def __init__(
        self,
        wrapped_policy: tf_policy.TFPolicy,
        stddev: float,
        damping: float,
        name: str = "OrnsteinUhlenbeckPolicy",
    ):
        """Builds the policy.

        Args:
          wrapped_policy: A stateless policy; noise is added to its actions.
          stddev: Standard deviation of each step's increment, ≥ 0, in the action's
            units.
          damping: Share of the process that each step removes, in [0, 1].
          name: Name of the policy.

        Raises:
          ValueError: If one of the two is out of range.
        """
        owner = "OrnsteinUhlenbeckPolicy"
        validation.check(owner, "non-negative", stddev=stddev)
        validation.check(owner, "probability", damping=damping)
        super().__init__(
            wrapped_policy.time_step_spec,
            wrapped_policy.action_spec,
            policy_state_spec=tensor_spec.TensorSpec(
                wrapped_policy.action_spec.shape, tf.float32, name="noise"
            ),
            name=name,
        )
        self._wrapped_policy = wrapped_policy
        self._stddev = stddev
        self._damping = damping

    def _variables(self):
        return self._wrapped_policy.variables()

    def _action(self, time_step, policy_state, seed):
        if isinstance(policy_state, tuple):  # Drivers of Python pass arrays.
            raise ValueError(
                f"{self.name}.action needs the policy state of the step before, or"
                f" get_initial_state(batch_size), but got {policy_state!r}."
            )
        step = self._wrapped_policy.action(time_step)
        shape = tf.shape(step.action)
        if tf.is_tensor(seed):
            increment = gaussian.stateless_normal(shape, seed)
        else:
            increment = tf.random.normal(shape, seed=seed)
        noise = (1.0 - self._damping) * policy_state + self._stddev * increment
        return policy_step.PolicyStep(step.action + noise, noise, ())

    def _distribution(self, time_step, policy_state):
        raise NotImplementedError(
            "Actions of an Ornstein-Uhlenbeck process are not independent draws from"
            " a distribution."
        )
