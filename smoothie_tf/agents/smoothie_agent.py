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
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types
from tf_agents.utils import common

from smoothie_tf import action_derivatives, gaussian, validation
from smoothie_tf.networks import keras_network
from smoothie_tf.policies import gaussian_policy


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
        gradient_clipping: float | None = 4.0,
        dqda_clipping: float | None = None,
        td_errors_loss_fn: types.LossFn = common.element_wise_huber_loss,
        independent_minibatches: bool = True,
        nested_tapes: bool = False,
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
        validation.check_flags(
            owner,
            independent_minibatches=independent_minibatches,
            nested_tapes=nested_tapes,
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
        check_output(self._actor_network, observation_spec, action_spec.shape)
        check_output(self._critic_network, critic_spec, ())
        # Initialize θ, φ, w, set θ′ = θ, φ′ = φ, w′ = w.
        self._log_variance = tf.Variable(
            tf.fill(action_spec.shape, float(initial_log_variance)),
            trainable=self._learns_covariance,
            name="log_variance",
        )
        self._target_log_variance = tf.Variable(
            self._log_variance, trainable=False, name="target_log_variance"
        )
        self._target_actor_network = common.maybe_copy_target_network_with_checks(
            self._actor_network, None, "TargetActorNetwork", observation_spec
        )
        self._target_critic_network = common.maybe_copy_target_network_with_checks(
            self._critic_network, None, "TargetCriticNetwork", critic_spec
        )
        self._actor_optimizer = actor_optimizer
        self._critic_optimizer = critic_optimizer
        self._gamma = gamma
        self._kl_penalty = kl_penalty
        self._target_update_tau = target_update_tau
        self._reward_scale_factor = reward_scale_factor
        self._gradient_clipping = gradient_clipping
        self._dqda_clipping = dqda_clipping
        self._td_errors_loss_fn = td_errors_loss_fn
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
            self._log_variance,
        )
        policy = collect_policy = gaussian_policy.GaussianPolicy(*policy_arguments)
        if self._stores_log_probability:
            collect_policy = gaussian_policy.GaussianPolicy(
                *policy_arguments, emit_log_probability=True
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
            *([self._log_variance] if self._learns_covariance else []),
        ]
        build_optimizer(actor_optimizer, self._policy_variables)
        build_optimizer(critic_optimizer, self._critic_network.trainable_variables)

    @property
    def actor_network(self) -> network.Network:
        """μ_θ."""
        return self._actor_network

    @property
    def critic_network(self) -> network.Network:
        """Q̃_w."""
        return self._critic_network

    @property
    def log_variance(self) -> tf.Variable:
        """φ, shape [A]."""
        return self._log_variance

    def action_derivatives(
        self, observation: tf.Tensor, action: tf.Tensor
    ) -> action_derivatives.ActionDerivatives:
        """Returns Q̃_w, its gradient and its Hessian diagonal in the action.

        Args:
          observation: States, shape [B, S].
          action: Where to differentiate, shape [B, A].

        Returns:
          Them, by forward propagation where the critic offers it and `nested_tapes`
          does not forbid it, else by nested tapes.
        """
        if not self._nested_tapes:
            return self._critic_network.action_derivatives(observation, action)
        return action_derivatives.by_nested_tapes(
            lambda a: self._critic_network((observation, a))[0], action
        )

    def policy_loss(
        self, observation: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The surrogate whose gradient is Algorithm 1's Δθ and Δφ, negated.

        With g = ∂Q̃/∂a and H = ∂²Q̃/∂a² at a = μ_θ(s), both held constant,

            ∇θ [g·μ_θ(s)]  = g·∇θ μ_θ(s)     the integrand of (13), and
            ∇φ [½·H·Σ_φ]   = ½·H·∇φ Σ_φ      the integrand of (15),

        so descending −(g·μ_θ + ½·H·Σ_φ) + λ·KL ascends (20). The surrogate's value
        means nothing; only its gradient does.

        Args:
          observation: States, shape [B, S].
          weights: Weight of each state, shape [B].

        Returns:
          The loss, the mean divergence in nats, and the mean Q̃(s, μ_θ(s)): scalars.
        """
        mean, _ = self._actor_network(observation, training=True)
        variance = tf.exp(self._log_variance)
        derivatives = self.action_derivatives(observation, tf.stop_gradient(mean))
        g = tf.stop_gradient(derivatives.gradient)
        H = tf.stop_gradient(derivatives.hessian_diagonal)
        if self._dqda_clipping is not None:
            g = tf.clip_by_value(g, -self._dqda_clipping, self._dqda_clipping)

        surrogate = tf.reduce_sum(g * mean, axis=-1)  # (13)
        surrogate += 0.5 * tf.reduce_sum(H * variance, axis=-1)  # (15)
        loss = -tf.reduce_mean(weights * surrogate)
        kl = tf.zeros([])
        if self._kl_penalty > 0:
            target_mean, _ = self._target_actor_network(observation)
            kl = tf.reduce_mean(
                weights
                * gaussian.kl_divergence(
                    mean,
                    tf.exp(0.5 * self._log_variance),
                    target_mean,
                    tf.exp(0.5 * self._target_log_variance),
                )
            )
            loss += self._kl_penalty * kl  # (20)
        return loss, kl, tf.reduce_mean(weights * derivatives.value)

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
        weights 1/q(ã|s) are left out, as in the paper.

        Args:
          time_steps: States s, observations of shape [B, S].
          action: Stored actions ã, shape [B, A].
          next_time_steps: Rewards, discounts (0 where the episode terminated) and
            next states s̃′.
          weights: Weight of each transition, shape [B].

        Returns:
          The mean loss, a scalar.
        """
        # Sample phantom actions a_k ~ N(ã_k, Σ_φ(s_k)).
        noise = self._noise(tf.shape(action))
        phantom = gaussian.phantom_actions(
            action, tf.exp(0.5 * self._log_variance), noise
        )
        next_mean, _ = self._target_actor_network(next_time_steps.observation)
        next_value, _ = self._target_critic_network(
            (next_time_steps.observation, next_mean)
        )
        target = tf.stop_gradient(
            self._reward_scale_factor * next_time_steps.reward
            + self._gamma * next_time_steps.discount * next_value
        )
        value, _ = self._critic_network(
            (time_steps.observation, phantom), training=True
        )
        return tf.reduce_mean(weights * self._td_errors_loss_fn(target, value))  # (18)

    def _initialize(self):
        self._update_targets(tau=1.0)

    def _train(self, experience, weights=None):
        policy_batch, critic_batch = self._minibatches(experience, weights)
        seen_by_policy = self._train_policy(policy_batch)  # Train μ, Σ.
        with tf.control_dependencies(seen_by_policy):  # Why: see `descend`.
            critic_loss = self._train_critic(critic_batch)  # Train Q̃.
        with tf.control_dependencies([critic_loss]):
            self._update_targets(self._target_update_tau)  # Update target variables.
            self.train_step_counter.assign_add(1)
        return self._loss_info(critic_loss, *seen_by_policy)

    def _train_policy(self, batch):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._policy_variables)
            seen = self.policy_loss(*batch)
        descend(
            self._actor_optimizer,
            tape.gradient(seen[0], self._policy_variables),
            self._policy_variables,
            self._policy_gradient_clipping,
        )
        return seen

    def _train_critic(self, batch):
        critic_variables = self._critic_network.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(critic_variables)
            loss = self.critic_loss(*batch)
        descend(
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
        return self._loss_info(self.critic_loss(*critic_batch), *seen_by_policy)

    def _loss_info(self, critic_loss, actor_loss, kl, q):
        stddev = tf.reduce_mean(tf.exp(0.5 * self._log_variance))
        return tf_agent.LossInfo(
            actor_loss + critic_loss,
            SmoothieInfo(actor_loss, critic_loss, kl, q, stddev),
        )

    def _update_targets(self, tau):
        for source, target in (
            (self._actor_network.variables, self._target_actor_network.variables),
            ([self._log_variance], [self._target_log_variance]),
            (self._critic_network.variables, self._target_critic_network.variables),
        ):
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
        return self._policy_batch(
            for_policy, boundary_weights(for_policy.time_step, policy_weights)
        ), (
            for_critic.time_step,
            for_critic.action_step.action,
            for_critic.next_time_step,
            boundary_weights(for_critic.time_step, critic_weights),
        )

    def _policy_batch(self, transition, weights):
        """Returns what `policy_loss` takes of a minibatch."""
        return transition.time_step.observation, weights


def descend(
    optimizer: types.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    clipping: float | None = None,
) -> None:
    """Takes one step of an optimizer, once all gradients are there.

    A `tf.function` orders each read of a variable before the writes that follow, but
    TensorFlow 2.15's graph optimizer can lose that order where it finds it implied by
    an operation that it removes later: now and then a product then sees weights that
    have moved on. An order between values, as here, is not lost.

    Args:
      optimizer: The optimizer.
      gradients: Of the loss, in the order of `variables`.
      variables: What it updates.
      clipping: Largest global norm of the gradients, > 0; None leaves them alone.
    """
    if clipping is not None:
        gradients, _ = tf.clip_by_global_norm(gradients, clipping)
    with tf.control_dependencies(gradients):
        optimizer.apply_gradients(zip(gradients, variables, strict=True))


def boundary_weights(
    time_steps: ts.TimeStep, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns weights that leave out pairs which cross an episode's end.

    A replay buffer of TF-Agents also holds the pair of an episode's last step with
    the first of the next one, between which nothing was done.

    Args:
      time_steps: The first step of each pair, shape [B].
      weights: Weights of the pairs, scalar or shape [B]; None for one each.

    Returns:
      Weights whose mean against losses is the mean over true transitions, shape [B].
    """
    valid = tf.cast(~time_steps.is_last(), tf.float32)
    share = tf.math.divide_no_nan(valid, tf.reduce_mean(valid))
    return share if weights is None else share * weights


def build_optimizer(
    optimizer: types.Optimizer, variables: Sequence[tf.Variable]
) -> None:
    """Makes an optimizer's slots, so that a checkpoint finds them when restored.

    Args:
      optimizer: The optimizer; one that makes its slots as it goes is left alone.
      variables: What it will update, in that order.
    """
    if hasattr(optimizer, "build"):
        optimizer.build(variables)


def check_output(
    net: network.Network, input_spec: types.NestedTensorSpec, shape: tuple[int, ...]
) -> None:
    """Makes a network's variables, and checks what it returns.

    Args:
      net: The network.
      input_spec: Spec of its input.
      shape: Of its output for one input.

    Raises:
      ValueError: If it returns something of another shape.
    """
    output = net.create_variables(input_spec)
    if tuple(output.shape) != tuple(shape):
        raise ValueError(
            f"{net.name} must return shape [B, {', '.join(map(str, shape))}] for a"
            f" batch of B, but returns [B, {', '.join(map(str, output.shape))}]."
        )
