"""SVG(0), Algorithms 3 and 4 of Heess et al. (2015), and DPG as SVG(0) at η = 0.

A Gaussian policy as a function of its noise, a = μ_θ(s) + σ_φ·η with η ~ N(0, I), is
differentiated through: E_η[Q_a·π_θ|η] is the policy gradient of the mean and of the
standard deviation alike. The critic is the ordinary one of this policy, nothing in it
is smoothed.

Equation and line numbers are those of "Learning Continuous Control Policies by
Stochastic Value Gradients". What it leaves open, and we chose, is in
docs/differences.md. What is not a loss is Smoothie's, and so equal between the two.

With replay, policy and critic learn at each step, as in Algorithm 3. The paper's own
comparisons (Appendix D) train when an episode has ended: the critic from replay, the
policy from that episode; so do `policy_from_last_episode=True` here.

Shapes: B batch, T transitions of an episode, S state, A action.
"""

from typing import NamedTuple

import gin
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.networks import network
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types
from tf_agents.utils import common

from smoothie_tf import gaussian, validation, value_gradients
from smoothie_tf.agents import parts, smoothie_agent


class Svg0Info(NamedTuple):
    """What one training step saw, each a scalar.

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


@gin.configurable(module="smoothie_tf")
class Svg0Agent(smoothie_agent.SmoothieAgent):
    """Learns a Gaussian policy by the pathwise gradient (Algorithm 3)."""

    takes = ("critic_network", "max_episode_steps")
    _stores_log_probability = True

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        actor_network: network.Network | tf.keras.Model,
        critic_network: network.Network | tf.keras.Model,
        actor_optimizer: types.Optimizer,
        critic_optimizer: types.Optimizer,
        infer_noise: bool = True,
        importance_weight_clipping: float = 5.0,
        gamma: float = 0.995,
        target_update_period: int = 50,
        target_update_tau: float = 1.0,
        reward_scale_factor: float = 1.0,
        initial_log_variance: float = -1.0,
        policy_gradient_clipping: float | None = 10.0,
        gradient_clipping: float | None = 4.0,
        td_errors_loss_fn: types.LossFn = common.element_wise_huber_loss,
        independent_minibatches: bool = True,
        seed: int | None = None,
        train_step_counter: tf.Variable | None = None,
        name: str | None = None,
        learn_stddev: bool = True,
        deterministic: bool = False,
        stored_next_action: bool = False,
        policy_from_last_episode: bool = False,
        critic_updates: int | None = None,
        policy_updates: int | None = 1,
        max_episode_steps: int | None = None,
    ):
        """Creates the agent.

        Args:
          time_step_spec: Spec of the time steps, observations of shape [S].
          action_spec: Bounded float spec of the actions, shape [A].
          actor_network: μ_θ, from observations [B, S] to means [B, A].
          critic_network: Q̂, from (observations [B, S], actions [B, A]) to values
            [B].
          actor_optimizer: Optimizer of θ and φ.
          critic_optimizer: Optimizer of the critic, ν.
          infer_noise: Whether η is what the stored action says it was, weighted by
            importance, as in Algorithm 3; otherwise it is drawn anew, weight 1.
          importance_weight_clipping: Largest importance weight, > 0.
          gamma: Discount γ, in [0, 1].
          target_update_period: C of Algorithm 4, training steps between updates of
            the target critic, ≥ 1.
          target_update_tau: Share of the new weights in each of them, in (0, 1]; 1
            copies, as Algorithm 4.
          reward_scale_factor: Multiplies every reward, > 0.
          initial_log_variance: Initial φ of every action dimension; σ² = e^φ.
          policy_gradient_clipping: V_max of Appendix D, largest global norm of the
            policy's gradient, > 0; None leaves it alone.
          gradient_clipping: The same for the critic's weight gradients.
          td_errors_loss_fn: Elementwise loss of targets and values, both [B].
          independent_minibatches: As `SmoothieAgent`'s: lines 7 and 9 of Algorithm 3
            sample a minibatch each.
          seed: Seed of the draws, as `SmoothieAgent`'s.
          train_step_counter: Counts training steps; the global step if None.
          name: Name of the agent.
          learn_stddev: Whether φ learns; otherwise σ stays as it is.
          deterministic: Whether η is 0 in policy and targets and σ_φ mere exploration,
            which does not learn: the deterministic policy gradient (Section 3).
          stored_next_action: Whether the target's next action is the stored a^{k+1},
            line 9 of Algorithm 3, and each error weighted by its importance, in
            place of one drawn anew from the current policy, weight 1.
          policy_from_last_episode: Whether a training step follows each episode, and
            the policy learns from that episode, as in Appendix D.
          critic_updates: Updates of the critic in such a step, ≥ 1; the task's
            `max_episode_steps` if None.
          policy_updates: Updates of the policy in such a step, each on the whole
            episode; `max_episode_steps` if None.
          max_episode_steps: The task's time limit.

        Raises:
          ValueError: If an argument is not allowed, as `SmoothieAgent` says.
        """
        owner = type(self).__name__
        validation.check_flags(
            owner,
            learn_stddev=learn_stddev,
            deterministic=deterministic,
            stored_next_action=stored_next_action,
            policy_from_last_episode=policy_from_last_episode,
        )
        if policy_from_last_episode:
            for each, updates in (
                ("critic_updates", critic_updates),
                ("policy_updates", policy_updates),
            ):
                if updates is None and max_episode_steps is None:
                    raise ValueError(
                        f"{owner}.{each} must be a whole number of at least 1 for a"
                        " task without max_episode_steps, but is None."
                    )
            critic_updates = critic_updates or max_episode_steps
            policy_updates = policy_updates or max_episode_steps
            validation.check(
                owner,
                "count",
                critic_updates=critic_updates,
                policy_updates=policy_updates,
            )
        if deterministic and stored_next_action:
            raise ValueError(
                f"{owner}.stored_next_action must be False where {owner}.deterministic"
                " is True, but is True: a deterministic policy did not choose it."
            )
        self._learns_covariance = learn_stddev and not deterministic
        self._deterministic = deterministic
        validation.check(owner, "count", target_update_period=target_update_period)
        validation.check(
            owner,
            "positive",
            optional=True,
            importance_weight_clipping=importance_weight_clipping,
            policy_gradient_clipping=policy_gradient_clipping,
        )
        super().__init__(
            time_step_spec,
            action_spec,
            actor_network,
            critic_network,
            actor_optimizer,
            critic_optimizer,
            gamma=gamma,
            kl_penalty=0.0,
            target_update_tau=target_update_tau,
            reward_scale_factor=reward_scale_factor,
            initial_log_variance=initial_log_variance,
            gradient_clipping=gradient_clipping,
            dqda_clipping=None,
            td_errors_loss_fn=td_errors_loss_fn,
            independent_minibatches=independent_minibatches,
            nested_tapes=False,
            seed=seed,
            train_step_counter=train_step_counter,
            name=name,
        )
        self._infer_noise = infer_noise
        self._importance_weight_clipping = importance_weight_clipping
        self._target_update_period = target_update_period
        self._policy_gradient_clipping = policy_gradient_clipping
        #: Whether training is handed what was done after each transition.
        self.uses_next_action = stored_next_action
        #: Whether the loop trains when an episode has ended, and hands it over.
        self.trains_at_episode_end = policy_from_last_episode
        # Draws of one training step: of the policy's noise, and of next actions.
        self._policy_draws, self._critic_draws = 1, 1
        if policy_from_last_episode:
            self.minibatches_per_train = int(critic_updates)
            self._policy_draws = int(policy_updates)
            self._critic_draws = int(critic_updates)

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

        so descending −w·Q̂ ascends the return. Where η is inferred, ã has the stored
        action's value, and w corrects for the policy that chose it, (13).

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
        mean, _ = self._actor_network(observation, training=True)
        stddev = tf.exp(0.5 * self._log_variance)
        noise, importance = self._policy_noise(
            action, mean, stddev, log_probability, draw
        )
        value, _ = self._critic_network((observation, mean + stddev * noise))
        loss = -tf.reduce_mean(weights * importance * value)  # Line 11.
        return (
            loss,
            tf.reduce_mean(weights * value),
            tf.reduce_mean(weights * importance),
        )

    def _policy_noise(self, action, mean, stddev, log_probability, draw):
        """Returns η and w, both held constant."""
        if self._deterministic:
            return tf.zeros_like(action), tf.ones_like(log_probability)
        if not self._infer_noise:
            draws_a_step = self._policy_draws + self._critic_draws
            draw = tf.cast(draw, tf.int64)
            noise = self._noise(tf.shape(action), draw, draws_a_step)  # η ~ ρ(η)
            return tf.stop_gradient(noise), tf.ones_like(log_probability)
        # Infer η^k | (s^k, a^k), Appendix B; w of (13), truncated as in Appendix D.
        return value_gradients.infer_noise(
            action, mean, stddev
        ), value_gradients.importance_weights(
            gaussian.log_probability(action, mean, stddev),
            log_probability,
            self._importance_weight_clipping,
        )

    def critic_loss(
        self,
        time_steps: ts.TimeStep,
        action: tf.Tensor,
        next_time_steps: ts.TimeStep,
        weights: tf.Tensor,
        stored: tuple[tf.Tensor, tf.Tensor, tf.Tensor] | None = None,
        draw: tf.Tensor | int = 0,
    ) -> tf.Tensor:
        """The error of fitted policy evaluation, Algorithm 4, for Q̂.

        The next action is drawn anew from the current policy, so that nothing is to
        be weighted: the value of a stored action does not depend on how it was
        chosen. With `stored_next_action` it is the stored one where there is one, and
        what is weighted is how probable that is now.

        Args:
          time_steps: States s^k, observations of shape [B, S].
          action: Stored actions a^k, shape [B, A].
          next_time_steps: Rewards r^k, discounts (0 where the episode terminated)
            and next states s^{k+1}.
          weights: Weight of each transition, shape [B].
          stored: The stored next actions, shape [B, A], their log-probabilities under
            the policies that chose them, shape [B], and whether there is one, shape
            [B]; None to draw them.
          draw: Number of the critic's update within the training step.

        Returns:
          The mean loss, a scalar.
        """
        next_mean, _ = self._actor_network(next_time_steps.observation)
        stddev = tf.exp(0.5 * self._log_variance)
        next_action = next_mean + stddev * self._next_noise(tf.shape(next_mean), draw)
        if stored is not None:
            stored_action, stored_log_probability, is_stored = stored
            importance = value_gradients.importance_weights(
                gaussian.log_probability(stored_action, next_mean, stddev),
                stored_log_probability,
                self._importance_weight_clipping,
            )
            # After an episode's end, and before the newest action is stored, there is
            # none. A value that is discounted by 0 does not depend on it.
            weighs = is_stored & (next_time_steps.discount > 0)
            weights *= tf.where(weighs, importance, tf.ones_like(importance))
            next_action = tf.where(is_stored[:, tf.newaxis], stored_action, next_action)
        next_value, _ = self._target_critic_network(
            (next_time_steps.observation, next_action)
        )
        target = tf.stop_gradient(
            self._reward_scale_factor * next_time_steps.reward
            + self._gamma * next_time_steps.discount * next_value
        )  # Algorithm 4, line 6.
        value, _ = self._critic_network((time_steps.observation, action), training=True)
        return tf.reduce_mean(weights * self._td_errors_loss_fn(target, value))

    def _next_noise(self, shape, draw):
        if self._deterministic:
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
        if stored is not None:
            # The critic's minibatch is the last.
            size = tf.shape(critic_batch[1])[0]
            critic_batch = (*critic_batch, tuple(x[-size:] for x in stored))
        critic_loss = self._train_critic(critic_batch)  # Lines 6 and 7.
        with tf.control_dependencies([critic_loss]):
            seen_by_policy = self._train_policy(policy_batch)  # Lines 8 to 12.
        with tf.control_dependencies(seen_by_policy):
            self.train_step_counter.assign_add(1)
            self._update_targets_when_due(self.train_step_counter)
        return self._loss_info(policy_batch, critic_loss, *seen_by_policy)

    def _train_after_episode(self, experience, weights, stored, episode, mask):
        """Trains the critic from replay, then the policy from the last episode."""
        if episode is None:
            raise ValueError(
                f"{type(self).__name__} learns from the last episode, but was trained"
                " without one."
            )
        transition = self._as_transition(experience)
        boundary = parts.boundary_weights(transition.time_step, weights)
        batch = (
            transition.time_step,
            transition.action_step.action,
            transition.next_time_step,
            boundary,
            stored or (),
        )
        number = self._critic_draws
        batch = tf.nest.map_structure(
            lambda x: tf.reshape(x, [number, -1, *x.shape[1:]]), batch
        )
        before = tf.cast(self.train_step_counter, tf.int64) * number

        def update_critic(i, total):
            minibatch = tf.nest.map_structure(lambda x: x[i], batch)
            loss = self._train_critic((*minibatch[:-1], minibatch[-1] or None, i))
            with tf.control_dependencies([loss]):
                # Updates are counted over all training steps.
                done = before + tf.cast(i, tf.int64) + 1
                updated = self._update_targets_when_due(done)
            with tf.control_dependencies([updated]):
                return i + 1, total + loss

        _, critic_loss = tf.while_loop(
            lambda i, _: i < number,
            update_critic,
            (0, tf.zeros([])),
            parallel_iterations=1,
        )
        critic_loss /= number
        mask = tf.cast(mask, tf.float32)
        for_policy = self._policy_batch(episode, mask / tf.reduce_mean(mask))

        def update_policy(i, *totals):
            seen = self._train_policy((*for_policy, i))
            return i + 1, *(t + x for t, x in zip(totals, seen, strict=True))

        with tf.control_dependencies([critic_loss]):
            _, *totals = tf.while_loop(
                lambda i, *_: i < self._policy_draws,
                update_policy,
                (0, tf.zeros([]), tf.zeros([]), tf.zeros([])),
                parallel_iterations=1,
            )
        with tf.control_dependencies(totals):
            self.train_step_counter.assign_add(1)
        seen_by_policy = (total / self._policy_draws for total in totals)
        return self._loss_info(for_policy, critic_loss, *seen_by_policy)

    def _stored(self, experience, next_action_step, next_is_stored):
        """Returns the stored next actions, as `critic_loss` takes them, if it does."""
        if not self.uses_next_action:
            return None
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
        def update():
            self._update_targets(self._target_update_tau)
            return True

        due = done % self._target_update_period == 0
        return tf.cond(due, update, lambda: False)  # Algorithm 4, line 10.

    def _policy_batch(self, transition, weights):
        step = transition.action_step
        log_probability = policy_step.get_log_probability(step.info)
        return transition.time_step.observation, step.action, log_probability, weights

    def _loss_info(self, policy_batch, critic_loss, actor_loss, q, importance_weight):
        del policy_batch
        stddev = tf.reduce_mean(tf.exp(0.5 * self._log_variance))
        return tf_agent.LossInfo(
            actor_loss + critic_loss,
            Svg0Info(actor_loss, critic_loss, q, importance_weight, stddev),
        )
