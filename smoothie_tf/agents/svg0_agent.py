"""SVG(0), Algorithms 3 and 4 of Heess et al. (2015), and DPG as SVG(0) at η = 0.

The action is a function of the policy's noise, a = μ_θ(s) + σ_φ·η with η ~ N(0, I), and
gradients flow through it: E_η[Q_a·π_θ|η] is the policy gradient of both the mean and
the standard deviation. The critic is the policy's ordinary action value, without
smoothing.

Equation and line numbers are those of "Learning Continuous Control Policies by
Stochastic Value Gradients". Our choices where it is silent are in docs/differences.md.
Networks, minibatches and optimizer steps are those of `actor_critic`, as for Smoothie.

With replay, policy and critic learn at each step, as in Algorithm 3. In the paper's own
comparisons (Appendix D) they learn after each episode, the critic from replay and the
policy from that episode: `Svg0Config.policy_from_last_episode`.

Shapes: B batch, T transitions of an episode, S state, A action.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import gin
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts

from smoothie_tf import value_gradients
from smoothie_tf.agents import actor_critic, parts, stages


class Svg0Info(NamedTuple):
    """Metrics of one training step, each a scalar.

    Attributes:
      actor_loss: Negative of the surrogate that the policy ascends.
      critic_loss: Loss of the Bellman error of Algorithm 4.
      q: Mean Q̂(s, μ_θ(s) + σ_φ·η) at the noise of the update, of the scaled reward.
      importance_weight: Mean of the truncated weights w.
      policy_stddev: Mean of the policy's standard deviations, in action units.
    """

    actor_loss: tf.Tensor
    critic_loss: tf.Tensor
    q: tf.Tensor
    importance_weight: tf.Tensor
    policy_stddev: tf.Tensor


@gin.configurable(module="smoothie_tf")
def squared_error(target: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Half the squared difference, elementwise: Algorithm 4, line 8, without w."""
    return 0.5 * tf.square(target - value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Svg0Config(actor_critic.ActorCriticConfig):
    """Hyperparameters of SVG(0), besides those of every actor-critic.

    By default targets are copied, as in Algorithm 4. Lines 7 and 9 of Algorithm 3
    sample separate minibatches: `independent_minibatches`.

    Attributes:
      infer_noise: Whether η is inferred from the stored action, with an importance
        weight, as in Algorithm 3; otherwise η is newly drawn, with weight 1.
      importance_weight_clipping: Largest importance weight, > 0; None for no limit.
      target_update_period: C of Algorithm 4, updates of the critic between updates of
        its target, ≥ 1.
      initial_log_variance: Initial φ of every action dimension; σ² = e^φ.
      learn_stddev: Whether φ is trained; otherwise σ is constant.
      policy_gradient_clipping: V_max of Appendix D, largest global norm of the
        policy's gradient, > 0; None does not clip.
      deterministic: Whether η is 0 in the losses and σ_φ is used for exploration only,
        as in DPG.
      stored_next_action: Whether the target uses the stored next action, if any, with
        an importance weight.
      policy_from_last_episode: Whether a training step follows each episode, and the
        policy learns from that episode, as in Appendix D.
      critic_updates: Updates of the critic in such a step, ≥ 1; the task's
        `max_episode_steps` if None.
      policy_updates: Updates of the policy in such a step, each on the whole episode;
        `max_episode_steps` if None.
    """

    owner: ClassVar[str] = "Svg0Agent"
    stores_log_probability: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("critic_network", "max_episode_steps")

    target_update_tau: float = 1.0
    infer_noise: bool = True
    importance_weight_clipping: float | None = 5.0
    target_update_period: int = 50
    initial_log_variance: float = -1.0
    learn_stddev: bool = True
    policy_gradient_clipping: float | None = 10.0
    deterministic: bool = False
    stored_next_action: bool = False
    policy_from_last_episode: bool = False
    critic_updates: int | None = None
    policy_updates: int | None = 1

    @property
    def learns_covariance(self) -> bool:
        """Whether φ is trained."""
        return self.learn_stddev and not self.deterministic

    def __post_init__(self):
        self._check_flags(
            "infer_noise",
            "learn_stddev",
            "deterministic",
            "stored_next_action",
            "policy_from_last_episode",
        )
        super().__post_init__()
        self._check("count", "target_update_period")
        self._check("count", "critic_updates", "policy_updates", optional=True)
        self._check(
            "positive",
            "importance_weight_clipping",
            "policy_gradient_clipping",
            optional=True,
        )
        if self.deterministic and self.stored_next_action:
            raise ValueError(
                f"{self.owner}.stored_next_action must be False where"
                f" {self.owner}.deterministic is True, but is True: a deterministic"
                " policy did not choose it."
            )


class Svg0Agent(actor_critic.ActorCriticAgent):
    """Learns a Gaussian policy by the pathwise gradient (Algorithm 3)."""

    config_class = Svg0Config
    _config: Svg0Config

    def __init__(self, *args: Any, max_episode_steps: int | None = None, **kwargs: Any):
        """Creates the agent.

        Args:
          *args: As for `ActorCriticAgent`.
          max_episode_steps: The task's time limit.
          **kwargs: As for `ActorCriticAgent`.

        Raises:
          ValueError: As `ActorCriticAgent`; or if a number of updates and the time
            limit are both None.
        """
        super().__init__(*args, **kwargs)
        config = self._config
        #: Whether `train` receives the action after each transition.
        self.uses_next_action = config.stored_next_action
        #: Whether the loop trains after each episode, and passes the episode.
        self.trains_at_episode_end = config.policy_from_last_episode
        # Numbers of draws in one training step, for the policy's and the next actions.
        self._policy_draws = self._critic_draws = 1
        if config.policy_from_last_episode:
            self._critic_draws, self._policy_draws = stages.updates_of(
                config, ("critic_updates", "policy_updates"), max_episode_steps
            )
            self.minibatches_per_train = self._critic_draws

    def policy_loss(
        self,
        observation: tf.Tensor,
        action: tf.Tensor,
        log_probability: tf.Tensor,
        weights: tf.Tensor,
        draw: tf.Tensor | int = 0,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The surrogate whose gradient is line 11 of Algorithm 3, negated.

        With ã = μ_θ(s) + σ_φ·η, and w and η held constant,

            ∇ [w·Q̂(s, ã)] = w·Q̂_a(s, ã)·(∇θ μ_θ(s) + η·∇φ σ_φ)     v_θ at η,

        so descending −w·Q̂ ascends the return. If η is inferred, ã equals the stored
        action, and w corrects for the policy that chose it, (13).

        Args:
          observation: States s^k, shape [B, S].
          action: Stored actions a^k, shape [B, A].
          log_probability: log p(a^k|s^k; θ^k) of the policy that chose them, in
            nats, shape [B].
          weights: Weight of each state, shape [B].
          draw: Number of the policy's update within the training step.

        Returns:
          The loss, the mean value, and the mean importance weight: scalars.
        """
        mean, _ = self._actor_network(observation, training=self._training)
        covariance = self._covariance.at(observation)
        noise, importance = self._policy_noise(
            action, mean, covariance, log_probability, draw
        )
        value, _ = self._critic_network((observation, covariance.perturb(mean, noise)))
        loss = -tf.reduce_mean(weights * importance * value)  # Line 11.
        return (
            loss,
            tf.reduce_mean(weights * value),
            tf.reduce_mean(weights * importance),
        )

    def _policy_noise(self, action, mean, covariance, log_probability, draw):
        """Returns η and w, both held constant."""
        if self._config.deterministic:
            return tf.zeros_like(action), tf.ones_like(log_probability)
        if not self._config.infer_noise:
            draws_a_step = self._policy_draws + self._critic_draws
            draw = tf.cast(draw, tf.int64)
            noise = self._noise(tf.shape(action), draw, draws_a_step)  # η ~ ρ(η)
            return tf.stop_gradient(noise), tf.ones_like(log_probability)
        # Infer η^k | (s^k, a^k), Appendix B; w of (13), truncated as in Appendix D.
        return value_gradients.infer_noise(
            action, mean, covariance.stddev()
        ), value_gradients.importance_weights(
            covariance.distribution(mean).log_prob(action),
            log_probability,
            self._config.importance_weight_clipping,
        )

    def critic_loss(
        self,
        time_steps: ts.TimeStep,
        action: tf.Tensor,
        next_time_steps: ts.TimeStep,
        weights: tf.Tensor,
        stored: tuple[tf.Tensor, ...] = (),
        draw: tf.Tensor | int = 0,
    ) -> tf.Tensor:
        """The error of fitted policy evaluation, Algorithm 4, for Q̂.

        The next action is newly drawn from the current policy. This needs no weights:
        the value of a stored action does not depend on how the action was chosen. With
        `stored_next_action` it is the stored one, if any, and the importance weight
        compares its densities under the current policy and the one that chose it.

        Args:
          time_steps: States s^k, observations of shape [B, S].
          action: Stored actions a^k, shape [B, A].
          next_time_steps: Rewards r^k, discounts (0 where the episode terminated)
            and next states s^{k+1}.
          weights: Weight of each transition, shape [B].
          stored: The stored next actions, shape [B, A], their log-probabilities under
            the policies that chose them, shape [B], and whether each exists, shape
            [B]; empty to draw them.
          draw: Number of the critic's update within the training step.

        Returns:
          The mean loss, a scalar.
        """
        next_mean, _ = self._actor_network(next_time_steps.observation)
        covariance = self._covariance.at(next_time_steps.observation)
        noise = self._next_noise(tf.shape(next_mean), draw)
        next_action = covariance.perturb(next_mean, noise)
        if stored:
            stored_action, stored_log_probability, is_stored = stored
            importance = value_gradients.importance_weights(
                covariance.distribution(next_mean).log_prob(stored_action),
                stored_log_probability,
                self._config.importance_weight_clipping,
            )
            # Replay holds no next action after an episode's end or after its newest
            # transition. Where the discount is 0, the target does not depend on the
            # next action, so it needs no weight.
            weighs = is_stored & (next_time_steps.discount > 0)
            weights *= tf.where(weighs, importance, tf.ones_like(importance))
            next_action = tf.where(is_stored[:, tf.newaxis], stored_action, next_action)
        next_value, _ = self._target_critic_network(
            (next_time_steps.observation, next_action)
        )
        target = self._bellman_target(next_time_steps, next_value)  # Alg. 4, line 6.
        value, _ = self._critic_network(
            (time_steps.observation, action), training=self._training
        )
        return tf.reduce_mean(weights * self._config.td_errors_loss_fn(target, value))

    def _next_noise(self, shape, draw):
        if self._config.deterministic:
            return tf.zeros(shape)
        draws_a_step = self._policy_draws + self._critic_draws
        draw = self._policy_draws + tf.cast(draw, tf.int64)
        return self._noise(shape, draw, draws_a_step)

    def _train(
        self,
        experience,
        weights=None,
        episode=None,
        episode_mask=None,
        next_action_step=None,
        next_is_stored=None,
    ):
        stored = self._stored(experience, next_action_step, next_is_stored)
        if self.trains_at_episode_end:
            return self._train_after_episode(
                experience, weights, stored, episode, episode_mask
            )
        policy_batch, critic_batch = self._minibatches(experience, weights)
        if stored:
            # The critic's minibatch is the last one in the batch.
            size = tf.shape(critic_batch[1])[0]
            critic_batch = (*critic_batch, tuple(x[-size:] for x in stored))
        critic_loss = self._train_critic(critic_batch)  # Lines 6 and 7.
        with tf.control_dependencies([critic_loss]):
            policy_outputs = self._train_policy(policy_batch)  # Lines 8 to 12.
        with tf.control_dependencies(policy_outputs):
            self.train_step_counter.assign_add(1)
            self._update_targets_when_due(self.train_step_counter)
        return self._loss_info(policy_batch, critic_loss, *policy_outputs)

    def _train_after_episode(self, experience, weights, stored, episode, mask):
        """Trains the critic from replay, then the policy from the last episode."""
        stages.check_episode(self, episode)
        transition = self._as_transition(experience)
        boundary = parts.boundary_weights(transition.time_step, weights)
        batch = (*self._critic_batch(transition, boundary), stored)
        number = self._critic_draws
        batch = tf.nest.map_structure(
            lambda x: tf.reshape(x, [number, -1, *x.shape[1:]]), batch
        )
        before = tf.cast(self.train_step_counter, tf.int64) * number

        def update_critic(i, minibatch):
            loss = self._train_critic((*minibatch, i))
            with tf.control_dependencies([loss]):
                # Updates are counted over all training steps.
                updated = self._update_targets_when_due(
                    before + tf.cast(i, tf.int64) + 1
                )
            return loss, [updated]

        critic_loss = stages.total_over(update_critic, number, batch, tf.zeros([]))
        critic_loss /= number
        for_policy = self._policy_batch(episode, stages.episode_weights(mask))
        with tf.control_dependencies([critic_loss]):
            totals = stages.total_over(
                lambda i, _: (self._train_policy((*for_policy, i)), []),
                self._policy_draws,
                (),
                (tf.zeros([]), tf.zeros([]), tf.zeros([])),
            )
        with tf.control_dependencies(totals):
            self.train_step_counter.assign_add(1)
        policy_outputs = (total / self._policy_draws for total in totals)
        return self._loss_info(for_policy, critic_loss, *policy_outputs)

    def _stored(self, experience, next_action_step, next_is_stored):
        """Returns `critic_loss`'s argument `stored`."""
        if not self.uses_next_action:
            return ()
        if next_action_step is None:
            if not isinstance(experience, trajectory.Trajectory):
                raise ValueError(
                    f"{type(self).__name__}.stored_next_action needs the action after"
                    " each transition: experience as a Trajectory, or next_action_step."
                )
            return (
                experience.action[:, 1],
                policy_step.get_log_probability(experience.policy_info)[:, 1],
                ~experience.is_last()[:, 1],
            )
        log_probability = policy_step.get_log_probability(next_action_step.info)
        return next_action_step.action, log_probability, next_is_stored

    def _update_targets_when_due(self, done):
        return stages.when_due(
            done,
            self._config.target_update_period,
            lambda: self._update_targets(self._config.target_update_tau),
        )  # Algorithm 4, line 10.

    def _policy_batch(self, transition, weights):
        step = transition.action_step
        log_probability = policy_step.get_log_probability(step.info)
        return transition.time_step.observation, step.action, log_probability, weights

    def _loss_info(self, policy_batch, critic_loss, actor_loss, q, importance_weight):
        observation, *_ = policy_batch
        stddev = tf.reduce_mean(self.policy_stddev(observation))
        return tf_agent.LossInfo(
            actor_loss + critic_loss,
            Svg0Info(actor_loss, critic_loss, q, importance_weight, stddev),
        )
