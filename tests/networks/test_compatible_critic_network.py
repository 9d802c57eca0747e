"""The compatible critic: its two conditions, and the exact gradient they give.

Networks are float64 here.
"""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from smoothie_tf import action_derivatives, covariances
from smoothie_tf.environments import linear_quadratic
from smoothie_tf.networks import (
    compatible_critic_network,
    covariance_network,
    keras_network,
    mean_network,
)

KINDS = {"diagonal": covariances.Diagonal, "full": covariances.Full}


@pytest.fixture(autouse=True)
def _double():
    tf.keras.backend.set_floatx("float64")
    yield
    tf.keras.backend.set_floatx("float32")


def specs(states, actions):
    return (
        tensor_spec.TensorSpec([states], tf.float64),
        tensor_spec.BoundedTensorSpec([actions], tf.float64, -1, 1),
    )


def random_weights(variables, seed=0):
    draw = np.random.default_rng(seed)
    for variable in variables:
        variable.assign(0.5 * draw.normal(size=variable.shape))


def bound(kind, state_dependent, states=3, actions=2):
    """A critic with random weights, for a policy of relu layers with a tanh output."""
    observation, action = specs(states, actions)
    actor = mean_network.MeanNetwork(observation, action, (5, 4))
    actor.create_variables()
    size = kind.number_of_parameters(actions)
    if state_dependent:
        source = covariance_network.CovarianceNetwork(observation, [0.0] * size, (4,))
        source.create_variables()
        random_weights(source.variables, 1)
    else:
        source = tf.Variable(0.3 * np.random.default_rng(1).normal(size=size))
    random_weights(actor.variables, 2)
    critic = compatible_critic_network.CompatibleCriticNetwork(
        (observation, action), (6,)
    )
    critic.bind_policy(actor, covariances.Covariance(kind, source))
    critic.create_variables()
    random_weights(critic.variables, 3)
    return critic, actor, source


@pytest.mark.parametrize("state_dependent", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_first_condition_for_mean_and_covariance(name, state_dependent):
    kind = KINDS[name]
    critic, actor, source = bound(kind, state_dependent)
    draw = np.random.default_rng(4)
    states = tf.constant(draw.normal(size=(5, 3)))
    phi = source.trainable_variables if state_dependent else [source]
    with tf.GradientTape(persistent=True) as tape:
        mean, _ = actor(states)
        parameters = source(states)[0] if state_dependent else source * 1.0
        covariance = kind(parameters).matrix()
    theta = actor.trainable_variables
    slope = sum(
        tf.reduce_sum(
            tf.reshape(tape.jacobian(mean, variable), [5, 2, -1])
            * tf.reshape(direction, [-1]),
            axis=-1,
        )
        for variable, direction in zip(theta, critic._mean_weights, strict=True)
    )  # ∇θμᵀw₁
    hessian = sum(
        tf.reduce_sum(
            tf.reshape(
                tape.jacobian(covariance, variable), [*covariance.shape.as_list(), -1]
            )
            * tf.reshape(direction, [-1]),
            axis=-1,
        )
        for variable, direction in zip(phi, critic._covariance_weights, strict=True)
    )  # ∇φΣᵀw₂
    nested = action_derivatives.by_nested_tapes(
        lambda a: critic((states, a))[0], mean, full_hessian=True
    )
    np.testing.assert_allclose(nested.gradient, slope, rtol=1e-9, atol=1e-12)
    if not kind.full_hessian:
        hessian = tf.linalg.diag(hessian)
    np.testing.assert_allclose(
        nested.hessian, np.broadcast_to(hessian, (5, 2, 2)), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("state_dependent", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_its_own_derivatives_are_those_of_nested_tapes(name, state_dependent, full):
    critic, *_ = bound(KINDS[name], state_dependent)
    draw = np.random.default_rng(4)
    states = tf.constant(draw.normal(size=(5, 3)))
    actions = tf.constant(draw.normal(size=(5, 2)))
    nested = action_derivatives.by_nested_tapes(
        lambda a: critic((states, a))[0], actions, full
    )
    own = critic.action_derivatives(states, actions, full)
    for mine, other in zip(own, nested, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-12)


def test_at_the_mean_it_is_the_state_value():
    critic, actor, _ = bound(covariances.Diagonal, False)
    states = tf.constant(np.random.default_rng(4).normal(size=(5, 3)))
    before, _ = critic((states, actor(states)[0]))
    for variable in (*critic._mean_weights, *critic._covariance_weights):
        variable.assign_add(tf.ones_like(variable))
    after, _ = critic((states, actor(states)[0]))
    np.testing.assert_allclose(before, after, rtol=1e-12)


def test_policys_variables_are_not_its_own():
    critic, actor, source = bound(covariances.Full, True)
    policys = {id(v) for v in (*actor.variables, *source.variables)}
    assert not policys & {id(v) for v in critic.variables}
    # V has two layers; w₁ mirrors θ, w₂ φ.
    assert len(critic.trainable_variables) == 4 + 6 + 4
    other = critic.copy(name="Other")
    other.create_variables()
    assert not {id(v) for v in critic.variables} & {id(v) for v in other.variables}
    assert [v.shape for v in critic.variables] == [v.shape for v in other.variables]


def test_without_a_policy_it_says_so():
    critic = compatible_critic_network.CompatibleCriticNetwork(specs(3, 2))
    with pytest.raises(ValueError, match="needs the policy whose critic it is"):
        critic.create_variables()


def least_squares(design, truth):
    """Weights that minimise the squared error, and what is left of the truth."""
    design = design.reshape(len(design), -1).T
    weights, *_ = np.linalg.lstsq(design, truth.ravel(), rcond=None)
    return weights, truth.ravel() - design @ weights


@pytest.mark.parametrize("name", KINDS)
def test_policy_gradient_is_exact_where_both_conditions_hold(name):
    # A policy of rank one, a = u·(kᵀs) with k learned, whose ∇θμᵀw₁ cannot be the true
    # gradient: the second condition leaves an error, which must not reach ∂J/∂k.
    kind, states, actions, discount = KINDS[name], 3, 2, 0.9
    draw = np.random.default_rng(0)
    observation, action = specs(states, actions)
    system = linear_quadratic.random_system(states, actions, 1)
    u, k = draw.normal(size=(1, actions)), 0.2 * draw.normal(size=(states, 1))
    frozen = tf.keras.layers.Dense(actions, use_bias=False, trainable=False)
    learned = tf.keras.layers.Dense(1, use_bias=False)
    actor = keras_network.KerasNetwork(
        observation, tf.keras.Sequential([learned, frozen])
    )
    actor.create_variables()
    learned.kernel.assign(k)
    frozen.kernel.assign(u)
    phi = 0.3 * draw.normal(size=kind.number_of_parameters(actions)) - 1
    source = tf.Variable(phi)
    covariance = kind(source).matrix().numpy()
    covariance = np.diag(covariance) if covariance.ndim == 1 else covariance
    truth = system.evaluate((k @ u).T, np.linalg.cholesky(covariance), discount)
    start = np.eye(states)

    # Points that have exactly the second moment of ρ^π: all integrands are quadratic.
    moment = truth.state_moment(start) * (1 - discount)
    points = np.sqrt(states) * np.linalg.cholesky(moment).T
    at, mean = tf.constant(points), tf.constant(points @ k @ u)
    critic = compatible_critic_network.CompatibleCriticNetwork((observation, action))
    critic.bind_policy(actor, covariances.Covariance(kind, source))
    critic.create_variables()

    def derivatives():
        return critic.action_derivatives(at, mean, kind.full_hessian)[1:]

    def design(variables, which):
        columns = []
        for variable in variables:
            for index in np.ndindex(*variable.shape):
                one = np.zeros(variable.shape)
                one[index] = 1.0
                variable.assign(one)
                columns.append(derivatives()[which].numpy())
                variable.assign(np.zeros(variable.shape))
        return np.array(columns)

    true_hessian = np.tile(truth.action_hessian(), (states, 1, 1))
    if not kind.full_hessian:
        true_hessian = np.diagonal(true_hessian, axis1=1, axis2=2)
    w1, error = least_squares(
        design(critic._mean_weights, 0), truth.action_gradient(points, mean.numpy())
    )
    assert np.abs(error).max() > 0.1
    w2, _ = least_squares(design(critic._covariance_weights, 1), true_hessian)
    critic._mean_weights[0].assign(w1.reshape(k.shape))
    critic._covariance_weights[0].assign(w2)

    # (13) and (15) with the critic's derivatives, as the agent's surrogate has them.
    g, H = derivatives()
    with tf.GradientTape(persistent=True) as tape:
        policy_mean, _ = actor(at)
        surrogate = tf.reduce_mean(tf.reduce_sum(g * policy_mean, axis=-1))
        surrogate += tf.reduce_mean(kind(tf.convert_to_tensor(source)).half_trace(H))
        surrogate /= 1 - discount
    np.testing.assert_allclose(
        tape.gradient(surrogate, learned.kernel),
        truth.gain_gradient(start).T @ u.T,
        rtol=1e-9,
    )

    def objective(moved):
        covariance = kind(tf.constant(moved)).matrix().numpy()
        covariance = np.diag(covariance) if covariance.ndim == 1 else covariance
        factor = np.linalg.cholesky(covariance)
        return system.evaluate((k @ u).T, factor, discount).objective(start)

    step = 1e-5
    expected = [
        (objective(phi + step * e) - objective(phi - step * e)) / (2 * step)
        for e in np.eye(len(phi))
    ]
    np.testing.assert_allclose(tape.gradient(surrogate, source), expected, rtol=1e-6)
