"""Smoothie: Algorithm 1 of Nachum et al. (2018).

The critic learns the Gaussian-smoothed action value of a policy N(μ_θ(s), Σ_φ(s)),

    Q̃(s, a) = ∫ N(ã|a, Σ) Q(s, ã) dã,                                          (9)

the expected discounted return if the first action is drawn from N(a, Σ(s)) and all
later ones from the policy. Its gradient in the action at the mean, times ∇θ μ_θ, is
the policy gradient for θ, (13); half its Hessian there, times ∇φ Σ_φ, is that for φ,
(15), by Theorem 1. So a Gaussian policy learns its own exploration from a critic. The
policy's update samples no actions; the critic's samples one phantom action per
transition.

The lines of Algorithm 1, in order, and where this code implements them:

    Input: λ; τ; γ               SmoothieConfig and its bases
    Input: η_π, η_Q; B, N        factory.py; training/settings.py
    Initialize                   actor_critic.py: `_create_networks`, `_initialize`
    Collect experience           `collect_policy`; training/train.py: `_take_step`
    Train μ, Σ                   `policy_loss`; the step: actor_critic.py
    Train Q̃                      `critic_loss`; the step: actor_critic.py
    Update target variables      actor_critic.py: `_update_targets`
    ... in this order            `_train`

Equation numbers are the paper's. Shapes: B batch, S state, A action.
"""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts

from smoothie_tf import (
    action_derivatives,
    covariances,
    policy_evaluation,
    validation,
)
from smoothie_tf.agents import actor_critic, parts
from smoothie_tf.networks import critic_network as critic_networks


class SmoothieInfo(NamedTuple):
    """Metrics of one training step, each a scalar.

    Attributes:
      actor_loss: The negative surrogate plus λ·KL. Its value has no meaning, see
        `policy_loss`.
      critic_loss: Mean loss of the Bellman error (18), Huber by default, or the
        variant's losses.
      kl: Mean KL(π ‖ π′) to the target policy, in nats; 0 if it is not penalised.
      q: Mean Q̃(s, μ_θ(s)), of the scaled reward.
      policy_stddev: Mean of the policy's standard deviations, in action units.
    """

    actor_loss: tf.Tensor
    critic_loss: tf.Tensor
    kl: tf.Tensor
    q: tf.Tensor
    policy_stddev: tf.Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmoothieConfig(actor_critic.ActorCriticConfig):
    """Hyperparameters of Algorithm 1, besides those of every actor-critic.

    Attributes:
      kl_penalty: λ of (20), ≥ 0. At 0 no divergence is computed.
      covariance: One of `covariances.KINDS`.
      initial_log_variance: φ at the start, of every action dimension: σ² = e^φ in
        squared action units, in [−80, 80].
      covariance_learning_rate_factor: Factor of each optimizer step of φ, ≥ 0: at 1
        θ and φ have one learning rate, as in Algorithm 1; at 0 Σ keeps its initial
        value. A step smaller than about 1e-7 (at φ = −3) has no effect in single
        precision.
      min_stddev: Lower bound of each σ, > 0, in action units; None for no bound. For
        the covariance "diagonal" only, as `max_stddev`.
      max_stddev: Upper bound of each σ, at least `min_stddev`; None for no bound.
      clip_actions: Whether `collect_policy` clips its actions to the action bounds, as
        DDPG's does. Replay then holds clipped actions, where (18) asks for unclipped
        ones.
      dqda_clipping: Largest absolute value of each component of ∂Q̃/∂a in the policy
        update, > 0; None does not clip. Table 1's "clipping on gradients of Q" can mean
        this or `gradient_clipping`.
      nested_tapes: Whether to differentiate by nested tapes even if the critic has
        `action_derivatives`.
      replay_weight_clipping: Largest weight 1/q(ã|s) in (18), in multiples of the
        minibatch's mean, ≥ 1; None uses no weights, as in the paper's experiments.
        With weights, `collect_policy` stores the log-probability of each action.
    """

    owner: ClassVar[str] = "SmoothieAgent"

    kl_penalty: float = 0.0
    covariance: str = "diagonal"
    initial_log_variance: float = -1.0
    covariance_learning_rate_factor: float = 1.0
    min_stddev: float | None = None
    max_stddev: float | None = None
    clip_actions: bool = False
    dqda_clipping: float | None = None
    nested_tapes: bool = False
    replay_weight_clipping: float | None = None

    @property
    def stores_log_probability(self) -> bool:
        """Whether replay holds log q(ã|s), for the weights of (18)."""
        return self.replay_weight_clipping is not None

    def __post_init__(self):
        super().__post_init__()
        self._check("non-negative", "kl_penalty", "covariance_learning_rate_factor")
        optional = "dqda_clipping", "replay_weight_clipping", "min_stddev", "max_stddev"
        self._check("positive", *optional, optional=True)
        self._check_flags("clip_actions", "nested_tapes")
        validation.check_choice(
            self.owner, tuple(covariances.KINDS), covariance=self.covariance
        )
        self._check_stddev_bounds()
        clipping = self.replay_weight_clipping
        if clipping is not None and clipping < 1:
            raise ValueError(
                f"{self.owner}.replay_weight_clipping must be at least 1, the mean of"
                f" the weights, but is {self.replay_weight_clipping!r}."
            )
        if self.stores_log_probability and self.clip_actions:
            raise ValueError(
                f"{self.owner}.clip_actions must be False where stored actions are"
                " weighted by their probability density, which clipped actions do not"
                " have, but is True."
            )

    def _check_stddev_bounds(self):
        low, high = self.min_stddev, self.max_stddev
        if low is None and high is None:
            return
        if self.covariance != "diagonal":
            raise ValueError(
                f"{self.owner}.min_stddev and max_stddev need the covariance"
                f" 'diagonal', but it is {self.covariance!r}."
            )
        initial = math.exp(0.5 * self.initial_log_variance)
        slack = 1 + 1e-9  # φ may be the rounded logarithm of a bound.
        if not (low or 0.0) / slack <= initial <= (high or math.inf) * slack:
            raise ValueError(
                f"{self.owner}.initial_log_variance is {self.initial_log_variance!r}, a"
                f" σ of {initial:.3g}, but must be within min_stddev {low!r} and"
                f" max_stddev {high!r}."
            )


class SmoothieAgent(actor_critic.ActorCriticAgent):
    """Learns the mean and the covariance of a Gaussian policy (Algorithm 1)."""

    config_class = SmoothieConfig
    _config: SmoothieConfig

    # Train μ, Σ.

    def policy_loss(
        self, observation: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The surrogate whose gradient is Algorithm 1's Δθ and Δφ, negated.

        With g = ∂Q̃/∂a and H = ∂²Q̃/∂a² at a = μ_θ(s), both held constant,

            ∇θ [g·μ_θ(s)]  = g·∇θ μ_θ(s)     the integrand of (13), and
            ∇φ [½·H·Σ_φ]   = ½·H·∇φ Σ_φ      the integrand of (15),

        so descending −(g·μ_θ + ½·H·Σ_φ) + λ·KL ascends (20). Where Σ is not diagonal,
        H·Σ is the trace of the matrix product. Only the surrogate's gradient has a
        meaning, not its value.

        Args:
          observation: States s_k, shape [B, S].
          weights: Weight of each state, shape [B].

        Returns:
          The loss, the mean divergence in nats, and the mean Q̃(s, μ_θ(s)): scalars.
        """
        mean, _ = self._actor_network(observation, training=self._training)
        covariance = self._covariance.at(observation)

        # Compute gradients g_k and Hessians H_k at a = μ_θ(s_k). θ learns through
        # `mean` in the surrogate, not through the point of differentiation.
        value, g, H = self.critic_derivatives(observation, tf.stop_gradient(mean))
        g, H = tf.stop_gradient(g), tf.stop_gradient(H)
        if self._config.dqda_clipping is not None:
            limit = self._config.dqda_clipping
            g = tf.clip_by_value(g, -limit, limit)

        # Compute penalties KL_k.
        kl, kl_penalty = tf.zeros([]), self._config.kl_penalty
        if kl_penalty > 0:
            target_mean, _ = self._target_actor_network(observation)
            target_covariance = self._covariance.target.at(observation)
            kl = tf.reduce_mean(
                weights * covariance.kl_divergence(mean, target_mean, target_covariance)
            )

        # Compute updates Δθ, Δφ.
        surrogate = tf.reduce_sum(g * mean, axis=-1)  # (13)
        surrogate += covariance.half_trace(H)  # (15)
        loss = -tf.reduce_mean(weights * surrogate)
        if kl_penalty > 0:
            loss += kl_penalty * kl  # (20)
        return loss, kl, tf.reduce_mean(weights * value)

    def critic_derivatives(
        self, observation: tf.Tensor, action: tf.Tensor
    ) -> action_derivatives.ActionDerivatives:
        """Returns Q̃_w, and its gradient and Hessian in the action.

        Args:
          observation: States, shape [B, S].
          action: Where to differentiate, shape [B, A].

        Returns:
          The derivatives: by forward propagation (supplement D.1) if the critic has it
          and `nested_tapes` is False, else by nested tapes. For a diagonal covariance
          only the diagonal of the Hessian, for a full one the whole matrix.
        """
        full, critic = self._covariance.form.full_hessian, self._critic_network
        fast = critic_networks.has_method_of_call(critic, "action_derivatives")
        if self._config.nested_tapes or not fast:
            return action_derivatives.by_nested_tapes(
                lambda a: critic((observation, a))[0], action, full
            )
        return critic.action_derivatives(observation, action, full)

    # Train Q̃.

    def critic_loss(
        self,
        time_steps: ts.TimeStep,
        action: tf.Tensor,
        next_time_steps: ts.TimeStep,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        """The Bellman error of the smoothed Q-function at phantom actions, (18).

        A phantom action is drawn from N(ã, Σ) around a stored action ã. If stored
        actions are uniform, the targets at a fixed a are therefore weighted by
        N(a|ã, Σ) = N(ã|a, Σ), as in the Bellman equation (12), and Q̃ is the fixed
        point. The error passes through `td_errors_loss_fn`: Huber by default (Table 1),
        where (18) has the square.

        If stored actions come from the current policy instead, (18) is biased: where Q̃
        is quadratic, a critic that can represent it learns ½ of its gradient and ¼ of
        its Hessian (results/ablations.md). The weights 1/q(ã|s) of (18) correct this.
        As in the paper they are left out, unless `replay_weight_clipping` is set;
        `_critic_batch` then multiplies them into `weights`.

        Args:
          time_steps: States s_k, observations of shape [B, S].
          action: Stored actions ã_k, shape [B, A].
          next_time_steps: Rewards r̃_k, discounts (0 where the episode terminated) and
            next states s̃′_k.
          weights: Weight of each transition, shape [B].

        Returns:
          The mean loss, a scalar.
        """
        observation = time_steps.observation
        # Sample phantom actions a_k ~ N(ã_k, Σ_φ(s_k)).
        noise = self._noise(tf.shape(action))
        phantom = self._covariance.at(observation).perturb(action, noise)
        # Compute loss.
        target = self._smoothed_target(next_time_steps)
        value, _ = self._critic_network((observation, phantom), training=self._training)
        return tf.reduce_mean(
            weights * self._config.td_errors_loss_fn(target, value)
        )  # (18)

    def _smoothed_target(self, next_time_steps):
        """Returns the target of (18), c·r̃ + γ·d·Q̃_w′(s̃′, μ_θ′(s̃′)), constant, [B].

        c is `reward_scale_factor`; d is 0 where the episode terminated, else 1.
        """
        next_observation = next_time_steps.observation
        next_mean, _ = self._target_actor_network(next_observation)
        next_value, _ = self._target_critic_network((next_observation, next_mean))
        return self._bellman_target(next_time_steps, next_value)

    def _critic_batch(self, transition, weights):
        if self._config.replay_weight_clipping is not None:
            weights = policy_evaluation.inverse_density_weights(
                policy_step.get_log_probability(transition.action_step.info),
                weights,
                self._config.replay_weight_clipping,
            )  # 1/q(ã|s) of (18).
        return super()._critic_batch(transition, weights)

    # One step of the loop.

    def _train(self, experience, weights=None):
        # Algorithm 1's two batches: the halves of `experience`.
        policy_batch, critic_batch = self._minibatches(experience, weights)
        # Train μ, Σ: θ ← θ + η_π·Δθ, φ ← φ + η_π·Δφ, by an optimizer's step.
        policy_outputs = self._train_policy(policy_batch)
        # Train Q̃: w ← w − η_Q·∇w L(w). Phantom actions are drawn with the new φ; the
        # dependency keeps the update of w after the reads of w in `policy_loss`.
        with tf.control_dependencies(policy_outputs):
            critic_loss = self._train_critic(critic_batch)
        # Update target variables: θ′ ← (1 − τ)·θ′ + τ·θ; φ′ and w′ likewise.
        with tf.control_dependencies([critic_loss]):
            self._update_targets(self._config.target_update_tau)
            self.train_step_counter.assign_add(1)
        return self._loss_info(policy_batch, critic_loss, *policy_outputs)

    def _loss_info(self, policy_batch, critic_loss, actor_loss, kl, q):
        observation, *_ = policy_batch
        stddev = tf.reduce_mean(self.policy_stddev(observation))
        return tf_agent.LossInfo(
            actor_loss + critic_loss,
            SmoothieInfo(actor_loss, critic_loss, kl, q, stddev),
        )

    # Before Algorithm 1.

    def _create_networks(self, actor, critic, observation_spec, action_spec):
        super()._create_networks(actor, critic, observation_spec, action_spec)
        if self._config.covariance_learning_rate_factor > 0:
            parts.warn_if_flat(
                self.critic_derivatives, observation_spec, action_spec.shape
            )
