"""TD3: a subclass of TF-Agents' agent with corrections.

Fujimoto et al. (2018), "Addressing Function Approximation Error in Actor-Critic
Methods", as `tf_agents.agents.td3.td3_agent` implements it, with these changes:

* the noise of the target action is a function of a seed and of the training step, and
  the noisy action is clipped to the bounds, as in the authors' code: the critics are
  not trained on actions beyond them;
* targets are updated only in steps that update the actor (Algorithm 1):
  `target_update_period` is a multiple of `actor_update_period`;
* pairs of steps across an episode's end have weight 0;
* exploration can be seeded, and is uniform before the first training step;
* the two critics' variables have a fixed order, where TF-Agents orders them by memory
  address: otherwise a resumed run would assign an optimizer's slots to other variables;
* gradient clipping, if any, uses the critics' global norm only.

Its hyperparameters are bound in gin as `Td3Agent.…`, on TF-Agents' class.

Shapes: B batch, S state, A action.
"""

from typing import Any, NamedTuple

import gin
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.td3 import td3_agent
from tf_agents.networks import network
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from smoothie_tf import validation
from smoothie_tf.agents import parts, step_noise
from smoothie_tf.policies import ornstein_uhlenbeck_policy, uniform_start_policy

#: For `Td3Agent.td_errors_loss_fn`: the paper's loss; TF-Agents' default is Huber.
squared_difference = gin.external_configurable(
    tf.math.squared_difference, "squared_difference", module="smoothie_tf"
)


class Td3Info(NamedTuple):
    """Metrics of one training step, each a scalar.

    Attributes:
      actor_loss: −Q₁(s, μ(s)), also in steps that do not update the actor.
      critic_loss: Loss of the two critics' Bellman errors, summed.
      q: Mean Q₁(s, μ(s)), of the scaled reward.
      policy_stddev: Standard deviation of the exploration noise.
    """

    actor_loss: tf.Tensor
    critic_loss: tf.Tensor
    q: tf.Tensor
    policy_stddev: tf.Tensor


class _SmoothedTargetNetwork(network.Network):
    """A target actor that adds clipped noise and clips its actions to the bounds."""

    def __init__(self, target, action_spec, noise, stddev, clip):
        super().__init__(target.input_tensor_spec, (), "SmoothedTargetActorNetwork")
        self._target = target
        self._bounds = action_spec.minimum, action_spec.maximum
        self._noise, self._stddev, self._clip = noise, stddev, clip

    def call(self, observation, step_type=(), network_state=(), training=False):
        action, _ = self._target(observation, step_type, training=training)
        noise = self._stddev * self._noise(tf.shape(action))
        noise = tf.clip_by_value(noise, -self._clip, self._clip)
        return tf.clip_by_value(action + noise, *self._bounds), network_state


class Td3Agent(td3_agent.Td3Agent):
    """TF-Agents' `Td3Agent`, reproducible, with masked episode boundaries."""

    # Set by TF-Agents' class.
    _target_actor_network: network.Network
    _target_policy_noise: float

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        *,
        seed: int | None = None,
        **kwargs: Any,
    ):
        """Creates the agent.

        Args:
          time_step_spec: Spec of the time steps, observations of shape [S].
          action_spec: Bounded float spec of the actions, shape [A].
          seed: Seed of the target actions' noise. The noise of a training step is a
            function of the seed and the step's number.
          **kwargs: Arguments of TF-Agents' `Td3Agent`.

        Raises:
          ValueError: If a number is out of range.
        """
        owner = "Td3Agent"
        parts.check_action_spec(owner, action_spec)
        optimizers = ("actor_optimizer", "critic_optimizer")
        parts.check_optimizers(owner, **{name: kwargs.get(name) for name in optimizers})
        super().__init__(time_step_spec, action_spec, **kwargs)
        parts.check_common(owner, self)
        validation.check(
            owner,
            "count",
            target_update_period=self._target_update_period,
            actor_update_period=self._actor_update_period,
        )
        if self._target_update_period % self._actor_update_period:
            raise ValueError(
                f"{owner}.target_update_period must be a multiple of"
                f" actor_update_period, {self._actor_update_period}, but is"
                f" {self._target_update_period}."
            )
        validation.check(
            owner,
            "non-negative",
            exploration_noise_std=self._exploration_noise_std,
            target_policy_noise=self._target_policy_noise,
            target_policy_noise_clip=self._target_policy_noise_clip,
        )
        self._noise = step_noise.StepNoise(seed, self.train_step_counter)
        self._target_actor_network = _SmoothedTargetNetwork(
            self._target_actor_network,
            action_spec,
            # A function, which a network does not track: the target has the actor's
            # variables and no others.
            lambda shape: self._noise(shape),
            self._target_policy_noise,
            self._target_policy_noise_clip,
        )
        self._target_actor_network.create_variables()
        # The actor is updated in the steps whose number is a multiple of its period.
        # This counter makes the targets do the same.
        counter = self._update_target._counter
        step = tf.cast(self.train_step_counter, counter.dtype)
        counter.assign((step - 1) % self._target_update_period)
        # Otherwise TF-Agents would add its own noise to the network's output.
        self._target_policy_noise = 0.0
        # With damping 1 the process is white noise.
        exploration = ornstein_uhlenbeck_policy.OrnsteinUhlenbeckPolicy(
            self.policy, self._exploration_noise_std, damping=1.0
        )
        self._collect_policy = uniform_start_policy.UniformStartPolicy(
            exploration, self.train_step_counter
        )
        self.minibatches_per_train = 1
        self._critic_variables = [
            *self._critic_network_1.trainable_variables,
            *self._critic_network_2.trainable_variables,
        ]
        for optimizer, variables in (
            (self._actor_optimizer, self._actor_network.trainable_variables),
            (self._critic_optimizer, self._critic_variables),
        ):
            parts.build_optimizer(optimizer, variables)

    def critic_loss(
        self, time_steps, actions, next_time_steps, weights=None, training=False
    ) -> tf.Tensor:
        """TF-Agents' critic loss, over true transitions only; a scalar."""
        weights = parts.boundary_weights(time_steps, weights)
        return super().critic_loss(
            time_steps, actions, next_time_steps, weights, training
        )

    def actor_loss(self, time_steps, weights=None, training=False) -> tf.Tensor:
        """TF-Agents' actor loss, over states in which the agent acted; a scalar."""
        weights = parts.boundary_weights(time_steps, weights)
        return super().actor_loss(time_steps, weights, training)

    def _train(self, experience, weights=None):
        return self._with_info(super()._train(experience, weights))

    def _loss(self, experience, weights=None, training=False):
        # TF-Agents' TD3 has no `_loss`.
        time_steps, policy_steps, next_time_steps = self._as_transition(experience)
        critic_loss = self.critic_loss(
            time_steps, policy_steps.action, next_time_steps, weights, training
        )
        actor_loss = self.actor_loss(time_steps, weights, training)
        return self._with_info(
            tf_agent.LossInfo(actor_loss + critic_loss, (actor_loss, critic_loss))
        )

    def _with_info(self, loss_info):
        actor_loss, critic_loss = loss_info.extra
        stddev = tf.constant(self._exploration_noise_std, tf.float32)
        info = Td3Info(actor_loss, critic_loss, -actor_loss, stddev)
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
