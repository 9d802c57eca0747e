"""Lists the matrix products of Smoothie's update, and counts those of SVG's updates."""

from typing import NamedTuple


class Product(NamedTuple):
    """A product of [rows, inner] with [inner, columns].

    Attributes:
      rows: Rows of the result.
      inner: Length of the summed dimension.
      columns: Columns of the result.
    """

    rows: int
    inner: int
    columns: int

    @property
    def operations(self) -> int:
        """Number of floating-point operations: multiplications and additions."""
        return 2 * self.rows * self.inner * self.columns


def of_update(
    observation_size: int,
    action_size: int,
    batch_size: int = 128,
    widths: tuple[int, int] = (400, 300),
) -> list[Product]:
    """Lists the products of an update of Smoothie's policy and critic, for λ > 0.

    Args:
      observation_size: S.
      action_size: A.
      batch_size: B.
      widths: Units of the two hidden layers of each network.

    Returns:
      The products of three forward passes and one backward pass through each network,
      and those of the critic's gradient and Hessian by forward propagation.
    """
    first, second = widths
    actor = [(observation_size, first), (first, second), (second, action_size)]
    # The action enters at the second layer, as a separate product.
    critic = [(observation_size, first), (first, second), (action_size, second)]
    critic.append((second, 1))
    forwards = [Product(batch_size, *layer) for layer in (*actor, *critic)] * 3
    kernels = [
        Product(inputs, batch_size, outputs) for inputs, outputs in (*actor, *critic)
    ]
    # There are no gradients by observations, nor, in the critic's update, by actions.
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
    """Counts floating-point operations in the products of SVG(∞)'s policy update.

    Args:
      length: Steps of the episode, T.
      observation_size: S.
      action_size: A.
      policy: Units of the policy's hidden layers.
      model: Units of the hidden layers of each of the model's S networks.

    Returns:
      The number of multiplications and additions in matrix products.
    """
    mean = _units(observation_size, *policy, action_size)
    change = _units(observation_size + action_size, *model, 1)
    # A forward pass, and a backward pass for each row of the Jacobian.
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
    """Counts them in one update each of SVG(1)-ER's model, value function and policy.

    Args:
      observation_size: S.
      action_size: A.
      policy: Units of the policy's hidden layers.
      value: Units of the value function's hidden layers.
      model: Units of the hidden layers of each of the model's S networks.
      batch_size: B.

    Returns:
      The number of multiplications and additions in matrix products.
    """
    mean = _units(observation_size, *policy, action_size)
    worth = _units(observation_size, *value, 1)
    change = observation_size * _units(observation_size + action_size, *model, 1)
    # Training a network takes three passes: forward, and backward to weights and to
    # units. The value function also needs the target's value and the importance weight
    # of the action. The policy also needs a forward and a backward pass through model
    # and value function, and the importance weight.
    learned = 3 * (change + worth + mean)
    extra = worth + mean + 2 * (change + worth) + mean
    return 2 * batch_size * (learned + extra)


def _units(*widths: int) -> int:
    """Returns the number of weights of the kernels between layers of these widths."""
    return sum(a * b for a, b in zip(widths, widths[1:], strict=False))
