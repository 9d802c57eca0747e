"""SVG(∞), Algorithm 1 of Heess et al. (2015), SVG(k), and the planner.

No critic: the derivative of an episode's return is propagated back through the policy
and a learned model, along the observed trajectory. It uses the model's Jacobians, but
not its predictions. The planner (Section 6.1) does the same along a trajectory that the
model rolls out from an observed first state, where the model's errors accumulate.

The horizon is an episode: rewards are weighted by γ^t, without bootstrapping. SVG(k),
which the paper's conclusion mentions but does not test, propagates derivatives back
through k steps, from a value function V̂ after them. With k as long as an episode, this
is SVG(∞) with V̂ at the end, for episodes that a time limit truncates.

Equation and line numbers are that paper's. Shapes: T transitions of an episode, S
state, A action.
"""

import dataclasses
from typing import Any, ClassVar

import tensorflow as tf

from smoothie_tf import validation, value_gradients
from smoothie_tf.agents import value_gradient_agent


@dataclasses.dataclass(frozen=True, kw_only=True)
class SvgInfinityConfig(value_gradient_agent.ValueGradientConfig):
    """Hyperparameters of SVG(∞), whose policy learns once from each episode.

    Attributes:
      plans: Whether the model rolls out the trajectories from each episode's first
        state: the planner.
      horizon: k ≥ 1, number of steps that derivatives are propagated back from V̂, which
        is learned by Algorithm 4. None propagates them from the episode's end, with
        value 0 there, and needs no V̂.
    """

    owner: ClassVar[str] = "SvgInfinityAgent"

    plans: bool = False
    horizon: int | None = None
    policy_updates: int | None = dataclasses.field(default=1, init=False)
    policy_replay: bool = dataclasses.field(default=False, init=False)
    trains_at_episode_end: bool = dataclasses.field(default=True, init=False)
    kl_penalty: float = dataclasses.field(default=0.0, init=False)

    @property
    def takes(self) -> tuple[str, ...]:
        """Arguments of the agent: V̂ only with a horizon."""
        value = () if self.horizon is None else ("value_network",)
        return ("dynamics_network", "max_episode_steps", *value)

    def __post_init__(self):
        super().__post_init__()
        validation.check_flags(self.owner, plans=self.plans)
        validation.check(self.owner, "count", optional=True, horizon=self.horizon)


class SvgInfinityAgent(value_gradient_agent.ValueGradientAgent):
    """Learns a Gaussian policy by the value gradients of whole episodes."""

    config_class = SvgInfinityConfig
    _config: SvgInfinityConfig

    def __init__(self, *args: Any, **kwargs: Any):
        """Creates the agent; arguments and errors as for `ValueGradientAgent`."""
        super().__init__(*args, **kwargs)
        if self._config.plans and self._max_episode_steps is None:
            raise ValueError(
                f"{self._config.owner}.max_episode_steps must be a whole number of at"
                " least 1 where the agent plans, but is None."
            )

    def policy_loss(
        self, batch: value_gradient_agent.Batch
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The surrogate whose gradient is v_θ of the first state, negated.

        Line 12 of Algorithm 1, unrolled, is v_θ⁰ = Σ_t γ^t·v_a^t·π_θ^t with v_a = r_a
        + (r_{s'} + γ·v'_{s'})·f̂_a. The term r_{s'} is ours: our rewards may depend on
        the next state. With v_a held constant, that is the gradient of
        Σ_t γ^t·v_a^t·ã_t, where ã is the stored action as a function of θ.

        Args:
          batch: The episode in order, padded to T, shape [T, …]; rolled out by the
            model if `plans`.

        Returns:
          The loss, the discounted return of the trajectory, and 1.
        """
        mask = tf.cast(batch.weight > 0, batch.state.dtype)
        mean, _ = self._actor_network(batch.state, training=True)
        action = value_gradients.reproduce(
            batch.action, mean, self.policy_stddev(batch.state)
        )
        length = batch.state.shape[0]
        steps = tf.range(length, dtype=mask.dtype)
        weight = mask * tf.pow(tf.cast(self._config.gamma, mask.dtype), steps)
        by_action = self.action_gradients(batch, mask)
        surrogate = tf.reduce_sum(
            weight[:, tf.newaxis] * tf.stop_gradient(by_action) * action
        )
        returned = tf.reduce_sum(weight * batch.reward)
        return -surrogate, returned, tf.ones([])

    def _episode(self, episode, mask):
        batch = super()._episode(episode, mask)
        # Not in the loss, whose gradient must treat the trajectory as constant.
        return self._rollout(batch.state[0]) if self._config.plans else batch

    def action_gradients(
        self, batch: value_gradient_agent.Batch, mask: tf.Tensor
    ) -> tf.Tensor:
        """Value gradients along a trajectory, by `value_gradients`.

        Args:
          batch: The trajectory in its order, shape [T, …].
          mask: 1 for its transitions, 0 for padding, shape [T].

        Returns:
          v_a, shape [T, A].
        """
        model = self._dynamics_network
        at = value_gradients.jacobians(
            lambda state: self._actor_network(state)[0],
            model.jacobians,
            self.reward,
            batch.state,
            batch.action,
            batch.next_state,
        )
        if self._config.horizon is None:
            return value_gradients.backward_recursion(at, self._config.gamma, mask)[0]
        by_next_state = self._final_gradients(batch)
        if self._config.horizon < batch.state.shape[0]:
            return value_gradients.truncated_recursion(
                at, self._config.gamma, mask, self._config.horizon, by_next_state
            )
        # As long as any episode: V̂ is used after the last transition only.
        last = tf.maximum(tf.cast(tf.reduce_sum(mask), tf.int32) - 1, 0)
        return value_gradients.backward_recursion(
            at, self._config.gamma, mask, tf.gather(by_next_state, last)
        )[0]

    def _final_gradients(self, batch):
        """Returns V̂_{s'} of each next state, 0 where the episode terminated, [T, S]."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(batch.next_state)
            value, _ = self._value_network(batch.next_state)
        return batch.discount[:, tf.newaxis] * tape.gradient(value, batch.next_state)

    def _rollout(self, start):
        """Returns the model's own trajectory from a state [S], with fresh noise."""
        model, length = self._dynamics_network, self._max_episode_steps
        (size,), (actions,) = start.shape, self.action_spec.shape
        noise = self._noise([length, actions + size])
        # Before the loop: XLA computes a slice of one step's row wrongly.
        eta = self.policy_stddev(start) * noise[:, :actions]
        xi = model.stddev * noise[:, actions:]

        def step(t, state, states, taken):
            mean, _ = self._actor_network(state)
            action = mean + eta[t]
            following = model(state, action).next_state + xi[t]
            states = states.write(t + 1, following[0])
            return t + 1, following, states, taken.write(t, action[0])

        states = tf.TensorArray(start.dtype, length + 1, element_shape=[size])
        taken = tf.TensorArray(start.dtype, length, element_shape=[actions])
        _, _, states, taken = tf.while_loop(
            lambda t, *_: t < length,
            step,
            (0, start[tf.newaxis], states.write(0, start), taken),
            parallel_iterations=1,
        )
        states, taken = states.stack(), taken.stack()
        states.set_shape([length + 1, size])
        taken.set_shape([length, actions])
        state, next_state = states[:-1], states[1:]
        each = tf.ones([length], start.dtype)
        return value_gradient_agent.Batch(
            state=state,
            action=taken,
            log_probability=tf.zeros_like(each),
            reward=self.reward(state, taken, next_state),
            discount=each,
            next_state=next_state,
            weight=each,
        )
