"""Base of the actor-critics: networks, targets, minibatches, noise, optimizer steps.

`SmoothieAgent`, `SoftDdpgAgent` and `Svg0Agent` have a Gaussian policy
N(μ_θ(s), Σ_φ(s)) and a critic of states and actions, each with a target. Their own
files define the losses and the order of a training step.

Shapes: B batch, S state, A action.
"""

import dataclasses
from typing import Any, ClassVar

import tensorflow as tf
from tf_agents.networks import network
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types
from tf_agents.utils import common

from smoothie_tf.agents import gaussian_agent, parts
from smoothie_tf.networks import covariance_network, keras_network


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActorCriticConfig(gaussian_agent.AgentConfig):
    """Hyperparameters of every actor-critic.

    Attributes:
      target_update_tau: Share τ of the new weights in each target update, in (0, 1].
      reward_scale_factor: Multiplies every reward, > 0.
      gradient_clipping: Largest global norm of the critic's weight gradients, > 0;
        None does not clip.
      td_errors_loss_fn: Elementwise loss of targets and values, both [B].
      independent_minibatches: Whether policy and critic have separate minibatches.
        Experience is then one batch of 2B: its first half trains the policy, its second
        half the critic. Otherwise both learn from the whole batch, as in TF-Agents' own
        agents.
    """

    owner: ClassVar[str] = "ActorCriticAgent"

    target_update_tau: float = 0.01
    reward_scale_factor: float = 1.0
    gradient_clipping: float | None = 4.0
    # Huber with threshold 1: Table 1.
    td_errors_loss_fn: types.LossFn = common.element_wise_huber_loss
    independent_minibatches: bool = True

    # As in `AgentConfig`, for agents that do not have the hyperparameter.
    covariance: ClassVar[str] = "diagonal"
    initial_log_variance: ClassVar[float] = -1.0
    covariance_learning_rate_factor: ClassVar[float] = 1.0
    policy_gradient_clipping: ClassVar[float | None] = None
    min_stddev: ClassVar[float | None] = None
    max_stddev: ClassVar[float | None] = None

    def __post_init__(self):
        super().__post_init__()
        self._check("share", "target_update_tau")
        self._check("positive", "reward_scale_factor")
        self._check("positive", "gradient_clipping", optional=True)
        self._check("log variance", "initial_log_variance")
        self._check_flags("independent_minibatches")
        if not callable(self.td_errors_loss_fn):
            raise ValueError(
                f"{self.owner}.td_errors_loss_fn must be a function of targets and"
                f" values, but is {self.td_errors_loss_fn!r}."
            )
        shape = tuple(self.td_errors_loss_fn(tf.zeros([2]), tf.zeros([2])).shape)
        if shape != (2,):
            raise ValueError(
                f"{self.owner}.td_errors_loss_fn must return one loss for each value,"
                f" which is then weighted, but {self.td_errors_loss_fn!r} returns shape"
                f" {shape} for 2 values."
            )


class ActorCriticAgent(gaussian_agent.GaussianAgent):
    """Base class of agents with a Gaussian policy and a critic.

    Losses that networks add, such as those of regularizers, are not part of the agents'
    losses.

    Subclasses define `config_class`, `policy_loss`, `critic_loss`, `_loss_info`, and
    `_train`, which orders the steps. Methods marked "Hook" may be overridden as well.
    """

    config_class: type[ActorCriticConfig] = ActorCriticConfig
    _config: ActorCriticConfig
    # How the losses call the trained networks; `loss` sets it while it runs.
    _training = True

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        actor_network: network.Network | tf.keras.Model,
        critic_network: network.Network | tf.keras.Model,
        actor_optimizer: types.Optimizer,
        critic_optimizer: types.Optimizer,
        config: ActorCriticConfig | None = None,
        seed: int | None = None,
        train_step_counter: tf.Variable | None = None,
        **settings: Any,
    ):
        """Creates the agent.

        Args:
          time_step_spec: Spec of the time steps, observations of shape [S].
          action_spec: Bounded float spec of the actions, shape [A].
          actor_network: μ_θ, from observations [B, S] to means [B, A].
          critic_network: The critic, from (observations [B, S], actions [B, A]) to
            values [B]. Smoothie's Σ follows its Hessian in the action, which is 0
            where it is piecewise linear, as with relu. Optional methods, as in
            `CriticNetwork`: `action_derivatives(observation, action, full_hessian)`
            makes Hessians fast (supplement D.1); `sample_values(observation, actions)`
            gives values [M, B] of several actions a state, [M, B, A], fast.
          actor_optimizer: Optimizer of θ and φ.
          critic_optimizer: Optimizer of the critic's weights.
          config: The hyperparameters; `config_class`'s defaults if None.
          seed: Seed of the draws in training; None draws one from TensorFlow's global
            seed. A training step's draws depend only on the seed and
            `train_step_counter`.
          train_step_counter: Counts training steps; the global step if None. Each
            agent of a program needs its own.
          **settings: Replacements for fields of `config`.

        Raises:
          ValueError: If an optimizer is missing or given twice, the actions are not one
            bounded float32 vector, or a network has a state or does not map the specs
            to the shapes above.
        """
        self._configure(config, settings)
        config = self._config
        parts.check_action_spec(config.owner, action_spec)
        parts.check_optimizers(
            config.owner,
            actor_optimizer=actor_optimizer,
            critic_optimizer=critic_optimizer,
        )
        self._create_networks(
            actor_network, critic_network, time_step_spec.observation, action_spec
        )
        self._critic_optimizer = critic_optimizer
        #: Minibatches that one call of `train` consumes.
        self.minibatches_per_train = 2 if config.independent_minibatches else 1
        super().__init__(
            time_step_spec, action_spec, actor_optimizer, seed, train_step_counter
        )
        parts.build_optimizer(critic_optimizer, self._critic_variables())

    @property
    def critic_network(self) -> network.Network:
        """The critic."""
        return self._critic_network

    def _create_networks(self, actor, critic, observation_spec, action_spec):
        """Hook: creates θ, φ, w and their targets, which `_initialize` sets equal."""
        critic_spec = (observation_spec, action_spec)
        self._actor_network = keras_network.as_network(
            actor, observation_spec, "ActorNetwork"
        )
        self._critic_network = keras_network.as_network(
            critic, critic_spec, "CriticNetwork"
        )
        parts.check_output(self._actor_network, observation_spec, action_spec.shape)
        self._covariance = covariance_network.create_covariance(
            self._config.covariance,
            observation_spec,
            action_spec.shape[-1],
            self._config.initial_log_variance,
            trainable=self._config.learns_covariance,
        )
        # Tracked under the names that checkpoints use.
        self._log_variance = self._target_log_variance = None
        self._covariance_network = self._target_covariance_network = None
        source, target = self._covariance.source, self._covariance.target.source
        if isinstance(source, tf.Variable):
            self._log_variance, self._target_log_variance = source, target
        else:
            self._covariance_network, self._target_covariance_network = source, target
        self._bind(self._critic_network, self._actor_network, self._covariance)
        parts.check_output(self._critic_network, critic_spec, ())
        self._target_actor_network = common.maybe_copy_target_network_with_checks(
            self._actor_network, None, "TargetActorNetwork", observation_spec
        )
        self._target_critic_network = common.maybe_copy_target_network_with_checks(
            self._critic_network, None, "TargetCriticNetwork", critic_spec
        )
        self._bind(
            self._target_critic_network,
            self._target_actor_network,
            self._covariance.target,
        )

    def _bind(self, critic, actor, covariance):
        """Gives the policy to a critic that depends on one, as (22) does."""
        if hasattr(critic, "bind_policy"):
            critic.bind_policy(actor, covariance)

    def _critics(self) -> list[tuple[network.Network, network.Network]]:
        """Hook: the trained critics, each with its target."""
        return [(self._critic_network, self._target_critic_network)]

    def _critic_variables(self):
        return [v for critic, _ in self._critics() for v in critic.trainable_variables]

    def _initialize(self):
        self._update_targets(tau=1.0)  # θ′ = θ, φ′ = φ, w′ = w.

    def _loss(self, experience, weights=None, training=False):
        policy_batch, critic_batch = self._minibatches(experience, weights)
        self._training = training
        try:
            policy_outputs = self.policy_loss(*policy_batch)
            critic_loss = self.critic_loss(*critic_batch)
        finally:
            self._training = True
        return self._loss_info(policy_batch, critic_loss, *policy_outputs)

    def _loss_info(self, policy_batch, critic_loss, *policy_outputs):
        raise NotImplementedError

    def _train_policy(self, batch: tuple[Any, ...]) -> tuple[tf.Tensor, ...]:
        """Updates θ and φ by one optimizer step; returns `policy_loss`'s outputs."""
        config, phi = self._config, self._covariance.variables
        # The factor and the bounds are not the paper's: at 1 and None they do nothing.
        with parts.share_of_step(phi, config.covariance_learning_rate_factor):
            outputs = parts.descend(
                lambda: self.policy_loss(*batch),
                self._actor_optimizer,
                self._policy_variables,
                config.policy_gradient_clipping,
            )
        parts.clip_stddev(phi, config.min_stddev, config.max_stddev)
        return outputs

    def _train_critic(self, batch: tuple[Any, ...]) -> tf.Tensor:
        """Updates w by one optimizer step, and returns the loss."""
        (loss,) = parts.descend(
            lambda: (self.critic_loss(*batch),),
            self._critic_optimizer,
            self._critic_variables(),
            self._config.gradient_clipping,
        )
        return loss

    def _update_targets(self, tau: float) -> None:
        """θ′ ← (1 − τ)·θ′ + τ·θ, and φ′ and w′ likewise."""
        for source, target in (
            (self._actor_network, self._target_actor_network),
            (self._covariance, self._covariance.target),
            *self._critics(),
        ):
            # Keras's Normalization counts in whole numbers, which have no average.
            common.soft_variables_update(
                *(
                    [each for each in variables if each.dtype.is_floating]
                    for variables in (source.variables, target.variables)
                ),
                tau,
            )

    def _bellman_target(self, next_time_steps, next_value):
        """Returns r + γ·d·V(s′), constant; d is 0 where the episode terminated."""
        return tf.stop_gradient(
            self._config.reward_scale_factor * next_time_steps.reward
            + self._config.gamma * next_time_steps.discount * next_value
        )

    def _minibatches(self, experience, weights):
        """Returns the arguments of `policy_loss` and of `critic_loss`."""
        transition = self._as_transition(experience)
        weights = parts.as_weights(weights, transition.time_step.reward)
        policy_half = critic_half = (transition, weights)
        if self.minibatches_per_train == 2:
            batch_size = transition.time_step.reward.shape[0]
            if batch_size is not None and batch_size % 2:
                raise ValueError(
                    "Experience must hold two minibatches of equal size, one for the"
                    f" policy and one for the critic, but its batch is {batch_size};"
                    f" {self._config.owner}.independent_minibatches = False takes any"
                    " batch."
                )
            halves = [tf.split(x, 2) for x in tf.nest.flatten((transition, weights))]
            policy_half, critic_half = (
                tf.nest.pack_sequence_as((transition, weights), half)
                for half in zip(*halves, strict=True)
            )

        def without_boundaries(transition, weights):
            return transition, parts.boundary_weights(transition.time_step, weights)

        return (
            self._policy_batch(*without_boundaries(*policy_half)),
            self._critic_batch(*without_boundaries(*critic_half)),
        )

    def _policy_batch(
        self, transition: trajectory.Transition, weights: tf.Tensor
    ) -> tuple[Any, ...]:
        """Hook: returns the arguments of `policy_loss` from a minibatch."""
        return transition.time_step.observation, weights

    def _critic_batch(
        self, transition: trajectory.Transition, weights: tf.Tensor
    ) -> tuple[Any, ...]:
        """Hook: returns the arguments of `critic_loss` from a minibatch."""
        return (
            transition.time_step,
            transition.action_step.action,
            transition.next_time_step,
            weights,
        )
