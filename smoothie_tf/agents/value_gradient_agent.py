"""Base of the SVG family: data, model, critic and order of training.

After each episode "the model is trained first, followed by the value function,
followed by the policy" (Section 5 of Heess et al., 2015). Model and value function
learn from minibatches of replay; the policy from the episode that has just ended, or
from replay. A training step is one call. Subclasses define the policy's loss:
`svg1_agent`, `svg_infinity_agent`, `td_actor_critic_agent`.

Equation, algorithm and line numbers are those of that paper. Our choices where it is
silent are in docs/svg.md.

Shapes: B batch, T transitions of an episode, K updates, S state, A action.
"""

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.networks import network
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types
from tf_agents.utils import common

from smoothie_tf import covariances, validation, value_gradients
from smoothie_tf.agents import gaussian_agent, parts, stages
from smoothie_tf.networks import keras_network


class Batch(NamedTuple):
    """Transitions, each of shape [B, …] or, for K updates, [K, B, …].

    Attributes:
      state: s.
      action: a, as it was drawn.
      log_probability: log p(a|s; θᵏ) of the policy that acted, in nats.
      reward: r.
      discount: d, 0 where the episode terminated, else 1.
      next_state: s'.
      weight: Weight of the transition in means; 0 for padding.
    """

    state: tf.Tensor
    action: tf.Tensor
    log_probability: tf.Tensor
    reward: tf.Tensor
    discount: tf.Tensor
    next_state: tf.Tensor
    weight: tf.Tensor


class ValueGradientInfo(NamedTuple):
    """Metrics of one training step, each a scalar, the mean over its updates.

    Attributes:
      actor_loss: Negative of the surrogate that the policy ascends.
      critic_loss: Error of fitted policy evaluation, Algorithm 4; 0 without a critic.
      model_loss: Negative log-likelihood of the model, in nats; 0 without a model.
      kl: Mean divergence from the policy before the step, in nats; 0 if it is not
        penalised.
      q: Mean value in the policy's loss: see the agent.
      importance_weight: Mean of the truncated weights w.
      policy_stddev: Mean of the policy's standard deviations, in action units.
    """

    actor_loss: tf.Tensor
    critic_loss: tf.Tensor
    model_loss: tf.Tensor
    kl: tf.Tensor
    q: tf.Tensor
    importance_weight: tf.Tensor
    policy_stddev: tf.Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValueGradientConfig(gaussian_agent.AgentConfig):
    """Hyperparameters of the SVG family.

    Each agent has a subclass with its own defaults and without the unused fields.

    Attributes:
      stddev: σ_π in every action dimension, > 0, in action units.
      learn_stddev: Whether σ_π learns by its pathwise gradient.
      model_updates: Updates of the model per training step, ≥ 1; if None, T, the task's
        time limit, or 1 if training follows each environment step.
      value_updates: Updates of V̂ per training step; None as for the model.
      policy_updates: Updates of the policy per training step; None as for the model.
      policy_replay: Whether the policy learns from replay, one minibatch per update,
        instead of from the last episode.
      trains_at_episode_end: Whether a training step follows each episode, as in
        Appendix D, instead of each environment step, as in Algorithm 2.
      importance_weight_clipping: Largest importance weight, > 0.
      target_update_period: C of Algorithm 4: updates between copies of ν_new, ≥ 1.
      kl_penalty: λ of Appendix D, ≥ 0: weight of E[KL(π_θ ‖ π)] to the policy π before
        the training step.
      policy_gradient_clipping: V_max of Appendix D, largest norm of the policy's
        gradient, > 0; None does not clip.
    """

    owner: ClassVar[str] = "ValueGradientAgent"
    stores_log_probability: ClassVar[bool] = True

    gamma: float = 0.99
    stddev: float = 0.2
    learn_stddev: bool = False
    model_updates: int | None = None
    value_updates: int | None = None
    policy_updates: int | None = 1
    policy_replay: bool = False
    trains_at_episode_end: bool = True
    importance_weight_clipping: float = 5.0
    target_update_period: int = 50
    kl_penalty: float = 0.0
    policy_gradient_clipping: float | None = 10.0

    @property
    def learns_covariance(self) -> bool:
        """Whether φ = ln σ² is trained."""
        return self.learn_stddev

    def __post_init__(self):
        super().__post_init__()
        updates = ("model_updates", "value_updates", "policy_updates")
        self._check("count", *updates, optional=True)
        self._check("count", "target_update_period")
        self._check("non-negative", "kl_penalty")
        self._check("positive", "stddev", "importance_weight_clipping")
        self._check("positive", "policy_gradient_clipping", optional=True)
        self._check_flags("learn_stddev", "policy_replay", "trains_at_episode_end")
        if not (self.policy_replay or self.trains_at_episode_end):
            raise ValueError(
                f"{self.owner}.trains_at_episode_end must be True where the policy"
                " learns from the last episode, but is False."
            )


class ValueGradientAgent(gaussian_agent.GaussianAgent):
    """Trains a model, a value function and a policy, in this order.

    Subclasses define `config_class` and `policy_loss`.
    """

    config_class: type[ValueGradientConfig] = ValueGradientConfig
    _config: ValueGradientConfig
    # None without the networks that `config.takes` does not name: nothing calls them.
    _value_network: Any
    _target_value_network: Any
    _dynamics_network: Any

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        actor_network: network.Network | tf.keras.Model,
        actor_optimizer: types.Optimizer,
        *,
        config: ValueGradientConfig | None = None,
        value_network: network.Network | tf.keras.Model | None = None,
        critic_optimizer: types.Optimizer | None = None,
        dynamics_network: tf.Module | None = None,
        model_optimizer: types.Optimizer | None = None,
        reward_fn: value_gradients.RewardFunction | None = None,
        max_episode_steps: int | None = None,
        seed: int | None = None,
        train_step_counter: tf.Variable | None = None,
        **settings: Any,
    ):
        """Creates the agent.

        Args:
          time_step_spec: Spec of the time steps, observations of shape [S].
          action_spec: Bounded float spec of the actions, shape [A].
          actor_network: μ_θ, from observations [B, S] to means [B, A].
          actor_optimizer: Optimizer of θ, and of σ where it is learned.
          config: The hyperparameters; `config_class`'s defaults if None.
          value_network: V̂, from observations [B, S] to values [B].
          critic_optimizer: Optimizer of V̂'s parameters, ν.
          dynamics_network: The model, such as `DynamicsNetwork`.
          model_optimizer: Optimizer of the model.
          reward_fn: The task's reward function if known; else the model learns rewards.
          max_episode_steps: T, the task's time limit; may be None if all numbers of
            updates are given and the policy learns from replay.
          seed: Seed of the draws in training, if any. A training step's draws depend
            only on the seed and `train_step_counter`.
          train_step_counter: Counts training steps; the global step if None. Each
            agent of a program needs its own.
          **settings: Replacements for fields of `config`.

        Raises:
          ValueError: If a network or an optimizer is missing, a number of updates and
            the time limit are both None, or a network does not map the specs to the
            shapes above.
        """
        self._configure(config, settings)
        config = self._config
        owner = config.owner
        parts.check_action_spec(owner, action_spec)
        networks = {
            "value_network": value_network,
            "dynamics_network": dynamics_network,
        }
        for each, given in networks.items():
            if given is None and each in config.takes:
                raise ValueError(f"{owner}.{each} must be a network, but is None.")
        validation.check(
            owner, "count", optional=True, max_episode_steps=max_episode_steps
        )
        learned = ["policy"]
        optimizers = {"actor_optimizer": actor_optimizer}
        if value_network is not None:
            learned.append("value")
            optimizers["critic_optimizer"] = critic_optimizer
        if dynamics_network is not None:
            learned.append("model")
            optimizers["model_optimizer"] = model_optimizer
        parts.check_optimizers(owner, **optimizers)
        # By default one update of each kind per environment step.
        steps = max_episode_steps if config.trains_at_episode_end else 1
        numbers = stages.updates_of(
            config, [f"{each}_updates" for each in learned], steps
        )
        if dynamics_network is not None and not hasattr(
            dynamics_network, "learns_reward"
        ):
            raise TypeError(
                f"{owner}.dynamics_network must have the methods of DynamicsNetwork,"
                f" but is a {type(dynamics_network).__name__}."
            )
        if dynamics_network is not None and not (
            reward_fn is not None or dynamics_network.learns_reward
        ):
            raise ValueError(
                f"{owner}.dynamics_network must learn rewards where there is no"
                " reward_fn."
            )
        observation_spec = time_step_spec.observation
        self._actor_network = keras_network.as_network(
            actor_network, observation_spec, "ActorNetwork"
        )
        parts.check_output(self._actor_network, observation_spec, action_spec.shape)
        self._log_variance = tf.Variable(
            tf.fill(action_spec.shape, 2 * math.log(config.stddev)),
            trainable=config.learn_stddev,
            name="log_variance",
        )
        self._covariance = covariances.Covariance(
            covariances.Diagonal, self._log_variance
        )
        self._start_actor_network = None
        if config.kl_penalty > 0:
            self._start_actor_network = common.maybe_copy_target_network_with_checks(
                self._actor_network, None, "StartActorNetwork", observation_spec
            )
            self._start_log_variance = tf.Variable(
                self._log_variance, trainable=False, name="start_log_variance"
            )
        self._value_network = self._target_value_network = None
        if value_network is not None:
            self._value_network = keras_network.as_network(
                value_network, observation_spec, "ValueNetwork"
            )
            parts.check_output(self._value_network, observation_spec, ())
            self._target_value_network = common.maybe_copy_target_network_with_checks(
                self._value_network, None, "TargetValueNetwork", observation_spec
            )
        self._dynamics_network = dynamics_network
        self._reward_fn = reward_fn
        self._critic_optimizer = critic_optimizer
        self._model_optimizer = model_optimizer
        self._updates = {
            "model": 0,
            "value": 0,
            **dict(zip(learned, numbers, strict=True)),
        }
        self._max_episode_steps = max_episode_steps
        #: Whether the loop trains after each episode, and passes the episode.
        self.trains_at_episode_end = config.trains_at_episode_end
        #: Minibatches that one call of `train` consumes.
        self.minibatches_per_train = sum(
            number
            for what, number in self._updates.items()
            if what != "policy" or config.policy_replay
        )
        super().__init__(
            time_step_spec, action_spec, actor_optimizer, seed, train_step_counter
        )
        if value_network is not None:
            parts.build_optimizer(
                critic_optimizer, self._value_network.trainable_variables
            )
        if dynamics_network is not None:
            parts.build_optimizer(model_optimizer, dynamics_network.trainable_variables)

    @property
    def value_network(self) -> network.Network | None:
        """V̂ with the parameters ν_new of Algorithm 4."""
        return self._value_network

    @property
    def dynamics_network(self) -> tf.Module | None:
        """The model f̂."""
        return self._dynamics_network

    def policy_loss(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The surrogate whose gradient the policy ascends, negated.

        Args:
          batch: Transitions, shape [B, …]; if the policy learns from the last episode,
            its transitions in order, padded.

        Returns:
          The loss, the mean value in it, and the mean importance weight.
        """
        raise NotImplementedError

    def value_loss(self, batch: Batch) -> tf.Tensor:
        """Fitted policy evaluation, Algorithm 4, for V̂.

        Args:
          batch: Transitions of replay, shape [B, …].

        Returns:
          The mean of ½·w·(y − V̂(s; ν_new))², a scalar.
        """
        next_value, _ = self._target_value_network(batch.next_state)
        target = value_gradients.bootstrap_target(
            batch.reward, batch.discount, next_value, self._config.gamma
        )  # Line 6.
        value, _ = self._value_network(batch.state, training=True)
        return value_gradients.fitted_evaluation_loss(
            value, target, self._importance_weights(batch), batch.weight
        )  # Lines 7 and 8.

    def model_loss(self, batch: Batch) -> tf.Tensor:
        """The model's negative log-likelihood of transitions [B, …], in nats."""
        return self._dynamics_network.loss(
            batch.state, batch.action, batch.next_state, batch.reward, batch.weight
        )

    def divergence(self, batch: Batch) -> tf.Tensor:
        """E[KL(π_θ ‖ π_start)] over the states of a batch, Appendix D, in nats.

        The gradient flows through the first argument, the learning policy; the second
        is the policy before the training step. 0 if it is not penalised.
        """
        if self._start_actor_network is None:
            return tf.zeros([])
        mean, _ = self._actor_network(batch.state)
        start_mean, _ = self._start_actor_network(batch.state)
        divergence = self._covariance.at(batch.state).kl_divergence(
            mean,
            tf.stop_gradient(start_mean),
            covariances.Diagonal(self._start_log_variance),
        )
        return tf.reduce_mean(batch.weight * divergence)

    def reward(
        self, state: tf.Tensor, action: tf.Tensor, next_state: tf.Tensor
    ) -> tf.Tensor:
        """Rewards [B], from the task's own function or from the learned model."""
        if self._reward_fn is not None:
            return self._reward_fn(state, action, next_state)
        return self._dynamics_network(state, action).reward

    def _initialize(self):
        if self._value_network is not None:
            self._copy_value_network()

    def _train(self, experience, weights=None, episode=None, episode_mask=None):
        for_model, for_value, for_policy = self._minibatches(experience, weights)
        if not self._config.policy_replay:
            stages.check_episode(self, episode)
        nothing = tf.zeros([1])
        model_loss = critic_loss = nothing
        if self._updates["model"]:
            model_loss = self._train_model(for_model)
        # Each stage waits for the one before: `parts.apply_gradients` says why.
        with tf.control_dependencies([model_loss]):
            if self._updates["value"]:
                critic_loss = self._train_value(for_value)
        with tf.control_dependencies([model_loss, critic_loss]):
            if not self._config.policy_replay:
                # Now, since a planner rolls out the model that has just been trained.
                for_policy = self._episode(episode, episode_mask)
            policy_outputs = self._train_policy(for_policy)
        with tf.control_dependencies([policy_outputs]):
            self.train_step_counter.assign_add(1)
        actor_loss, kl, q, importance = tf.unstack(policy_outputs)
        info = ValueGradientInfo(
            actor_loss,
            critic_loss[0],
            model_loss[0],
            kl,
            q,
            importance,
            tf.reduce_mean(self.policy_stddev(for_policy.state)),
        )
        return tf_agent.LossInfo(actor_loss + critic_loss[0] + model_loss[0], info)

    def _train_model(self, batches):
        network = self._dynamics_network
        together = Batch(*(tf.reshape(x, [-1, *x.shape[2:]]) for x in batches))
        observed = network.observe(
            together.state,
            together.action,
            together.next_state,
            together.reward,
            together.weight,
        )

        def update(_, batch):
            loss = parts.descend(
                lambda: (self.model_loss(batch),),
                self._model_optimizer,
                network.trainable_variables,
            )
            return tf.stack(loss)

        with tf.control_dependencies([observed]):
            return stages.mean_over(update, self._updates["model"], batches, 1)

    def _train_value(self, batches):
        number = self._updates["value"]
        # Updates are counted over all training steps, so that copies happen at updates
        # 50, 100, … for any number of updates per step.
        before = tf.cast(self.train_step_counter, tf.int64) * number

        def update(i, batch):
            loss = parts.descend(
                lambda: (self.value_loss(batch),),
                self._critic_optimizer,
                self._value_network.trainable_variables,
            )
            with tf.control_dependencies(loss):
                copied = stages.when_due(
                    before + tf.cast(i, tf.int64) + 1,
                    self._config.target_update_period,
                    self._copy_value_network,
                )  # Line 10.
            with tf.control_dependencies([copied]):
                return tf.stack(loss)

        return stages.mean_over(update, number, batches, 1)

    def _train_policy(self, batches):
        remembered = tf.no_op()
        if self._start_actor_network is not None:
            copies = zip(
                [*self._actor_network.variables, self._log_variance],
                [*self._start_actor_network.variables, self._start_log_variance],
                strict=True,
            )
            values = [(target, source.read_value()) for source, target in copies]
            with tf.control_dependencies([value for _, value in values]):
                remembered = tf.group([v.assign(value) for v, value in values])

        def losses(batch):
            loss, value, importance = self.policy_loss(batch)
            kl = tf.zeros([])
            if self._config.kl_penalty > 0:
                kl = self.divergence(batch)
                loss += self._config.kl_penalty * kl
            return loss, kl, value, importance

        def update(_, batch):
            return tf.stack(
                parts.descend(
                    lambda: losses(batch),
                    self._actor_optimizer,
                    self._policy_variables,
                    self._config.policy_gradient_clipping,
                    only_if_finite=True,
                )
            )

        number = self._updates["policy"]
        with tf.control_dependencies([remembered]):
            if self._config.policy_replay:
                return stages.mean_over(update, number, batches, 4)
            # Each update on the whole episode.
            return stages.mean_over(lambda i, _: update(i, batches), number, (), 4)

    def _importance_weights(self, batch):
        mean, _ = self._actor_network(batch.state)
        return value_gradients.importance_weights(
            self._covariance.at(batch.state).distribution(mean).log_prob(batch.action),
            batch.log_probability,
            self._config.importance_weight_clipping,
        )

    def _copy_value_network(self):
        common.soft_variables_update(
            self._value_network.variables, self._target_value_network.variables, 1.0
        )

    def _minibatches(self, experience, weights):
        """Returns the minibatches for the model, the value function and the policy."""
        transition = self._as_transition(experience)
        boundary = parts.boundary_weights(transition.time_step, weights)
        batch = _batch(transition, boundary)
        total, size = self.minibatches_per_train, batch.reward.shape[0]
        if size is None or size % total or not size:
            raise ValueError(
                f"Experience must hold {total} minibatches of equal size for one"
                f" training step of {type(self).__name__}, but its batch is {size}."
            )
        stacked = Batch(
            *(tf.reshape(x, [total, size // total, *x.shape[1:]]) for x in batch)
        )
        shares, begin = [], 0
        for what in ("model", "value", "policy"):
            end = begin + self._updates[what]
            shares.append(Batch(*(x[begin:end] for x in stacked)))
            begin = end
        return shares

    def _episode(self, episode, mask):
        return _batch(episode, stages.episode_weights(mask))


def _batch(transition: trajectory.Transition, weight: tf.Tensor) -> Batch:
    step, following = transition.action_step, transition.next_time_step
    return Batch(
        transition.time_step.observation,
        step.action,
        policy_step.get_log_probability(step.info),
        following.reward,
        following.discount,
        following.observation,
        weight,
    )
