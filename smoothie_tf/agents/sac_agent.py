"""SAC with a learned temperature: a subclass of TF-Agents' agent with corrections.

Haarnoja et al. (2018), "Soft Actor-Critic Algorithms and Applications", as
`tf_agents.agents.sac.sac_agent` implements it, with these changes:

* the three draws of a training step are functions of a seed and of the step, and
  densities are those of the draw itself (see `squashed_gaussian_policy.draw`);
* `policy`, which is evaluated and exported, takes the mean action; TF-Agents' samples;
* the target entropy is −|A|, as in the paper; TF-Agents has half of it;
* pairs of steps across an episode's end have weight 0;
* exploration can be seeded, and is uniform before the first training step;
* optimizers are not converted to legacy ones, their slots are created at once, and the
  two critics' variables have a fixed order: see `td3_agent`;
* gradient clipping, if any, uses the critics' global norm only.

Its hyperparameters are bound in gin as `SacAgent.…`, on TF-Agents' class.

Shapes: B batch, S state, A action.
"""

from typing import Any, NamedTuple

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.sac import sac_agent
from tf_agents.distributions import utils as distribution_utils
from tf_agents.networks import network
from tf_agents.policies import greedy_policy, tf_policy
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from smoothie_tf import validation
from smoothie_tf.agents import parts, step_noise
from smoothie_tf.policies import squashed_gaussian_policy, uniform_start_policy

# The draws of a training step, in the order of its losses.
_CRITIC, _ACTOR, _TEMPERATURE = range(3)


class SacInfo(NamedTuple):
    """Metrics of one training step, each a scalar.

    Attributes:
      actor_loss: Mean of α·log π(a|s) − min Q(s, a).
      critic_loss: Half the squared Bellman errors of the two critics, summed.
      q: Mean min Q(s, a), of the scaled reward, a drawn from the policy.
      policy_stddev: Mean σ(s) of the Gaussian before the tanh: near the middle of the
        action range, the action's standard deviation in units of half the range.
      temperature_loss: Loss of the temperature α.
      temperature: α, in units of scaled reward per nat.
      entropy: Mean −log π(a|s), in nats.
    """

    actor_loss: tf.Tensor
    critic_loss: tf.Tensor
    q: tf.Tensor
    policy_stddev: tf.Tensor
    temperature_loss: tf.Tensor
    temperature: tf.Tensor
    entropy: tf.Tensor


class SacAgent(sac_agent.SacAgent):
    """TF-Agents' `SacAgent`, reproducible, with masked episode boundaries."""

    # Set by TF-Agents' class.
    _policy: tf_policy.TFPolicy

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        *,
        actor_network: network.Network,
        actor_optimizer: types.Optimizer,
        critic_optimizer: types.Optimizer,
        alpha_optimizer: types.Optimizer | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        """Creates the agent.

        Args:
          time_step_spec: Spec of the time steps, observations of shape [S].
          action_spec: Bounded float spec of the actions, shape [A].
          actor_network: From observations [B, S] to distributions of actions [B, A]:
            tanh-squashed Gaussians, as of `SquashedGaussianNetwork`.
          actor_optimizer: Optimizer of the actor's weights.
          critic_optimizer: Optimizer of the two critics' weights.
          alpha_optimizer: Optimizer of log α; None for a copy of the actor's, since
            the paper has one learning rate.
          seed: Seed of the draws in the training step. The draws of a step are
            functions of the seed and the step's number.
          **kwargs: Arguments of TF-Agents' `SacAgent`.

        Raises:
          ValueError: If a number is out of range, or the actor returns another
            distribution.
        """
        parts.check_action_spec("SacAgent", action_spec)
        if alpha_optimizer is None and hasattr(actor_optimizer, "from_config"):
            alpha_optimizer = type(actor_optimizer).from_config(
                actor_optimizer.get_config()
            )
        parts.check_optimizers(
            "SacAgent",
            actor_optimizer=actor_optimizer,
            critic_optimizer=critic_optimizer,
            alpha_optimizer=alpha_optimizer,
        )
        if not isinstance(actor_network, network.DistributionNetwork):
            raise ValueError(_wrong_actor(actor_network))
        super().__init__(
            time_step_spec,
            action_spec,
            actor_network=actor_network,
            actor_optimizer=actor_optimizer,
            critic_optimizer=critic_optimizer,
            alpha_optimizer=alpha_optimizer,
            actor_policy_ctor=squashed_gaussian_policy.SquashedGaussianPolicy,
            **kwargs,
        )
        self._check()
        self._noise = step_noise.StepNoise(seed, self.train_step_counter, 3)
        self._sampling_policy = self._policy
        self._policy = greedy_policy.GreedyPolicy(self._sampling_policy)
        self._collect_policy = uniform_start_policy.UniformStartPolicy(
            self._sampling_policy, self.train_step_counter
        )
        self.minibatches_per_train = 1
        self._critic_variables = [
            *self._critic_network_1.trainable_variables,
            *self._critic_network_2.trainable_variables,
        ]
        for optimizer, variables in (
            (self._actor_optimizer, self._actor_network.trainable_variables),
            (self._critic_optimizer, self._critic_variables),
            (self._alpha_optimizer, [self._log_alpha]),
        ):
            parts.build_optimizer(optimizer, variables)

    def _check(self):
        owner = "SacAgent"
        parts.check_common(owner, self)
        validation.check(
            owner, "count", target_update_period=self._target_update_period
        )
        validation.check(
            owner,
            "finite",
            initial_log_alpha=float(self._log_alpha),
            target_entropy=self._target_entropy,
        )
        state = tensor_spec.zero_spec_nest(self.time_step_spec.observation, [1])
        distribution, _ = self._actor_network(state)
        if not isinstance(distribution, distribution_utils.SquashToSpecNormal):
            raise ValueError(_wrong_actor(self._actor_network))

    def critic_loss(
        self, time_steps, actions, next_time_steps, *args, weights=None, **kwargs
    ) -> tf.Tensor:
        """TF-Agents' critic loss, over true transitions only; a scalar."""
        weights = parts.boundary_weights(time_steps, weights)
        self._draw = _CRITIC
        return super().critic_loss(
            time_steps, actions, next_time_steps, *args, weights=weights, **kwargs
        )

    def actor_loss(self, time_steps, weights=None, training=True) -> tf.Tensor:
        """TF-Agents' actor loss, over states in which the agent acted; a scalar."""
        weights = parts.boundary_weights(time_steps, weights)
        self._draw = _ACTOR
        loss = super().actor_loss(time_steps, weights, training)
        temperature = tf.exp(self._log_alpha)
        log_probability = tf.reduce_mean(weights * self._log_probability)
        # The loss is α·log π − min Q.
        self._seen = {
            "q": temperature * log_probability - loss,
            "policy_stddev": tf.reduce_mean(weights[:, tf.newaxis] * self._stddev),
            "temperature": temperature,
            "entropy": -log_probability,
        }
        return loss

    def alpha_loss(self, time_steps, weights=None, training=False) -> tf.Tensor:
        """TF-Agents' loss of log α, over the same states; a scalar."""
        weights = parts.boundary_weights(time_steps, weights)
        self._draw = _TEMPERATURE
        return super().alpha_loss(time_steps, weights, training)

    def _actions_and_log_probs(self, time_steps, training=False):
        policy = self._train_policy if training else self._sampling_policy
        distribution = policy.distribution(time_steps).action
        self._stddev = distribution.input_distribution.stddev()
        noise = self._noise(tf.shape(self._stddev), self._draw)
        action, self._log_probability = squashed_gaussian_policy.draw(
            distribution, noise
        )
        return action, self._log_probability

    def _get_default_target_entropy(self, action_spec):
        return -float(action_spec.shape.num_elements())

    def _convert_optimizer_to_legacy(self, optimizer):
        # TF-Agents would replace them by Keras's legacy optimizers, whose slots do not
        # exist before the first training step, so that a checkpoint cannot find them.
        return optimizer

    def _train(self, experience, weights=None):
        return self._with_info(super()._train(experience, weights))

    def _loss(self, experience, weights=None, training=False):
        return self._with_info(super()._loss(experience, weights, training))

    def _with_info(self, loss_info):
        extra, seen = loss_info.extra, self._seen
        # A tensor of a trace must not outlive it.
        self._seen = self._stddev = self._log_probability = None
        info = SacInfo(
            actor_loss=extra.actor_loss,
            critic_loss=extra.critic_loss,
            temperature_loss=extra.alpha_loss,
            **seen,
        )
        return tf_agent.LossInfo(loss_info.loss, info)

    def _apply_gradients(self, gradients, variables, optimizer):
        clipping = None
        if optimizer is self._critic_optimizer:
            clipping = self._gradient_clipping
            gradients, variables = parts.in_order(
                gradients, variables, self._critic_variables
            )
        step = self.train_step_counter if self._summarize_grads_and_vars else None
        parts.apply_gradients(optimizer, gradients, variables, clipping, step)


def _wrong_actor(actor_network):
    return (
        "SacAgent's actor_network must return tanh-squashed Gaussians, as"
        f" SquashedGaussianNetwork does, but is a {type(actor_network).__name__}."
    )
