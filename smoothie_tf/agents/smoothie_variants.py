"""The paper's other ways to learn Q̃: Smoothie with other critic losses.

`SmoothieAgent` learns Q̃ by (18), as in the paper's experiments. This module has (16)
with (17), and the derivative Bellman errors of supplement C. Bindings of
`SmoothieAgent` select them: `evaluation`, `bellman_error_weights` and
`mean_error_weights`.

Equation numbers are the paper's. Shapes: B batch, S state, A action, M samples.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tf_agents.trajectories import policy_step
from tf_agents.utils import common

from smoothie_tf import policy_evaluation, validation, value_gradients
from smoothie_tf.agents import smoothie_agent
from smoothie_tf.networks import critic_network as critic_networks

#: The paper's two ways to learn Q̃: (18), the default and used in its experiments, and
#: (16) with (17).
EVALUATIONS = ("smoothed", "expected")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VariantConfig(smoothie_agent.SmoothieConfig):
    """Hyperparameters of Algorithm 1 and its variants.

    Attributes:
      evaluation: One of `EVALUATIONS`: "smoothed" learns Q̃ by (18); "expected" learns Q
        by (16) with a second critic, and fits Q̃ to it by (17).
      smoothing_samples: M, number of actions ã for the expectation in (17), ≥ 1.
      bellman_error_weights: Weights of the errors of Q̃, of its gradient and of its
        Hessian, k = 0, 1, 2 of supplement C; ≥ 0. (18) alone is (1, 0, 0). For a
        diagonal Σ only the Hessian's diagonal is fitted, which is all that (15)
        needs; for a full Σ, all entries.
      mean_error_weights: The same for errors at a = μ_θ(s) instead of at phantom
        actions: condition 2 of compatibility (Section 4.4). Stored actions are then
        weighted by π(ã|s)/q(ã|s), and `collect_policy` stores the log-probability of
        each action.
      mean_error_clipping: Largest of the weights π/q, > 0.
      derivative_baseline: Whether to subtract the target critic's value at the same
        action from the targets of derivatives. Hermite factors have mean 0: this
        changes the targets' variance, not their mean.
    """

    evaluation: str = "smoothed"
    smoothing_samples: int = 16
    bellman_error_weights: Sequence[float] = (1.0, 0.0, 0.0)
    mean_error_weights: Sequence[float] = (0.0, 0.0, 0.0)
    mean_error_clipping: float = 5.0
    derivative_baseline: bool = False

    @property
    def agent_class(self) -> type[smoothie_agent.SmoothieAgent]:
        """The agent class for these hyperparameters."""
        if self.evaluation == "expected":
            return ExpectedSmoothieAgent
        if any(self.bellman_error_weights[1:]) or any(self.mean_error_weights):
            return DerivativeSmoothieAgent
        return smoothie_agent.SmoothieAgent

    @property
    def stores_log_probability(self) -> bool:
        """Whether replay holds log q(ã|s), for the weights 1/q or π/q."""
        return super().stores_log_probability or any(self.mean_error_weights)

    def __post_init__(self):
        # First, because the checks of the base class use these values.
        self._check_weights("bellman_error_weights", "(1.0, 0.0, 0.0)")
        self._check_weights("mean_error_weights", "(0.0, 0.0, 0.0)")
        super().__post_init__()
        owner, weights = self.owner, self.bellman_error_weights
        validation.check_choice(owner, EVALUATIONS, evaluation=self.evaluation)
        self._check("count", "smoothing_samples")
        self._check("positive", "mean_error_clipping")
        self._check_flags("derivative_baseline")
        at_mean = any(self.mean_error_weights)
        # One weight alone only scales the loss, and 1 of values is the default.
        if not (weights[0] == 1 or any(weights[1:]) or at_mean):
            raise ValueError(
                f"{owner}.bellman_error_weights must be (1.0, 0.0, 0.0), or hold a"
                f" weight above 0 for a derivative, but is {weights!r}."
            )
        other = self.replay_weight_clipping is not None or any(weights[1:]) or at_mean
        if self.evaluation == "expected" and other:
            raise ValueError(
                f"{owner}.evaluation must be 'smoothed' where replay_weight_clipping,"
                " bellman_error_weights or mean_error_weights are given, which belong"
                " to (18), but is 'expected'."
            )

    def _check_weights(self, name, default):
        weights = getattr(self, name)
        numbers = isinstance(weights, Sequence) and len(weights) == 3
        if not numbers or isinstance(weights, str):
            raise ValueError(
                f"{self.owner}.{name} must be three numbers, such as {default}, but is"
                f" {weights!r}."
            )
        for weight in weights:
            validation.check(self.owner, "non-negative", **{name: weight})


def create_smoothie(
    *args: Any, config: VariantConfig | None = None, **kwargs: Any
) -> smoothie_agent.SmoothieAgent:
    """Creates `SmoothieAgent` or the variant that a configuration selects.

    Args:
      *args: As for `SmoothieAgent`.
      config: The hyperparameters; the defaults if None.
      **kwargs: As for `SmoothieAgent`.

    Returns:
      A `SmoothieAgent`, `ExpectedSmoothieAgent` or `DerivativeSmoothieAgent`.

    Raises:
      ValueError: If a hyperparameter is out of range, or two exclude each other.
    """
    fields = {field.name for field in dataclasses.fields(VariantConfig)}
    settings = {name: kwargs.pop(name) for name in fields & kwargs.keys()}
    config = VariantConfig() if config is None else config
    if not isinstance(config, VariantConfig):
        raise TypeError(
            f"create_smoothie's config must be a VariantConfig, but is {config!r}."
        )
    config = dataclasses.replace(config, **settings)
    return config.agent_class(*args, **kwargs | {"config": config})


# As of a class, for `protocol.contract`; mypy knows no attributes of functions.
create_smoothie.config_class = VariantConfig  # type: ignore[attr-defined]


class ExpectedSmoothieAgent(smoothie_agent.SmoothieAgent):
    """Learns Q by (16), and Q̃ from it by (17).

    Stored actions may have any distribution.
    """

    config_class = VariantConfig
    _config: VariantConfig

    def _configure(self, config, settings):
        super()._configure(config, {**settings, "evaluation": "expected"})

    def critic_loss(self, time_steps, action, next_time_steps, weights) -> tf.Tensor:
        """The errors of (16) and of (17).

        Arguments and result are those of `SmoothieAgent.critic_loss`.
        """
        observation, following = time_steps.observation, next_time_steps.observation
        # a′ ~ N(μ(s′), Σ(s′)).
        next_mean, _ = self._target_actor_network(following)
        next_action = self._covariance.target.at(following).perturb(
            next_mean, self._noise(tf.shape(next_mean), draw=0, draws_a_step=2)
        )
        next_value, _ = self._target_action_value_network((following, next_action))
        target = self._bellman_target(next_time_steps, next_value)
        value, _ = self._action_value_network(
            (observation, action), training=self._training
        )
        errors = self._config.td_errors_loss_fn(target, value)  # (16)
        # ã ~ N(a, Σ(s)), M for each a.
        samples = self._config.smoothing_samples
        shape = tf.concat([[samples], tf.shape(action)], axis=0)
        noise = self._noise(shape, draw=1, draws_a_step=2)
        around = self._covariance.at(observation).perturb(
            action, tf.ensure_shape(noise, [samples, *action.shape])
        )
        expectation = tf.reduce_mean(
            critic_networks.sample_values(
                self._target_action_value_network, observation, around
            ),
            axis=0,
        )
        smoothed, _ = self._critic_network(
            (observation, action), training=self._training
        )
        errors += self._config.td_errors_loss_fn(
            tf.stop_gradient(expectation), smoothed
        )  # (17)
        return tf.reduce_mean(weights * errors)

    # Q, beside Q̃.

    def _create_networks(self, actor, critic, observation_spec, action_spec):
        super()._create_networks(actor, critic, observation_spec, action_spec)
        if hasattr(self._critic_network, "bind_policy"):
            raise ValueError(
                f"{self._config.owner}.evaluation must be 'smoothed' where the critic"
                f" has a form for Q̃ alone, as {type(self._critic_network).__name__},"
                " but is 'expected', which also learns Q."
            )
        self._action_value_network, self._target_action_value_network = (
            common.maybe_copy_target_network_with_checks(
                self._critic_network, None, name, (observation_spec, action_spec)
            )
            for name in ("ActionValueNetwork", "TargetActionValueNetwork")
        )

    def _critics(self):
        return [
            *super()._critics(),
            (self._action_value_network, self._target_action_value_network),
        ]


class DerivativeSmoothieAgent(smoothie_agent.SmoothieAgent):
    """Learns Q̃, its gradient and its Hessian by supplement C."""

    config_class = VariantConfig
    _config: VariantConfig

    def critic_loss(
        self, time_steps, action, next_time_steps, weights, mean_weights=None
    ) -> tf.Tensor:
        """The Bellman errors for k = 0, 1, 2, supplement (9).

        Arguments and result are those of `SmoothieAgent.critic_loss`, besides
        `mean_weights`, shape [B], the weights of the errors at a = μ_θ(s). For
        actions of the current policy, ã ~ N(μ, Σ), the true derivatives minimise the
        errors at a = μ_θ(s) without weights; those at phantom actions would need 1/q.
        """
        observation = time_steps.observation
        covariance = self._covariance.at(observation)
        target = self._smoothed_target(next_time_steps)
        noise = self._noise(tf.shape(action))
        loss = 0.0
        if any(self._config.bellman_error_weights):
            phantom = covariance.perturb(action, noise)
            errors = self._errors(
                observation,
                phantom,
                target,
                covariance.hermite_factors(noise),
                self._config.bellman_error_weights,
            )
            loss = tf.reduce_mean(weights * errors)
        if mean_weights is not None:
            mean = tf.stop_gradient(self._actor_network(observation)[0])
            # η with μ = ã + L·η, as for a phantom action at μ: η = −L⁻¹(ã − μ).
            noise = -covariance.distribution(mean).bijector.inverse(action)
            errors = self._errors(
                observation,
                mean,
                target,
                covariance.hermite_factors(noise),
                self._config.mean_error_weights,
            )
            loss += tf.reduce_mean(mean_weights * errors)
        return loss

    def _errors(self, observation, action, target, factors, weights):
        """Returns the sum of the weighted errors at an action, shape [B].

        With d = ã − a, the first derivative of N(ã|a, Σ) in (12) multiplies the target
        by Σ⁻¹d, the second by Σ⁻¹ddᵀΣ⁻¹ − Σ⁻¹.
        """
        value_weight, gradient_weight, hessian_weight = map(float, weights)
        value, gradient, hessian = self.critic_derivatives(observation, action)
        errors = value_weight * self._config.td_errors_loss_fn(target, value)  # k = 0
        if self._config.derivative_baseline:
            baseline, _ = self._target_critic_network((observation, action))
            target -= tf.stop_gradient(baseline)
        first = tf.stop_gradient(factors.first * target[:, tf.newaxis])
        errors += gradient_weight * policy_evaluation.squared_error(
            gradient, first
        )  # k = 1
        if hessian_weight:
            # One target for every entry of the Hessian.
            target = tf.reshape(target, [-1] + [1] * (hessian.shape.rank - 1))
            errors += hessian_weight * policy_evaluation.squared_error(
                hessian, tf.stop_gradient(factors.second * target)
            )  # k = 2
        return errors

    def _critic_batch(self, transition, weights):
        batch = super()._critic_batch(transition, weights)
        if not any(self._config.mean_error_weights):
            return batch
        observation = transition.time_step.observation
        action, info = transition.action_step.action, transition.action_step.info
        mean, _ = self._actor_network(observation)
        policy = self._covariance.at(observation).distribution(mean)
        ratio = value_gradients.importance_weights(
            policy.log_prob(action),
            policy_step.get_log_probability(info),
            self._config.mean_error_clipping,
        )  # π(ã|s)/q(ã|s)
        return (*batch, weights * ratio)
