"""Uniformly random actions until an agent's first training step.

TD3 and SAC start this way: the first actions in replay do not depend on the policy's
initial weights.

Shapes: B batch, A action.
"""

import tensorflow as tf
from tf_agents.policies import tf_policy
from tf_agents.trajectories import policy_step

from smoothie_tf import gaussian


class UniformStartPolicy(tf_policy.TFPolicy):
    """Acts uniformly within the bounds before training, then as the wrapped policy."""

    def __init__(
        self,
        wrapped_policy: tf_policy.TFPolicy,
        train_step_counter: tf.Variable,
        name: str = "UniformStartPolicy",
    ):
        """Builds the policy.

        Args:
          wrapped_policy: Policy after the first training step; its actions are bounded
            and it emits no info.
          train_step_counter: The agent's count of its training steps: at 0, actions
            are uniform.
          name: Name of the policy.
        """
        super().__init__(
            wrapped_policy.time_step_spec,
            wrapped_policy.action_spec,
            policy_state_spec=wrapped_policy.policy_state_spec,
            name=name,
        )
        self._wrapped_policy = wrapped_policy
        self._train_step_counter = train_step_counter

    @property
    def wrapped_policy(self) -> tf_policy.TFPolicy:
        """The policy that acts after the first training step."""
        return self._wrapped_policy

    def _variables(self):
        return self._wrapped_policy.variables()

    def _action(self, time_step, policy_state, seed):
        step = self._wrapped_policy.action(time_step, policy_state, seed)
        shape = tf.shape(step.action)
        # Both draws share a seed, but only one of them is used.
        if tf.is_tensor(seed):
            share = gaussian.stateless_uniform(shape, seed)
        else:
            share = tf.random.uniform(shape, seed=seed)
        spec = self.action_spec
        uniform = spec.minimum + (spec.maximum - spec.minimum) * share
        action = tf.where(self._train_step_counter > 0, step.action, uniform)
        return policy_step.PolicyStep(action, step.state, ())

    def _distribution(self, time_step, policy_state):
        raise NotImplementedError(
            "Before the first training step actions are uniform, and later those of the"
            " wrapped policy: there is no one distribution."
        )
