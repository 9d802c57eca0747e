"""Smoothie: Algorithm 1 of Nachum et al. (2018).

The critic learns the Gaussian-smoothed action value of a policy N(μ_θ(s), Σ_φ),

    Q̃(s, a) = ∫ N(ã|a, Σ_φ) Q(s, ã) dã,                                        (9)

the return of first acting near a and then following the policy. Its gradient in the
action, taken at the mean, is the policy gradient for μ_θ; half its Hessian there is
the policy gradient for Σ_φ (Theorem 1). So a Gaussian policy learns its own
exploration from a critic, without a single sampled action in its update.

Equation numbers are the paper's. Shapes: B batch, S state, A action.
"""

from collections.abc import Sequence
from typing import NamedTuple

import gin
import tensorflow as tf
from tf_agents.agents import data_converter, tf_agent
from tf_agents.networks import network
from tf_agents.policies import greedy_policy
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types
from tf_agents.utils import common

from smoothie_tf import (
    action_derivatives,
    covariances,
    gaussian,
    policy_evaluation,
    validation,
)
from smoothie_tf.agents import parts
from smoothie_tf.networks import covariance_network, keras_network
from smoothie_tf.networks import critic_network as critic_networks
from smoothie_tf.policies import gaussian_policy

#: What Σ_φ may be: "diagonal" is the paper's e^φ; "full" has a Cholesky factor; with
#: "state_…" φ is a network's output.
COVARIANCES = ("diagonal", "full", "state_diagonal", "state_full")
#: The paper's two ways to learn Q̃: (18), which is its experiments' and the default, and
#: (16) with (17).
EVALUATIONS = ("smoothed", "expected")


class SmoothieInfo(NamedTuple):
    """What one training step saw, each a scalar.

    Attributes:
      actor_loss: Negative of the surrogate that the policy ascends.
      critic_loss: Huber loss of the Bellman error (18).
      kl: Mean KL(π ‖ π′) to the target policy, in nats; 0 if it is not penalised.
      q: Mean Q̃(s, μ_θ(s)), of the scaled reward.
      policy_stddev: Mean of the policy's standard deviations, in action units.
    """

    actor_loss: tf.Tensor
    critic_loss: tf.Tensor
    kl: tf.Tensor
    q: tf.Tensor
    policy_stddev: tf.Tensor


@gin.configurable(module="smoothie_tf")
class SmoothieAgent(tf_agent.TFAgent):
    """Learns the mean and the covariance of a Gaussian policy (Algorithm 1)."""

    # What a neighbour that puts other losses in the place of `policy_loss` and
    # `critic_loss` may do otherwise.
    _learns_covariance = True
    _stores_log_probability = False
    _policy_gradient_clipping: float | None = None

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        actor_network: network.Network | tf.keras.Model,
        critic_network: network.Network | tf.keras.Model,
        actor_optimizer: types.Optimizer,
        critic_optimizer: types.Optimizer,
        gamma: float = 0.995,
        kl_penalty: float = 0.0,
        target_update_tau: float = 0.01,
        reward_scale_factor: float = 1.0,
        initial_log_variance: float = -1.0,
        covariance_learning_rate_factor: float = 1.0,
        clip_actions: bool = False,
        gradient_clipping: float | None = 4.0,
        dqda_clipping: float | None = None,
        td_errors_loss_fn: types.LossFn = common.element_wise_huber_loss,
        independent_minibatches: bool = True,
        nested_tapes: bool = False,
        covariance: str = "diagonal",
        evaluation: str = "smoothed",
        smoothing_samples: int = 16,
        importance_weight_clipping: float | None = None,
        bellman_error_weights: Sequence[float] = (1.0, 0.0, 0.0),
        derivative_baseline: bool = False,
        seed: int | None = None,
        train_step_counter: tf.Variable | None = None,
        name: str | None = None,
    ):
        """Creates the agent.

        Args:
          time_step_spec: Spec of the time steps, observations of shape [S].
          action_spec: Bounded float spec of the actions, shape [A].
          actor_network: μ_θ, from observations [B, S] to means [B, A].
          critic_network: Q̃_w, from (observations [B, S], actions [B, A]) to values
            [B]. A method `action_derivatives(observation, action)`, as
            `CriticNetwork` has, makes its Hessian fast (supplement D.1).
          actor_optimizer: Optimizer of θ and φ (η_π).
          critic_optimizer: Optimizer of w (η_Q).
          gamma: Discount γ, in [0, 1].
          kl_penalty: λ of (20), ≥ 0. At 0 no divergence is computed.
          target_update_tau: Share τ of the new weights in each target update, in
            (0, 1].
          reward_scale_factor: Multiplies every reward, > 0.
          initial_log_variance: Initial φ of every action dimension.
          covariance_learning_rate_factor: Share of each step of the actor's optimizer
            that φ takes, ≥ 0: at 1 θ and φ have one learning rate, as in Algorithm 1;
            at 0 Σ stays as it starts.
          clip_actions: Whether `collect_policy` clips what it draws to the action
            bounds, as DDPG's does. Replay then holds the image of ã, where (18)
            asks for the draw.
          gradient_clipping: Largest global norm of the critic's weight gradients,
            > 0; None leaves them alone.
          dqda_clipping: Largest absolute value of each component of ∂Q̃/∂a in the
            policy update, > 0; None leaves them alone. The other reading of the
            paper's "clipping on gradients of Q".
          td_errors_loss_fn: Elementwise loss of targets and values, both [B].
          independent_minibatches: Whether policy and critic learn from a minibatch
            each, as in Algorithm 1. Experience then comes as one batch of 2B: its
            first half trains the policy, its second the critic. Otherwise both
            learn from the whole batch, as in TF-Agents' own agents.
          nested_tapes: Whether to differentiate by nested tapes even where the
            critic offers `action_derivatives`.
          covariance: One of `COVARIANCES`.
          evaluation: One of `EVALUATIONS`: "smoothed" learns Q̃ by (18), "expected"
            learns Q by (16) with a critic of its own, and fits Q̃ to it by (17).
          smoothing_samples: Actions ã for the expectation in (17), ≥ 1.
          importance_weight_clipping: Largest weight 1/q(ã|s) in (18), in multiples of
            the minibatch's mean, ≥ 1; None leaves the weights out, as the paper's
            experiments do. With weights, stored actions need the log-probability that
            `collect_policy` then puts into its info.
          bellman_error_weights: Of the errors of Q̃, of its gradient and of its
            Hessian, k = 0, 1, 2 of supplement C; ≥ 0 and not all 0. (18) alone is
            (1, 0, 0).
          derivative_baseline: Whether targets of derivatives are less the target
            critic's value at the phantom action. Hermite factors have mean 0: it
            changes the targets' variance, not their mean.
          seed: Seed of the phantom actions; None draws one from TensorFlow's
            global seed. A training step's draws are a function of the seed and
            `train_step_counter` alone.
          train_step_counter: Counts training steps; the global step if None.
          name: Name of the agent.

        Raises:
          ValueError: If a number is out of range, an optimizer is missing, or a
            network does not map the specs to the shapes above.
        """
        tf.Module.__init__(self, name=name)
        owner = type(self).__name__
        validation.check(owner, "probability", gamma=gamma)
        validation.check(owner, "non-negative", kl_penalty=kl_penalty)
        validation.check(owner, "share", target_update_tau=target_update_tau)
        validation.check(owner, "positive", reward_scale_factor=reward_scale_factor)
        validation.check(
            owner,
            "positive",
            optional=True,
            gradient_clipping=gradient_clipping,
            dqda_clipping=dqda_clipping,
        )
        validation.check(owner, "finite", initial_log_variance=initial_log_variance)
        validation.check(
            owner,
            "non-negative",
            covariance_learning_rate_factor=covariance_learning_rate_factor,
        )
        validation.check_flags(
            owner,
            independent_minibatches=independent_minibatches,
            clip_actions=clip_actions,
            nested_tapes=nested_tapes,
            derivative_baseline=derivative_baseline,
        )
        weighed = self._stores_log_probability or importance_weight_clipping is not None
        if weighed and clip_actions:
            raise ValueError(
                f"{owner}.clip_actions must be False where stored actions are weighed"
                " by their probability, which a clipped one has not, but is True."
            )
        validation.check_choice(owner, COVARIANCES, covariance=covariance)
        validation.check_choice(owner, EVALUATIONS, evaluation=evaluation)
        validation.check(owner, "count", smoothing_samples=smoothing_samples)
        self._check_errors(
            evaluation, importance_weight_clipping, bellman_error_weights
        )
        if not callable(td_errors_loss_fn):
            raise ValueError(
                f"{owner}.td_errors_loss_fn must be a function of targets and values,"
                f" but is {td_errors_loss_fn!r}."
            )
        for name_of, optimizer in (
            ("actor_optimizer", actor_optimizer),
            ("critic_optimizer", critic_optimizer),
        ):
            if optimizer is None:
                raise ValueError(
                    f"{owner}.{name_of} must be an optimizer, but is None."
                )
        observation_spec = time_step_spec.observation
        critic_spec = (observation_spec, action_spec)
        self._actor_network = keras_network.as_network(
            actor_network, observation_spec, "ActorNetwork"
        )
        self._critic_network = keras_network.as_network(
            critic_network, critic_spec, "CriticNetwork"
        )
        parts.check_output(self._actor_network, observation_spec, action_spec.shape)
        # Initialize θ, φ, w, set θ′ = θ, φ′ = φ, w′ = w.
        self._create_covariance(
            covariance, observation_spec, action_spec.shape[-1], initial_log_variance
        )
        self._bind(self._critic_network, target=False)
        parts.check_output(self._critic_network, critic_spec, ())
        self._target_actor_network = common.maybe_copy_target_network_with_checks(
            self._actor_network, None, "TargetActorNetwork", observation_spec
        )
        self._target_critic_network = common.maybe_copy_target_network_with_checks(
            self._critic_network, None, "TargetCriticNetwork", critic_spec
        )
        self._bind(self._target_critic_network, target=True)
        self._action_value_network = self._target_action_value_network = None
        if evaluation == "expected":
            self._action_value_network = common.maybe_copy_target_network_with_checks(
                self._critic_network, None, "ActionValueNetwork", critic_spec
            )
            self._target_action_value_network = (
                common.maybe_copy_target_network_with_checks(
                    self._critic_network, None, "TargetActionValueNetwork", critic_spec
                )
            )
        self._actor_optimizer = actor_optimizer
        self._critic_optimizer = critic_optimizer
        self._gamma = gamma
        self._kl_penalty = kl_penalty
        self._target_update_tau = target_update_tau
        self._reward_scale_factor = reward_scale_factor
        self._covariance_factor = covariance_learning_rate_factor
        self._gradient_clipping = gradient_clipping
        self._dqda_clipping = dqda_clipping
        self._td_errors_loss_fn = td_errors_loss_fn
        self._smoothing_samples = smoothing_samples
        self._replay_weight_clipping = importance_weight_clipping
        self._value_weight, self._gradient_weight, self._hessian_weight = (
            float(weight) for weight in bellman_error_weights
        )
        self._derivative_baseline = derivative_baseline
        self._nested_tapes = nested_tapes or not hasattr(
            self._critic_network, "action_derivatives"
        )
        if seed is None:
            seed = tf.random.uniform([], maxval=tf.int32.max, dtype=tf.int32)
        self._seed = tf.Variable(
            tf.cast(seed, tf.int64), trainable=False, name="phantom_action_seed"
        )
        #: Minibatches that one call of `train` consumes.
        self.minibatches_per_train = 2 if independent_minibatches else 1

        policy_arguments = (
            time_step_spec,
            action_spec,
            self._actor_network,
            self._covariance_source(),
        )
        policy = collect_policy = gaussian_policy.GaussianPolicy(
            *policy_arguments, kind=self._covariance
        )
        if weighed or clip_actions:
            collect_policy = gaussian_policy.GaussianPolicy(
                *policy_arguments,
                emit_log_probability=weighed,
                clip=clip_actions,
                kind=self._covariance,
            )
        super().__init__(
            time_step_spec,
            action_spec,
            policy=greedy_policy.GreedyPolicy(policy),
            collect_policy=collect_policy,
            train_sequence_length=2,
            train_step_counter=train_step_counter,
        )
        self._as_transition = data_converter.AsTransition(
            self.data_context, squeeze_time_dim=True
        )
        self._policy_variables = [
            *self._actor_network.trainable_variables,
            *(self._covariance_variables() if self._learns_covariance else []),
        ]
        parts.build_optimizer(actor_optimizer, self._policy_variables)
        parts.build_optimizer(critic_optimizer, self._critic_variables())

    @property
    def actor_network(self) -> network.Network:
        """μ_θ."""
        return self._actor_network

    @property
    def critic_network(self) -> network.Network:
        """Q̃_w."""
        return self._critic_network

    @property
    def log_variance(self) -> tf.Variable | None:
        """φ, shape [P], A for a diagonal covariance; None where a network gives it."""
        return self._log_variance

    def policy_stddev(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns the policy's standard deviations, shape [A] or [B, A].

        Args:
          observation: States, shape [B, S].
        """
        return self._covariance.stddev(self._covariance_parameters(observation))

    def action_derivatives(
        self, observation: tf.Tensor, action: tf.Tensor
    ) -> (
        action_derivatives.ActionDerivatives | action_derivatives.FullActionDerivatives
    ):
        """Returns Q̃_w, its gradient, and what Σ meets of its Hessian, in the action.

        Args:
          observation: States, shape [B, S].
          action: Where to differentiate, shape [B, A].

        Returns:
          Them, by forward propagation where the critic offers it and `nested_tapes`
          does not forbid it, else by nested tapes. Of the Hessian, a diagonal
          covariance meets the diagonal, a full one all.
        """
        full = self._covariance.full_hessian
        if self._nested_tapes:
            return action_derivatives.by_nested_tapes(
                lambda a: self._critic_network((observation, a))[0], action, full
            )
        if full:
            return self._critic_network.action_derivatives(observation, action, full)
        return self._critic_network.action_derivatives(observation, action)

    def policy_loss(
        self, observation: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The surrogate whose gradient is Algorithm 1's Δθ and Δφ, negated.

        With g = ∂Q̃/∂a and H = ∂²Q̃/∂a² at a = μ_θ(s), both held constant,

            ∇θ [g·μ_θ(s)]  = g·∇θ μ_θ(s)     the integrand of (13), and
            ∇φ [½·H·Σ_φ]   = ½·H·∇φ Σ_φ      the integrand of (15),

        so descending −(g·μ_θ + ½·H·Σ_φ) + λ·KL ascends (20). Where Σ is not diagonal,
        H·Σ is the trace of the product of two matrices. The surrogate's value
        means nothing; only its gradient does.

        Args:
          observation: States, shape [B, S].
          weights: Weight of each state, shape [B].

        Returns:
          The loss, the mean divergence in nats, and the mean Q̃(s, μ_θ(s)): scalars.
        """
        mean, _ = self._actor_network(observation, training=True)
        phi = self._covariance_parameters(observation)
        value, g, H = self.action_derivatives(observation, tf.stop_gradient(mean))
        g, H = tf.stop_gradient(g), tf.stop_gradient(H)
        if self._dqda_clipping is not None:
            g = tf.clip_by_value(g, -self._dqda_clipping, self._dqda_clipping)

        surrogate = tf.reduce_sum(g * mean, axis=-1)  # (13)
        surrogate += self._covariance.half_trace(H, phi)  # (15)
        loss = -tf.reduce_mean(weights * surrogate)
        kl = tf.zeros([])
        if self._kl_penalty > 0:
            target_mean, _ = self._target_actor_network(observation)
            kl = tf.reduce_mean(
                weights
                * self._covariance.kl_divergence(
                    mean,
                    phi,
                    target_mean,
                    self._covariance_parameters(observation, target=True),
                )
            )
            loss += self._kl_penalty * kl  # (20)
        return loss, kl, tf.reduce_mean(weights * value)

    def critic_loss(
        self,
        time_steps: ts.TimeStep,
        action: tf.Tensor,
        next_time_steps: ts.TimeStep,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        """The Bellman error of the smoothed Q-function at phantom actions, (18).

        For a fixed pair (s, a), the expectation over stored actions ã and phantom
        actions drawn around them weighs each target by N(a|ã, Σ) = N(ã|a, Σ), as
        the Bellman equation (12) does, if stored actions are near uniform: the
        weights 1/q(ã|s) are left out, as in the paper, unless
        `importance_weight_clipping` asks for them; then they are part of `weights`.

        Args:
          time_steps: States s, observations of shape [B, S].
          action: Stored actions ã, shape [B, A].
          next_time_steps: Rewards, discounts (0 where the episode terminated) and
            next states s̃′.
          weights: Weight of each transition, shape [B].

        Returns:
          The mean loss, a scalar.
        """
        if self._action_value_network is not None:
            return self._expected_value_loss(
                time_steps, action, next_time_steps, weights
            )
        observation = time_steps.observation
        # Sample phantom actions a_k ~ N(ã_k, Σ_φ(s_k)).
        phi = self._covariance_parameters(observation)
        noise = self._noise(tf.shape(action))
        phantom = self._covariance.perturb(action, phi, noise)
        next_mean, _ = self._target_actor_network(next_time_steps.observation)
        next_value, _ = self._target_critic_network(
            (next_time_steps.observation, next_mean)
        )
        target = self._target_value(next_time_steps, next_value)
        if not (self._gradient_weight or self._hessian_weight):
            value, _ = self._critic_network((observation, phantom), training=True)
            errors = self._td_errors_loss_fn(target, value)  # (18)
        else:
            factors = self._covariance.hermite_factors(phi, noise)
            errors = self._derivative_errors(observation, phantom, target, factors)
        return tf.reduce_mean(weights * errors)

    def _derivative_errors(self, observation, phantom, target, factors):
        """The derivative Bellman errors for k = 0, 1, 2, supplement (9), shape [B].

        With d = ã − a, differentiating N(ã|a, Σ) in (12) multiplies the target by
        Σ⁻¹d once, and by Σ⁻¹ddᵀΣ⁻¹ − Σ⁻¹ twice.
        """
        value, gradient, hessian = self.action_derivatives(observation, phantom)
        errors = self._value_weight * self._td_errors_loss_fn(target, value)  # k = 0
        if self._derivative_baseline:
            baseline, _ = self._target_critic_network((observation, phantom))
            target -= tf.stop_gradient(baseline)
        first = tf.stop_gradient(factors.first * target[:, tf.newaxis])
        errors += self._gradient_weight * policy_evaluation.squared_error(
            gradient, first
        )  # k = 1
        if self._hessian_weight:
            rank_one = tf.reshape(target, [-1] + [1] * (hessian.shape.rank - 1))
            errors += self._hessian_weight * policy_evaluation.squared_error(
                hessian, tf.stop_gradient(factors.second * rank_one)
            )  # k = 2
        return errors

    def _expected_value_loss(self, time_steps, action, next_time_steps, weights):
        """The other way to learn Q̃: (16) for Q, and (17) for Q̃; a scalar.

        Nothing is assumed about how stored actions are distributed.
        """
        observation, following = time_steps.observation, next_time_steps.observation
        # a′ ~ N(μ(s′), Σ(s′)).
        next_mean, _ = self._target_actor_network(following)
        next_action = self._covariance.perturb(
            next_mean,
            self._covariance_parameters(following, target=True),
            self._noise(tf.shape(next_mean), draw=0, draws_a_step=2),
        )
        next_value, _ = self._target_action_value_network((following, next_action))
        target = self._target_value(next_time_steps, next_value)
        value, _ = self._action_value_network((observation, action), training=True)
        errors = self._td_errors_loss_fn(target, value)  # (16)
        # ã ~ N(a, Σ(s)), several for each a.
        shape = tf.concat([[self._smoothing_samples], tf.shape(action)], axis=0)
        noise = self._noise(shape, draw=1, draws_a_step=2)
        around = self._covariance.perturb(
            action,
            self._covariance_parameters(observation),
            tf.ensure_shape(noise, [self._smoothing_samples, *action.shape]),
        )
        expectation = tf.reduce_mean(
            critic_networks.sample_values(
                self._target_action_value_network, observation, around
            ),
            axis=0,
        )
        smoothed, _ = self._critic_network((observation, action), training=True)
        errors += self._td_errors_loss_fn(tf.stop_gradient(expectation), smoothed)
        return tf.reduce_mean(weights * errors)  # (17)

    def _target_value(self, next_time_steps, next_value):
        return tf.stop_gradient(
            self._reward_scale_factor * next_time_steps.reward
            + self._gamma * next_time_steps.discount * next_value
        )

    def _create_covariance(self, covariance, observation_spec, actions, log_variance):
        """Makes φ and φ′: variables, or networks for a Σ that depends on the state."""
        full = covariance.endswith("full")
        self._covariance = covariances.FULL if full else covariances.DIAGONAL
        initial = self._covariance.initial_parameters(actions, log_variance)
        self._log_variance = self._target_log_variance = None
        self._covariance_network = self._target_covariance_network = None
        if covariance.startswith("state_"):
            sizes = self._covariance.parameter_sizes(actions, log_variance)
            self._covariance_network = covariance_network.CovarianceNetwork(
                observation_spec,
                initial.numpy().tolist(),
                parameter_sizes=sizes.numpy().tolist(),
            )
            self._covariance_network.create_variables(observation_spec)
            self._target_covariance_network = (
                common.maybe_copy_target_network_with_checks(
                    self._covariance_network,
                    None,
                    "TargetCovarianceNetwork",
                    observation_spec,
                )
            )
            return
        self._log_variance = tf.Variable(
            initial, trainable=self._learns_covariance, name="log_variance"
        )
        self._target_log_variance = tf.Variable(
            self._log_variance, trainable=False, name="target_log_variance"
        )

    def _covariance_source(self, target=False):
        """Returns what gives φ or φ′: a variable or a network."""
        if self._covariance_network is None:
            return self._target_log_variance if target else self._log_variance
        return self._target_covariance_network if target else self._covariance_network

    def _covariance_parameters(self, observation, target=False):
        """Returns φ or φ′ in states, shape [P] or [B, P]."""
        source = self._covariance_source(target)
        return source if self._covariance_network is None else source(observation)[0]

    def _covariance_variables(self, target=False):
        source = self._covariance_source(target)
        return [source] if self._covariance_network is None else source.variables

    def _critic_variables(self):
        variables = self._critic_network.trainable_variables
        if self._action_value_network is None:
            return variables
        return [*variables, *self._action_value_network.trainable_variables]

    def _bind(self, critic, target):
        """Tells a critic that is made for one policy, as (22) is, which it is."""
        if hasattr(critic, "bind_policy"):
            actor = self._target_actor_network if target else self._actor_network
            critic.bind_policy(actor, self._covariance_source(target), self._covariance)

    def _initialize(self):
        self._update_targets(tau=1.0)

    def _train(self, experience, weights=None):
        policy_batch, critic_batch = self._minibatches(experience, weights)
        seen_by_policy = self._train_policy(policy_batch)  # Train μ, Σ.
        with tf.control_dependencies(seen_by_policy):  # Why: see `parts`.
            critic_loss = self._train_critic(critic_batch)  # Train Q̃.
        with tf.control_dependencies([critic_loss]):
            self._update_targets(self._target_update_tau)  # Update target variables.
            self.train_step_counter.assign_add(1)
        return self._loss_info(policy_batch, critic_loss, *seen_by_policy)

    def _train_policy(self, batch):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._policy_variables)
            seen = self.policy_loss(*batch)
        with parts.share_of_step(self._covariance_variables(), self._covariance_factor):
            parts.descend(
                self._actor_optimizer,
                tape.gradient(seen[0], self._policy_variables),
                self._policy_variables,
                self._policy_gradient_clipping,
            )
        return seen

    def _train_critic(self, batch):
        critic_variables = self._critic_variables()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(critic_variables)
            loss = self.critic_loss(*batch)
        parts.descend(
            self._critic_optimizer,
            tape.gradient(loss, critic_variables),
            critic_variables,
            self._gradient_clipping,
        )
        return loss

    def _noise(self, shape, draw=0, draws_a_step=1):
        """Draws standard normal numbers for one of the draws of a training step."""
        step = tf.cast(self.train_step_counter, tf.int64)
        return gaussian.stateless_normal(
            shape, tf.stack([self._seed, draws_a_step * step + draw])
        )

    def _loss(self, experience, weights=None, training=False):
        del training  # Nothing in the losses depends on it.
        policy_batch, critic_batch = self._minibatches(experience, weights)
        seen_by_policy = self.policy_loss(*policy_batch)
        critic_loss = self.critic_loss(*critic_batch)
        return self._loss_info(policy_batch, critic_loss, *seen_by_policy)

    def _loss_info(self, policy_batch, critic_loss, actor_loss, kl, q):
        observation, *_ = policy_batch
        stddev = tf.reduce_mean(self.policy_stddev(observation))
        return tf_agent.LossInfo(
            actor_loss + critic_loss,
            SmoothieInfo(actor_loss, critic_loss, kl, q, stddev),
        )

    def _update_targets(self, tau):
        updates = [
            (self._actor_network.variables, self._target_actor_network.variables),
            (self._covariance_variables(), self._covariance_variables(target=True)),
            (self._critic_network.variables, self._target_critic_network.variables),
        ]
        if self._action_value_network is not None:
            updates.append(
                (
                    self._action_value_network.variables,
                    self._target_action_value_network.variables,
                )
            )
        for source, target in updates:
            common.soft_variables_update(source, target, tau)

    def _minibatches(self, experience, weights):
        """Returns the arguments of `policy_loss` and of `critic_loss`."""
        transition = self._as_transition(experience)
        each = tf.ones_like(transition.time_step.reward)
        weights = each if weights is None else weights * each
        first = second = (transition, weights)
        if self.minibatches_per_train == 2:
            batch_size = transition.time_step.reward.shape[0]
            if batch_size is not None and batch_size % 2:
                raise ValueError(
                    "Experience must hold two minibatches of equal size, one for the"
                    f" policy and one for the critic, but its batch is {batch_size};"
                    f" {type(self).__name__}.independent_minibatches = False takes any"
                    " batch."
                )
            halves = [tf.split(x, 2) for x in tf.nest.flatten((transition, weights))]
            first, second = (
                tf.nest.pack_sequence_as((transition, weights), half)
                for half in zip(*halves, strict=True)
            )
        (for_policy, policy_weights), (for_critic, critic_weights) = first, second
        critic_weights = parts.boundary_weights(for_critic.time_step, critic_weights)
        if self._replay_weight_clipping is not None:
            critic_weights = policy_evaluation.inverse_density_weights(
                policy_step.get_log_probability(for_critic.action_step.info),
                critic_weights,
                self._replay_weight_clipping,
            )  # 1/q(ã|s) of (18).
        return self._policy_batch(
            for_policy, parts.boundary_weights(for_policy.time_step, policy_weights)
        ), (
            for_critic.time_step,
            for_critic.action_step.action,
            for_critic.next_time_step,
            critic_weights,
        )

    def _check_errors(self, evaluation, clipping, error_weights):
        owner = type(self).__name__
        validation.check(
            owner, "positive", optional=True, importance_weight_clipping=clipping
        )
        if clipping is not None and clipping < 1:
            raise ValueError(
                f"{owner}.importance_weight_clipping must be at least 1, the mean of"
                f" the weights, but is {clipping!r}."
            )
        numbers = isinstance(error_weights, Sequence) and len(error_weights) == 3
        if not numbers or isinstance(error_weights, str):
            raise ValueError(
                f"{owner}.bellman_error_weights must be three numbers, such as"
                f" (1.0, 0.0, 0.0), but is {error_weights!r}."
            )
        for weight in error_weights:
            validation.check(owner, "non-negative", bellman_error_weights=weight)
        # One weight alone only scales the loss, and 1 of values is the default.
        if not any(error_weights) or not (
            error_weights[0] == 1 or any(error_weights[1:])
        ):
            raise ValueError(
                f"{owner}.bellman_error_weights must be (1.0, 0.0, 0.0), or hold a"
                f" weight above 0 for a derivative, but is {error_weights!r}."
            )
        other = clipping is not None or any(error_weights[1:])
        if evaluation == "expected" and other:
            raise ValueError(
                f"{owner}.evaluation must be 'smoothed' where"
                " importance_weight_clipping or bellman_error_weights are given, which"
                " belong to (18), but is 'expected'."
            )

    def _policy_batch(self, transition, weights):
        """Returns what `policy_loss` takes of a minibatch."""
        return transition.time_step.observation, weights
