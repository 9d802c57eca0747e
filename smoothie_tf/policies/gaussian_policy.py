"""The Gaussian policy π(a|s) = N(μ_θ(s), Σ_φ(s)), with Σ = e^φ in supplement D.

Shapes: B batch, S state, A action.
"""

import tensorflow as tf
from tf_agents.networks import network
from tf_agents.policies import tf_policy
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from smoothie_tf import covariances, gaussian


class GaussianPolicy(tf_policy.TFPolicy):
    """Samples a ~ N(μ_θ(s), Σ_φ(s)).

    By default samples are not clipped to the action bounds: stored actions must have
    the Gaussian's density, and the environment clips them itself.
    """

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        mean_network: network.Network,
        covariance: covariances.Covariance,
        emit_log_probability: bool = False,
        clip: bool = False,
        name: str = "GaussianPolicy",
    ):
        """Builds the policy.

        Args:
          time_step_spec: Spec of the time steps.
          action_spec: Spec of the actions, shape [A].
          mean_network: μ_θ, from observations [B, S] to means [B, A].
          covariance: Σ_φ, the owner of φ.
          emit_log_probability: Whether each step's info holds log π(a|s), in nats, for
            agents that weight stored actions by their probability.
          clip: Whether samples are clipped to the action bounds.
          name: Name of the policy.
        """
        super().__init__(
            time_step_spec,
            action_spec,
            clip=clip,
            emit_log_probability=emit_log_probability,
            name=name,
        )
        self._mean_network = mean_network
        self._covariance = covariance
        # Tracked here: checkpoints and exports find φ by this name.
        self._log_variance = covariance.source

    def _variables(self):
        return [*self._mean_network.variables, *self._covariance.variables]

    def _distribution(self, time_step, policy_state):
        mean, _ = self._mean_network(time_step.observation, time_step.step_type)
        covariance = self._covariance.at(time_step.observation)
        return policy_step.PolicyStep(covariance.distribution(mean), policy_state, ())

    def _action(self, time_step, policy_state, seed):
        if not tf.is_tensor(seed):
            return super()._action(time_step, policy_state, seed)
        # A tensor is a stateless seed: the same seed gives the same action in graph
        # mode and under XLA.
        mean, _ = self._mean_network(time_step.observation, time_step.step_type)
        covariance = self._covariance.at(time_step.observation)
        noise = gaussian.stateless_normal(tf.shape(mean), seed, mean.dtype)
        action = covariance.perturb(mean, noise)
        info = ()
        if self.emit_log_probability:
            log_probability = covariance.distribution(mean).log_prob(action)
            info = policy_step.set_log_probability(info, log_probability)
        return policy_step.PolicyStep(action, policy_state, info)
