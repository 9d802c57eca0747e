"""The products of matrices in one update of Smoothie with λ > 0."""

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
    """Lists the products of an update of policy and critic.

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
