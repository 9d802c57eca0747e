"""Forward propagation against nested tapes and finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from smoothie_tf import action_derivatives
from smoothie_tf.action_derivatives import DenseLayer
from smoothie_tf.networks import dense


def random_critic(seed, dtype, batch, embedded, actions, widths, activation="tanh"):
    """Returns the arguments of forward propagation, and the critic they make up.

    Activations are one for all layers but the last, or one for each.
    """
    rng = np.random.default_rng(seed)

    def constant(x):
        return tf.constant(x, dtype)

    embedding = constant(rng.normal(size=(batch, embedded)))
    action = constant(rng.normal(size=(batch, actions)))
    layers, inputs = [], embedded + actions
    for units in (*widths, 1):
        kernel = constant(rng.normal(size=(inputs, units)) / np.sqrt(inputs))
        bias = constant(0.3 * rng.normal(size=units))
        layers.append(DenseLayer(kernel, bias, activation))
        inputs = units
    if isinstance(activation, str):
        layers[-1] = layers[-1]._replace(activation="linear")
    else:
        layers = [
            layer._replace(activation=name)
            for layer, name in zip(layers, activation, strict=True)
        ]
    whole = list(layers)
    # Forward propagation takes the first kernel in two parts.
    layers[0] = layers[0]._replace(kernel=whole[0].kernel[:embedded])
    action_kernel = whole[0].kernel[embedded:]

    def critic(a):
        x = tf.concat([embedding, a], axis=-1)
        for layer in whole:
            x = tf.matmul(x, layer.kernel) + layer.bias
            x = dense.activation_of(layer.activation)(x)
        return x[:, 0]

    return (embedding, action, action_kernel, layers), critic


@pytest.mark.parametrize(
    ("dtype", "batch", "embedded", "actions", "widths", "activation"),
    [
        (tf.float32, 1, 6, 1, (5,), "tanh"),
        (tf.float32, 7, 400, 17, (300,), "tanh"),
        (tf.float32, 7, 6, 3, (8, 5), "tanh"),
        (tf.float32, 1, 6, 17, (8, 5, 7), "tanh"),
        (tf.float64, 7, 6, 1, (5,), "tanh"),
        (tf.float64, 1, 40, 3, (30,), "tanh"),
        (tf.float64, 7, 6, 17, (8,), "tanh"),
        (tf.float64, 7, 6, 3, (8, 5), "tanh"),
        (tf.float64, 1, 6, 1, (8, 5, 7), "tanh"),
        (tf.float64, 7, 6, 17, (8, 5, 7), "tanh"),
        (tf.float64, 7, 6, 3, (8, 5), "relu"),
        (tf.float64, 7, 6, 3, (8, 5), "linear"),
        (tf.float64, 7, 6, 3, (), "tanh"),
    ],
)
def test_forward_propagation_agrees_with_nested_tapes(
    dtype, batch, embedded, actions, widths, activation
):
    arguments, critic = random_critic(
        0, dtype, batch, embedded, actions, widths, activation
    )
    forward = action_derivatives.by_forward_propagation(*arguments)
    nested = action_derivatives.by_nested_tapes(critic, arguments[1])
    tight = dtype == tf.float64
    for name, shape in (
        ("value", (batch,)),
        ("gradient", (batch, actions)),
        ("hessian", (batch, actions)),
    ):
        mine, other = getattr(forward, name), getattr(nested, name)
        assert mine.shape == other.shape == shape, name
        assert mine.dtype == other.dtype == dtype, name
        np.testing.assert_allclose(
            mine,
            other,
            rtol=1e-10 if tight else 1e-4,
            atol=1e-14 if tight else 1e-5,
            err_msg=name,
        )


MIXED = ("tanh", "softplus", "relu", "linear", "tanh")


@pytest.mark.parametrize(
    ("dtype", "batch", "embedded", "actions", "widths", "activations"),
    [
        (tf.float64, 7, 6, 1, (5,), ("tanh",)),
        (tf.float64, 7, 6, 3, (8,), ("softplus",)),
        (tf.float64, 7, 6, 3, (8, 5), ("squareplus", "squareplus")),
        (tf.float64, 1, 6, 17, (8, 5), ("softplus", "tanh")),
        (tf.float64, 3, 6, 4, (8, 5, 7, 6, 4), MIXED),
        (tf.float64, 3, 6, 4, (8, 5, 7, 6, 4), MIXED[::-1]),
        (tf.float64, 3, 0, 4, (8, 5), ("tanh", "tanh")),
        (tf.float64, 7, 6, 3, (), ()),
        (tf.float32, 7, 40, 6, (30,), ("tanh",)),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_any_stack_with_the_whole_hessian_agrees_with_nested_tapes(
    dtype, batch, embedded, actions, widths, activations, full
):
    (*inputs, layers), critic = random_critic(
        5, dtype, batch, embedded, actions, widths, (*activations, "linear")
    )
    forward = action_derivatives.by_forward_propagation(*inputs, layers, full)
    nested = action_derivatives.by_nested_tapes(critic, inputs[1], full)
    assert type(forward) is type(nested)
    tight = dtype == tf.float64
    for mine, other in zip(forward, nested, strict=True):
        assert mine.shape == other.shape
        np.testing.assert_allclose(
            mine, other, rtol=1e-9 if tight else 1e-4, atol=1e-13 if tight else 1e-5
        )
    if full:
        assert forward.hessian.shape == (batch, actions, actions)
        diagonal = action_derivatives.by_forward_propagation(*inputs, layers)
        np.testing.assert_allclose(
            tf.linalg.diag_part(forward.hessian),
            diagonal.hessian,
            rtol=1e-5,
            atol=1e-6,
        )


def test_derivatives_in_the_action_can_be_learned_from():
    # What the derivative Bellman errors need: gradients of G and H in the weights.
    (*inputs, layers), _ = random_critic(6, tf.float64, 3, 4, 2, (5, 4))
    (*rest, kernel) = inputs
    for full in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            _, gradient, hessian = action_derivatives.by_forward_propagation(
                *rest, kernel, layers, full
            )
            loss = tf.reduce_sum(gradient**2) + tf.reduce_sum(hessian**2)
        by_tape, step = tape.gradient(loss, kernel).numpy(), 1e-6

        def at(moved, full=full):
            _, gradient, hessian = action_derivatives.by_forward_propagation(
                *rest, moved, layers, full
            )
            return tf.reduce_sum(gradient**2) + tf.reduce_sum(hessian**2)

        move = np.zeros(kernel.shape)
        move[1, 2] = step
        slope = (at(kernel + move) - at(kernel - move)) / (2 * step)
        np.testing.assert_allclose(by_tape[1, 2], slope, rtol=1e-6)


def test_both_agree_with_finite_differences():
    arguments, critic = random_critic(1, tf.float64, 4, 5, 3, (6, 4))
    action, step = arguments[1], 1e-3
    for derivatives in (
        action_derivatives.by_forward_propagation(*arguments),
        action_derivatives.by_nested_tapes(critic, action),
    ):
        np.testing.assert_allclose(derivatives.value, critic(action), rtol=1e-12)
        for i in range(3):
            move = step * tf.one_hot([i], 3, dtype=tf.float64)
            above, below = critic(action + move), critic(action - move)
            np.testing.assert_allclose(
                derivatives.gradient[:, i], (above - below) / (2 * step), atol=1e-6
            )
            np.testing.assert_allclose(
                derivatives.hessian[:, i],
                (above - 2 * critic(action) + below) / step**2,
                atol=1e-6,
            )


def test_forward_propagation_by_hand():
    # Q(s, a) = 3·tanh(2·a + s) + 1 at s = 0.5, a = 0.25: u = 1,
    # Q′ = 3·2·(1 − tanh²u), Q″ = 3·4·(−2·tanh u·(1 − tanh²u)).
    derivatives = action_derivatives.by_forward_propagation(
        tf.constant([[0.5]]),
        tf.constant([[0.25]]),
        tf.constant([[2.0]]),
        [
            DenseLayer(tf.constant([[1.0]]), tf.constant([0.0]), "tanh"),
            DenseLayer(tf.constant([[3.0]]), tf.constant([1.0]), "linear"),
        ],
    )
    tanh = np.tanh(1.0)
    np.testing.assert_allclose(derivatives.value, [3 * tanh + 1], rtol=1e-6)
    np.testing.assert_allclose(derivatives.gradient, [[6 * (1 - tanh**2)]], rtol=1e-6)
    np.testing.assert_allclose(
        derivatives.hessian, [[-24 * tanh * (1 - tanh**2)]], rtol=1e-6
    )


def test_nested_tapes_by_hand():
    # Q = a₁²·a₂ + 5·a₂ at (2, 3): gradient (2·2·3, 2² + 5), Hessian diagonal (2·3, 0).
    derivatives = action_derivatives.by_nested_tapes(
        lambda a: a[:, 0] ** 2 * a[:, 1] + 5 * a[:, 1], tf.constant([[2.0, 3.0]])
    )
    np.testing.assert_allclose(derivatives.value, [27.0])
    np.testing.assert_allclose(derivatives.gradient, [[12.0, 9.0]])
    np.testing.assert_allclose(derivatives.hessian, [[6.0, 0.0]])


@pytest.mark.parametrize(
    ("critic", "gradient"),
    [
        (lambda a: 2 * a[:, 0] - a[:, 1], [[2.0, -1.0]]),
        (lambda a: tf.ones([1]), [[0.0, 0.0]]),
    ],
    ids=["linear", "constant"],
)
def test_nested_tapes_of_a_flat_critic_are_zero(critic, gradient):
    derivatives = action_derivatives.by_nested_tapes(critic, tf.constant([[0.3, 0.4]]))
    np.testing.assert_allclose(derivatives.gradient, gradient)
    np.testing.assert_allclose(derivatives.hessian, [[0.0, 0.0]])


@pytest.mark.parametrize("xla", [False, True])
def test_both_compile(xla):
    (embedding, action, *rest), critic = random_critic(2, tf.float32, 4, 5, 3, (6,))
    forward = tf.function(
        lambda a: action_derivatives.by_forward_propagation(embedding, a, *rest),
        jit_compile=xla,
    )(action)
    nested = tf.function(
        lambda a: action_derivatives.by_nested_tapes(critic, a), jit_compile=xla
    )(action)
    for mine, other in zip(forward, nested, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


def test_unknown_activations_are_named():
    arguments, _ = random_critic(3, tf.float32, 2, 3, 2, (4,), "swish")
    known = "linear, relu, softplus, squareplus, tanh"
    with pytest.raises(ValueError, match=f"'swish': it knows {known}"):
        action_derivatives.by_forward_propagation(*arguments)


def test_a_last_layer_that_is_not_linear_with_one_output_is_named():
    (*inputs, layers), _ = random_critic(3, tf.float32, 2, 3, 2, (4,))
    layers[-1] = layers[-1]._replace(activation="tanh")
    with pytest.raises(ValueError, match="linear with 1 output, but is tanh with 1"):
        action_derivatives.by_forward_propagation(*inputs, layers)
    with pytest.raises(ValueError, match="but is tanh with 4"):
        action_derivatives.by_forward_propagation(*inputs, layers[:1])
    with pytest.raises(ValueError, match="at least one layer"):
        action_derivatives.by_forward_propagation(*inputs, [])
