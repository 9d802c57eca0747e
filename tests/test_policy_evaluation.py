"""The weights 1/q of (18)."""

import numpy as np
import pytest
import tensorflow as tf

from smoothie_tf import policy_evaluation


def weights_of(density, weights=None, clipping=1e9):
    density = np.asarray(density, np.float64)
    weights = np.ones_like(density) if weights is None else weights
    return policy_evaluation.inverse_density_weights(
        tf.constant(np.log(density)), tf.constant(weights, tf.float64), clipping
    ).numpy()


def test_by_hand():
    # 1/q = 4, 2, 2, of mean 8/3.
    np.testing.assert_allclose(weights_of([0.25, 0.5, 0.5]), [1.5, 0.75, 0.75])


def test_a_density_times_anything_is_the_same():
    np.testing.assert_allclose(weights_of([0.25e-200, 0.5e-200]), weights_of([1, 2]))


def test_clipping_by_hand():
    # 1/q = 6, 1, 1, of mean 8/3: 2.25, 0.375, 0.375. Cut at 1.5 and scaled by 3/2.25.
    np.testing.assert_allclose(
        weights_of([1 / 6, 1, 1], clipping=1.5), [2, 0.5, 0.5], rtol=1e-12
    )
    np.testing.assert_allclose(weights_of([1e-30, 1, 1], clipping=1.0)[0], 3)


def test_uniform_densities_change_nothing():
    weights = np.array([0.5, 1.5, 0.0, 2.0])
    np.testing.assert_allclose(weights_of([0.3] * 4, weights), weights)


def test_transitions_that_do_not_count_do_not_count():
    weights = np.array([1.5, 0.0, 1.5])
    np.testing.assert_allclose(weights_of([1, 1e-300, 0.5], weights), [1, 0, 2])
    np.testing.assert_array_equal(weights_of([1, 2], np.zeros(2)), [0, 0])
    # Nor for the mean that `clipping` is a multiple of: as by hand above.
    np.testing.assert_allclose(
        weights_of([1 / 6, 1, 1, 1e-9], np.array([1.0, 1, 1, 0]), clipping=1.5),
        [2, 0.5, 0.5, 0],
        rtol=1e-12,
    )


def test_on_policy_data_with_weights_give_the_smoothed_value():
    # Section 4.2 in one dimension: stored ã ~ q = N(0, σ²), phantom a ~ N(ã, σ²). At
    # a given a, the mean of f(ã) is that over N(a/2, σ²/2), and with weights 1/q that
    # over N(a, σ²), here by integration over ã.
    stored, spacing = np.linspace(-12, 12, 4801, retstep=True)
    action, stddev = 0.6, 0.8

    def normal(x, mean, variance):
        return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(
            2 * np.pi * variance
        )

    q = normal(stored, 0.0, stddev**2)
    value = np.sin(2 * stored) + stored**2
    meets = q * normal(action, stored, stddev**2)
    for weights, mean, variance in (
        (np.ones_like(q), action / 2, stddev**2 / 2),
        (1 / q, action, stddev**2),
    ):
        weighted = weights * meets
        smoothed = spacing * (normal(stored, mean, variance) @ value)
        np.testing.assert_allclose(
            weighted @ value / weighted.sum(), smoothed, rtol=1e-9
        )


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 3)])
def test_squared_error(shape):
    draw = np.random.default_rng(0)
    derivative, target = draw.normal(size=(2, *shape))
    np.testing.assert_allclose(
        policy_evaluation.squared_error(tf.constant(derivative), tf.constant(target)),
        [0.5 * ((d - t) ** 2).sum() for d, t in zip(derivative, target, strict=True)],
    )
