"""SAC's actor: two hidden layers, then mean and deviation of a squashed Gaussian.

Haarnoja et al. (2018), "Soft Actor-Critic Algorithms and Applications", Appendix C and
Table 1: a ReLU network of two layers of 256, whose outputs are μ(s) and log σ(s).

Shapes: B batch, S state, A action.
"""

from collections.abc import Sequence

import gin
from tf_agents.agents.sac import sac_agent, tanh_normal_projection_network
from tf_agents.networks import network
from tf_agents.typing import types

from smoothie_tf.networks import dense


@gin.configurable(module="smoothie_tf")
class SquashedGaussianNetwork(network.DistributionNetwork):
    """Maps observations, shape [B, S], to distributions of actions, shape [B, A].

    The hidden layers are `dense.Dense`, whose gradient is faster under XLA. The last
    layer and the distribution are TF-Agents', with log σ clipped to [−20, 2] as in the
    authors' code.
    """

    def __init__(
        self,
        input_tensor_spec: types.NestedTensorSpec,
        action_spec: types.BoundedTensorSpec,
        hidden_units: Sequence[int] = (256, 256),
        activation: str = "relu",
        name: str = "SquashedGaussianNetwork",
    ):
        """Builds the network.

        Args:
          input_tensor_spec: Spec of the observations, shape [S].
          action_spec: Bounded spec of the actions, shape [A].
          hidden_units: Width of each hidden layer.
          activation: Keras name of the hidden layers' activation.
          name: Name of the network.

        Raises:
          ValueError: If a width is not a whole number of at least 1, or the activation
            is unknown.
        """
        dense.check("SquashedGaussianNetwork", activation, hidden_units=hidden_units)
        output = tanh_normal_projection_network.TanhNormalProjectionNetwork(
            action_spec, std_transform=sac_agent.std_clip_transform
        )
        super().__init__(input_tensor_spec, (), output.output_spec, name)
        self._hidden = dense.hidden_layers(hidden_units, activation)
        self._output = output

    def call(
        self, observation, step_type=(), network_state=(), training=False
    ) -> tuple[types.Distribution, types.NestedTensor]:
        """Returns the distributions of actions and the untouched network state."""
        del step_type
        x = dense.chain(self._hidden, observation)
        distribution, _ = self._output(x, outer_rank=1, training=training)
        return distribution, network_state
