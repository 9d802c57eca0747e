"""The products of matrices in updates: of Smoothie one by one, of SVG counted."""

from typing import NamedTuple


class Product(NamedTuple):
    """A product of [rows, inner] with [inner, columns].

    Attributes:
      rows: Of the result.
      inner: What is summed over.
      columns: Of the result.
    """

    rows: int
    inner: int
    columns: int

    @property
    def operations(self) -> int:
        """Floating-point operations: a multiplication and an addition each."""
        return 2 * self.rows * self.inner * self.columns


def of_update(
    observation_size: int,
    action_size: int,
    batch_size: int = 128,
    widths: tuple[int, int] = (400, 300),
) -> list[Product]:
    """Lists the products of an update of Smoothie's policy and critic, λ > 0.

    Args:
      observation_size: S.
      action_size: A.
      batch_size: B.
      widths: Units of the two hidden layers of either network.

    Returns:
      Forwards three times through either network, backwards once, and the critic's
      gradient and Hessian in the action by forward propagation.
    """
    first, second = widths
    actor = [(observation_size, first), (first, second), (second, action_size)]
    # The action joins at the second layer, as a product of its own.
    critic = [(observation_size, first), (first, second), (action_size, second)]
    critic.append((second, 1))
    forwards = [Product(batch_size, *layer) for layer in (*actor, *critic)] * 3
    kernels = [
        Product(inputs, batch_size, outputs) for inputs, outputs in (*actor, *critic)
    ]
    # Neither observations nor, for the critic's own update, actions have a gradient.
    inputs = [
        Product(batch_size, outputs, inputs)
        for inputs, outputs in (*actor[1:], critic[1], critic[3])
    ]
    propagated = [Product(batch_size, second, action_size)] * 2
    return forwards + kernels + inputs + propagated


def of_svg_infinity(
    length: int,
    observation_size: int,
    action_size: int,
    policy: tuple[int, int],
    model: tuple[int, int],
) -> int:
    """Floating-point operations in the products of SVG(∞)'s update of the policy.

    Args:
      length: T.
      observation_size: S.
      action_size: A.
      policy: Units of the policy's hidden layers.
      model: Units of the hidden layers of each of the model's S networks.

    Returns:
      Two for each multiplication and addition that a product of matrices needs.
    """
    mean = _units(observation_size, *policy, action_size)
    change = _units(observation_size + action_size, *model, 1)
    # Forwards, and one backward pass for each row of the Jacobian.
    jacobians = (1 + action_size) * mean + 2 * observation_size * change
    closed_loop = observation_size**2 * action_size
    scan = observation_size**2 + 2 * observation_size * action_size
    return 2 * length * (jacobians + closed_loop + scan + 3 * mean)


def of_svg1_er(
    observation_size: int,
    action_size: int,
    policy: tuple[int, int],
    value: tuple[int, int],
    model: tuple[int, int],
    batch_size: int = 128,
) -> int:
    """The same for an environment step of SVG(1)-ER: an update of each kind.

    Args:
      observation_size: S.
      action_size: A.
      policy: Units of the policy's hidden layers.
      value: Those of the value function's.
      model: Those of each of the model's S networks.
      batch_size: B.

    Returns:
      As `of_svg_infinity`.
    """
    mean = _units(observation_size, *policy, action_size)
    worth = _units(observation_size, *value, 1)
    change = observation_size * _units(observation_size + action_size, *model, 1)
    # Learning is three passes: forwards, and backwards to weights and to units. The
    # critic needs the target's value and the weight of the action as well, the policy
    # a pass to and fro through model and value function, and the action's weight.
    learned = 3 * (change + worth + mean)
    besides = worth + mean + 2 * (change + worth) + mean
    return 2 * batch_size * (learned + besides)


def _units(*widths: int) -> int:
    """Weights of the kernels between layers of these widths."""
    return sum(a * b for a, b in zip(widths, widths[1:], strict=False))
