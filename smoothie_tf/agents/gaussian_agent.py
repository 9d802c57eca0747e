"""Base of agents with a Gaussian policy: hyperparameters, policies and the seed.

Shapes: B batch, S state, A action.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf
from tf_agents.agents import data_converter, tf_agent
from tf_agents.networks import network
from tf_agents.policies import greedy_policy
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from smoothie_tf import covariances, validation
from smoothie_tf.agents import parts, step_noise
from smoothie_tf.policies import gaussian_policy


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """Hyperparameters of an agent.

    `factory.create_agent` reads them from gin by the agent's name, as in
    `SmoothieAgent.gamma = 0.99`; constructors do not. A value out of range raises a
    ValueError that names it.

    Attributes:
      gamma: Discount γ, in [0, 1].
      name: Name of the agent.
    """

    #: The agent's name in bindings and errors.
    owner: ClassVar[str] = "GaussianAgent"

    #: Arguments of the agent's constructor besides the policy's network and optimizer.
    takes: ClassVar[tuple[str, ...]] = ("critic_network",)

    gamma: float = 0.995
    name: str | None = None

    # Values for agents that do not have the hyperparameter; the code here reads it for
    # every agent. An agent that has it declares a field of the same name.
    learns_covariance: ClassVar[bool] = True
    stores_log_probability: ClassVar[bool] = False
    clip_actions: ClassVar[bool] = False

    def __post_init__(self):
        self._check("probability", "gamma")

    def _check(self, rule, *names, optional=False):
        values = {name: getattr(self, name) for name in names}
        validation.check(self.owner, rule, optional, **values)
        for name, value in values.items() if rule == "count" else ():
            if value is not None:  # 2.0 is allowed, and means 2.
                object.__setattr__(self, name, int(value))

    def _check_flags(self, *names):
        values = {name: getattr(self, name) for name in names}
        validation.check_flags(self.owner, **values)


class GaussianAgent(tf_agent.TFAgent):
    """An agent that collects with N(μ_θ(s), Σ_φ(s)) and is evaluated with μ_θ."""

    config_class: type[AgentConfig] = AgentConfig
    _config: AgentConfig

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.BoundedTensorSpec,
        actor_optimizer: types.Optimizer,
        seed: int | None,
        train_step_counter: tf.Variable | None,
    ):
        """Creates the policies.

        A subclass must first call `_configure`, and set `_actor_network` and
        `_covariance`.

        Args:
          time_step_spec: Spec of the time steps, observations of shape [S].
          action_spec: Bounded float spec of the actions, shape [A].
          actor_optimizer: Optimizer of θ and φ.
          seed: Seed of the draws in training; None draws one from TensorFlow's global
            seed. A training step's draws depend only on the seed and
            `train_step_counter`.
          train_step_counter: Counts training steps; the global step if None. Each
            agent of a program needs its own.
        """
        if not isinstance(train_step_counter, tf.Variable | None):
            raise ValueError(
                f"{self._config.owner}.train_step_counter must be a tf.Variable or"
                f" None, but is {train_step_counter!r}."
            )
        self._seed = step_noise.seed_variable(seed, "seed")
        config = self._config

        def policy(**options):
            return gaussian_policy.GaussianPolicy(
                time_step_spec,
                action_spec,
                self._actor_network,
                self._covariance,
                **options,
            )

        mean_policy = collect_policy = policy()
        if config.stores_log_probability or config.clip_actions:
            collect_policy = policy(
                emit_log_probability=config.stores_log_probability,
                clip=config.clip_actions,
            )
        super().__init__(
            time_step_spec,
            action_spec,
            policy=greedy_policy.GreedyPolicy(mean_policy),
            collect_policy=collect_policy,
            train_sequence_length=2,
            train_step_counter=train_step_counter,
        )
        self._as_transition = data_converter.AsTransition(
            self.data_context, squeeze_time_dim=True
        )
        self._actor_optimizer = actor_optimizer
        self._policy_variables = [
            *self._actor_network.trainable_variables,
            *(self._covariance.variables if config.learns_covariance else []),
        ]
        parts.build_optimizer(actor_optimizer, self._policy_variables)

    @property
    def config(self) -> AgentConfig:
        """The hyperparameters."""
        return self._config

    @property
    def actor_network(self) -> network.Network:
        """μ_θ."""
        return self._actor_network

    @property
    def covariance(self) -> covariances.Covariance:
        """Σ_φ and, where the policy has a target, Σ_φ′."""
        return self._covariance

    @property
    def log_variance(self) -> tf.Variable | None:
        """φ, shape [P], P = A if diagonal; None if φ is the output of a network."""
        return self._log_variance

    def policy_stddev(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns the policy's standard deviations, shape [A] or [B, A].

        Args:
          observation: States, shape [B, S].
        """
        return self._covariance.at(observation).stddev()

    def _noise(self, shape, draw=0, draws_a_step=1):
        """Returns standard normal numbers for one of a training step's draws."""
        return step_noise.normal(
            shape, self._seed, self.train_step_counter, draw, draws_a_step
        )

    def _configure(
        self, config: AgentConfig | None, settings: Mapping[str, Any]
    ) -> None:
        """Sets `_config`: `config`, or the defaults, with `settings` replaced."""
        config = self.config_class() if config is None else config
        if not isinstance(config, self.config_class):
            raise TypeError(
                f"{type(self).__name__}'s config must be a"
                f" {self.config_class.__name__}, but is {config!r}."
            )
        known = [field.name for field in dataclasses.fields(config) if field.init]
        for name in settings:
            if name not in known:
                raise TypeError(
                    f"{type(self).__name__} has no argument {name!r}"
                    f"{validation.nearest(name, known)}."
                )
        self._config = dataclasses.replace(config, **settings)
        wanted = getattr(self._config, "agent_class", type(self))
        if not isinstance(self, wanted):
            raise ValueError(
                f"The hyperparameters are those of {wanted.__name__}, but the agent is"
                f" {type(self).__name__}; create_smoothie selects the class."
            )
        tf.Module.__init__(self, name=self._config.name)
