"""SAC's policy: a tanh-squashed Gaussian, scaled to the action bounds.

    u ~ N(μ(s), diag σ(s)²),    a = centre + half range · tanh u.

Shapes: B batch, A action.
"""

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.distributions import tanh_bijector_stable
from tf_agents.distributions import utils as distribution_utils
from tf_agents.policies import actor_policy
from tf_agents.trajectories import policy_step

from smoothie_tf import gaussian


def squash(
    distribution: distribution_utils.SquashToSpecNormal,
) -> tfp.bijectors.Bijector:
    """Returns the function from u to a.

    Args:
      distribution: Distribution of the actions.
    """
    to_bounds = tfp.bijectors.Shift(distribution.action_means)(
        tfp.bijectors.Scale(distribution.action_magnitudes)
    )
    return tfp.bijectors.Chain([to_bounds, tanh_bijector_stable.Tanh()])


def draw(
    distribution: distribution_utils.SquashToSpecNormal, noise: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws actions, differentiable in the distribution's parameters.

    The density is that of u, corrected by the slope of the squashing at u. TF-Agents'
    own density computes u from a by atanh, which is infinite where tanh is rounded to
    1, unless TFP has cached u.

    Args:
      distribution: Distribution of the actions, of B states.
      noise: Standard normal numbers, shape [B, A].

    Returns:
      Actions, shape [B, A], and their log-probabilities in nats, shape [B].
    """
    before = distribution.input_distribution
    u = before.mean() + before.stddev() * noise
    function = squash(distribution)
    log_slope = function.forward_log_det_jacobian(u, event_ndims=1)
    return function.forward(u), before.log_prob(u) - log_slope


class SquashedGaussianPolicy(actor_policy.ActorPolicy):
    """TF-Agents' `ActorPolicy` whose draws can be seeded by a tensor.

    The original converts the seed to a Python number: in a compiled function this is a
    constant, and the draws depend on the state of TensorFlow's generator.
    """

    def _action(self, time_step, policy_state, seed):
        if not tf.is_tensor(seed):
            return super()._action(time_step, policy_state, seed)
        step = self._distribution(time_step, policy_state)
        noise = gaussian.stateless_normal(
            tf.shape(step.action.input_distribution.mean()), seed
        )
        action, _ = draw(step.action, noise)
        return policy_step.PolicyStep(action, step.state, ())
