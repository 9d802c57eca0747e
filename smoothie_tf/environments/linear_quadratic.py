"""A linear–quadratic task whose value functions and gradients have closed forms.

    s′ = A·s + B·a + ε,  ε ~ N(0, W),      r = −½·(sᵀQs + aᵀRa),

with policies a = K·s + L·η, η ~ N(0, I), that is N(Ks, LLᵀ), over an infinite horizon
with discount γ. A critic, a policy gradient, or a whole algorithm can be compared with
the exact values in `Evaluation`. All numbers are float64.

With C = A + BK, Q_K = Q + KᵀRK:

    P   = Q_K + γ·CᵀPC                      the Lyapunov equation of K
    H   = R + γ·BᵀPB                        minus the Hessian of Q^π in the action
    E_K = H·K + γ·BᵀPA                      minus its gradient at Ks, as E_K·s
    c   = (½·tr(HLLᵀ) + ½·γ·tr(PW)) / (1 − γ)

    V(s)    = −½·sᵀPs − c
    Q(s, a) = −½·sᵀQs − ½·aᵀRa + γ·E[V(s′)]
    Q̃(s, a) = Q(s, a) − ½·tr(HLLᵀ)                    (9) of the Smoothie paper

The Hessian is constant and Q̃ differs from Q by a constant: here Theorem 1 is
∂Q̃/∂Σ = −½·H, with Σ = LLᵀ.

Shapes: S state, A action; leading dimensions of states and actions are kept. Sizes are
always in brackets: [A] is the action's size, A the matrix.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import gin
import gymnasium
import numpy as np
import scipy.linalg
from gymnasium import spaces

from smoothie_tf import validation

#: A matrix, also in the form that gin supports.
Matrix = Sequence[Sequence[float]] | np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class System:
    """The dynamics, the cost and the noise.

    Attributes:
      A: Effect of the state on the next one, shape [S, S].
      B: Effect of the action on the next state, shape [S, A].
      Q: Cost of states, symmetric and positive semi-definite, shape [S, S].
      R: Cost of actions, symmetric and positive definite, shape [A, A].
      W: Covariance of the noise, symmetric and positive semi-definite, shape [S, S].
    """

    A: np.ndarray
    B: np.ndarray
    Q: np.ndarray
    R: np.ndarray
    W: np.ndarray

    def __post_init__(self):
        for field in dataclasses.fields(self):
            name = field.name
            matrix = _matrix(f"System.{name}", getattr(self, name))
            matrix.setflags(write=False)
            object.__setattr__(self, name, matrix)
        states, actions = len(self.A), self.B.shape[1]
        for name, shape in (
            ("A", (states, states)),
            ("B", (states, actions)),
            ("Q", (states, states)),
            ("R", (actions, actions)),
            ("W", (states, states)),
        ):
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"System.{name} must have shape {shape}, as A has"
                    f" {states} rows and B {actions} columns, but has"
                    f" {getattr(self, name).shape}."
                )
        _check_covariance("System.Q", self.Q)
        _check_covariance("System.R", self.R, definite=True)
        _check_covariance("System.W", self.W)

    @property
    def state_size(self) -> int:
        """S."""
        return self.B.shape[0]

    @property
    def action_size(self) -> int:
        """A."""
        return self.B.shape[1]

    def reward(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Returns −½·(sᵀQs + aᵀRa).

        Args:
          state: s, shape [..., S].
          action: a, shape [..., A].

        Returns:
          The rewards, shape [...].
        """
        return -0.5 * (_quadratic(self.Q, state) + _quadratic(self.R, action))

    def next_mean(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Returns A·s + B·a, shape [..., S]; arguments as in `reward`."""
        return np.asarray(state) @ self.A.T + np.asarray(action) @ self.B.T

    def spectral_radius(self, gain: Matrix) -> float:
        """Returns the largest |eigenvalue| of A + BK; K stabilises if it is below 1.

        Args:
          gain: K, shape [A, S].
        """
        closed_loop = self.A + self.B @ self._gain(gain)
        return float(np.abs(np.linalg.eigvals(closed_loop)).max())

    def optimal_gain(self, discount: float) -> np.ndarray:
        """Returns the optimal K, by the Riccati equation.

            P = Q + γ·AᵀPA − γ²·AᵀPB·(R + γ·BᵀPB)⁻¹·BᵀPA,
            K = −(R + γ·BᵀPB)⁻¹·γ·BᵀPA.

        It does not depend on the noise, W or L, and E_K is 0 there.

        Args:
          discount: γ, in [0, 1).

        Returns:
          K, shape [A, S].

        Raises:
          ValueError: If the discount is out of range.
        """
        _check_discount(discount)
        root = math.sqrt(discount)
        cost = self.Q
        if discount:
            cost = scipy.linalg.solve_discrete_are(
                root * self.A, root * self.B, self.Q, self.R
            )
        curvature = self.R + discount * self.B.T @ cost @ self.B
        return -np.linalg.solve(curvature, discount * self.B.T @ cost @ self.A)

    def evaluate(self, gain: Matrix, factor: Matrix, discount: float) -> "Evaluation":
        """Returns the closed forms for a policy N(Ks, LLᵀ).

        Args:
          gain: K, shape [A, S].
          factor: L, any square root of the covariance, shape [A, A].
          discount: γ, in [0, 1).

        Raises:
          ValueError: If a shape or the discount is not allowed, or the return of K is
            not finite, since √γ·spectral_radius(K) ≥ 1.
        """
        return Evaluation(self, gain, factor, discount)

    def _gain(self, gain):
        gain = _matrix("gain", gain)
        if gain.shape != (self.action_size, self.state_size):
            raise ValueError(
                f"gain must have shape {(self.action_size, self.state_size)}, but has"
                f" {gain.shape}."
            )
        return gain


class Evaluation:
    """Value functions and gradients of the policy N(Ks, LLᵀ), in closed form.

    Attributes:
      system: The system.
      gain: K, shape [A, S].
      factor: L, shape [A, A].
      discount: γ.
      cost: P, shape [S, S].
      curvature: H, shape [A, A]; the Hessian of Q^π and Q̃^π in the action is −H.
      action_cost: E_K, shape [A, S].
      noise_cost: c, the cost of the noise of policy and dynamics, in units of return.
    """

    def __init__(self, system: System, gain: Matrix, factor: Matrix, discount: float):
        """Solves the Lyapunov equation; see `System.evaluate`."""
        _check_discount(discount)
        self.system = system
        self.discount = discount
        self.gain = system._gain(gain)
        self.factor = _matrix("factor", factor)
        actions = system.action_size
        if self.factor.shape != (actions, actions):
            raise ValueError(
                f"factor must have shape {(actions, actions)}, but has"
                f" {self.factor.shape}."
            )
        radius = system.spectral_radius(self.gain)
        if not math.sqrt(discount) * radius < 1:
            raise ValueError(
                f"The return is not finite: the gain {self.gain.tolist()} has spectral"
                f" radius {radius:.6g}, which must be below"
                f" {1 / math.sqrt(discount):.6g}."
            )
        A, B, R = system.A, system.B, system.R
        self._closed_loop = A + B @ self.gain
        self.cost = _lyapunov(
            self._closed_loop.T, system.Q + self.gain.T @ R @ self.gain, discount
        )
        self._cross = discount * B.T @ self.cost @ A
        self.curvature = R + discount * B.T @ self.cost @ B
        self.action_cost = self.curvature @ self.gain + self._cross
        #: ½·tr(HΣ), equal to Q^π − Q̃^π.
        self.smoothing_cost = 0.5 * np.trace(self.curvature @ self.covariance)
        self.noise_cost = (
            self.smoothing_cost + 0.5 * discount * np.trace(self.cost @ system.W)
        ) / (1 - discount)

    @property
    def covariance(self) -> np.ndarray:
        """Σ = LLᵀ, shape [A, A]."""
        return self.factor @ self.factor.T

    def state_value(self, state: np.ndarray) -> np.ndarray:
        """Returns V^π(s), shape [...].

        Args:
          state: s, shape [..., S].
        """
        return -0.5 * _quadratic(self.cost, state) - self.noise_cost

    def action_value(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Returns Q^π(s, a), shape [...].

        Args:
          state: s, shape [..., S].
          action: a, shape [..., A].
        """
        following = self.state_value(self.system.next_mean(state, action))
        following -= 0.5 * np.trace(self.cost @ self.system.W)
        return self.system.reward(state, action) + self.discount * following

    def smoothed_action_value(
        self, state: np.ndarray, action: np.ndarray
    ) -> np.ndarray:
        """Returns Q̃^π(s, a) of (9), shape [...]; arguments as in `action_value`."""
        return self.action_value(state, action) - self.smoothing_cost

    def action_gradient(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Returns ∂Q^π/∂a = ∂Q̃^π/∂a = −(H·a + γ·BᵀPA·s), shape [..., A].

        Args:
          state: s, shape [..., S].
          action: a, shape [..., A].
        """
        return -(np.asarray(action) @ self.curvature + state @ self._cross.T)

    def action_hessian(self) -> np.ndarray:
        """Returns ∂²Q^π/∂a² = ∂²Q̃^π/∂a² = −H, shape [A, A], a constant."""
        return -self.curvature

    def objective(self, start: Matrix) -> float:
        """Returns J = E[V^π(s₀)], the expected discounted return.

        Args:
          start: E[s₀s₀ᵀ], shape [S, S].
        """
        return float(-0.5 * np.trace(self.cost @ np.asarray(start)) - self.noise_cost)

    def state_moment(self, start: Matrix) -> np.ndarray:
        """Returns Σ_t γ^t·E[s_t·s_tᵀ], the state's second moment under ρ^π.

        The weights γ^t are those of the policy gradient theorem, and add up to
        1/(1 − γ).

        Args:
          start: E[s₀s₀ᵀ], shape [S, S].

        Returns:
          The moment, shape [S, S].
        """
        system, discount = self.system, self.discount
        added = system.B @ self.covariance @ system.B.T + system.W
        constant = np.asarray(start) + discount / (1 - discount) * added
        return _lyapunov(self._closed_loop, constant, discount)

    def gain_gradient(self, start: Matrix) -> np.ndarray:
        """Returns ∂J/∂K = −E_K·Σ_t γ^t·E[s_t·s_tᵀ], shape [A, S].

        Args:
          start: E[s₀s₀ᵀ], shape [S, S].
        """
        return -self.action_cost @ self.state_moment(start)

    def factor_gradient(self) -> np.ndarray:
        """Returns ∂J/∂L = −H·L/(1 − γ), shape [A, A]."""
        return -self.curvature @ self.factor / (1 - self.discount)

    def covariance_gradient(self) -> np.ndarray:
        """Returns ∂J/∂Σ = −½·H/(1 − γ), shape [A, A]: Theorem 1, summed over time.

        It is the matrix G with dJ = tr(G·dΣ) for symmetric dΣ.
        """
        return -0.5 * self.curvature / (1 - self.discount)


def random_system(
    state_size: int,
    action_size: int,
    seed: int = 0,
    spectral_radius: float = 1.0,
    action_cost: float = 1.0,
    noise_stddev: float = 0.1,
) -> System:
    """Draws a system: Q = I, R and W multiples of I, A and B random.

    Args:
      state_size: S, ≥ 1.
      action_size: A, ≥ 1.
      seed: Seed of the draw, ≥ 0.
      spectral_radius: Of A, > 0; from 1 on, the uncontrolled state does not decay.
      action_cost: R is this multiple of I, > 0.
      noise_stddev: Standard deviation of each component of ε, ≥ 0.

    Returns:
      The system, which depends only on the arguments.

    Raises:
      ValueError: If an argument is out of range.
    """
    owner = "random_system"
    validation.check(owner, "count", state_size=state_size, action_size=action_size)
    validation.check(owner, "non-negative", seed=seed, noise_stddev=noise_stddev)
    validation.check(
        owner, "positive", spectral_radius=spectral_radius, action_cost=action_cost
    )
    draw = np.random.default_rng(int(seed))
    A = draw.normal(size=(state_size, state_size))
    A *= spectral_radius / np.abs(np.linalg.eigvals(A)).max()
    B = draw.normal(size=(state_size, action_size)) / math.sqrt(state_size)
    return System(
        A=A,
        B=B,
        Q=np.eye(state_size),
        R=action_cost * np.eye(action_size),
        W=noise_stddev**2 * np.eye(state_size),
    )


@gin.configurable(module="smoothie_tf")
class LinearQuadraticEnvironment(gymnasium.Env):
    """The task: observations are the states, and episodes never terminate.

    The registered time limit only truncates them. Values are bootstrapped across it, so
    that the closed forms, with their infinite horizon, hold.
    """

    # Actions must not be rescaled to [−1, 1]: gains and covariances are in the task's
    # own units.
    metadata = {"render_modes": [], "rescale_action": False}

    def __init__(
        self,
        state_size: int = 2,
        action_size: int = 2,
        system_seed: int = 0,
        spectral_radius: float = 1.0,
        action_cost: float = 1.0,
        noise_stddev: float = 0.1,
        A: Matrix | None = None,
        B: Matrix | None = None,
        Q: Matrix | None = None,
        R: Matrix | None = None,
        W: Matrix | None = None,
        start_stddev: float = 1.0,
        action_bound: float = 20.0,
    ):
        """Creates the task: a random system, or one of given matrices.

        Args:
          state_size: S of a random system.
          action_size: A of a random system.
          system_seed: Seed of a random system, see `random_system`.
          spectral_radius: Of a random A.
          action_cost: R is this multiple of I, if R is not given.
          noise_stddev: W is the square of this times I, if W is not given.
          A: Shape [S, S]; A and B must be given together or not at all.
          B: Shape [S, A].
          Q: Shape [S, S]; I if it is not given.
          R: Shape [A, A].
          W: Shape [S, S].
          start_stddev: Episodes start at s₀ ~ N(0, start_stddev²·I), ≥ 0.
          action_bound: Actions are in [−action_bound, action_bound], > 0; large enough
            to have no effect.

        Raises:
          ValueError: If an argument is not allowed.
        """
        owner = type(self).__name__
        validation.check(owner, "non-negative", start_stddev=start_stddev)
        validation.check(owner, "positive", action_bound=action_bound)
        if (A is None) != (B is None):
            raise ValueError(
                f"{owner}.A and {owner}.B must be given together or not at all, but"
                f" {'A' if A is None else 'B'} is None."
            )
        if A is not None:
            A, B = _matrix(f"{owner}.A", A), _matrix(f"{owner}.B", B)
            state_size, action_size = B.shape
        drawn = random_system(
            state_size,
            action_size,
            system_seed,
            spectral_radius,
            action_cost,
            noise_stddev,
        )
        given: dict[str, Any] = {"A": A, "B": B, "Q": Q, "R": R, "W": W}
        given = {name: matrix for name, matrix in given.items() if matrix is not None}
        #: The matrices, for exact values.
        self.system = dataclasses.replace(drawn, **given)
        self.start_stddev = float(start_stddev)
        # Also for a covariance without full rank.
        values, vectors = np.linalg.eigh(self.system.W)
        self._noise_factor = vectors * np.sqrt(np.maximum(values, 0))
        states, actions = self.system.state_size, self.system.action_size
        self.observation_space = spaces.Box(-np.inf, np.inf, (states,), np.float64)
        self.action_space = spaces.Box(
            -action_bound, action_bound, (actions,), np.float32
        )

    @property
    def start_moment(self) -> np.ndarray:
        """E[s₀s₀ᵀ], shape [S, S], as `Evaluation.objective` takes it."""
        return self.start_stddev**2 * np.eye(self.system.state_size)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode; see `gymnasium.Env.reset`."""
        super().reset(seed=seed, options=options)
        size = self.system.state_size
        self._state = self.start_stddev * self.np_random.standard_normal(size)
        return self._state.copy(), {}

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Takes a step with an action of shape [A], which is not clipped."""
        action = np.asarray(action, np.float64)
        reward = float(self.system.reward(self._state, action))
        noise = self._noise_factor @ self.np_random.standard_normal(len(self._state))
        self._state = self.system.next_mean(self._state, action) + noise
        return self._state.copy(), reward, False, False, {}


def _quadratic(matrix, vectors):
    vectors = np.asarray(vectors, np.float64)
    return np.einsum("...i,ij,...j->...", vectors, matrix, vectors)


def _lyapunov(transition, constant, discount):
    """Returns the symmetric solution X = constant + γ·transition·X·transitionᵀ."""
    solution = scipy.linalg.solve_discrete_lyapunov(
        math.sqrt(discount) * transition, constant
    )
    return (solution + solution.T) / 2


def _check_discount(discount):
    validation.check("evaluate", "probability", discount=discount)
    if discount == 1:
        raise ValueError(
            "evaluate.discount must be below 1, or returns are not finite, but is"
            f" {discount!r}."
        )


def _matrix(name: str, value: Any) -> np.ndarray:
    try:
        matrix = np.array(value, np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.ndim != 2 or not matrix.size or not np.isfinite(matrix).all():
        raise ValueError(
            f"{name} must be a matrix of finite numbers, such as ((1.0, 0.0), (0.0,"
            f" 1.0)), but is {value!r}."
        )
    return matrix


def _check_covariance(name, matrix, definite=False):
    # Eigenvalues have rounding errors relative to the largest one.
    smallest = np.linalg.eigvalsh(matrix).min()
    tolerance = 1e-12 * np.abs(matrix).max()
    positive = smallest > tolerance if definite else smallest >= -tolerance
    if not np.array_equal(matrix, matrix.T) or not positive:
        kind = "definite" if definite else "semi-definite"
        raise ValueError(
            f"{name} must be symmetric and positive {kind}, but is {matrix.tolist()}."
        )
