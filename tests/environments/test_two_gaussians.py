"""The two-Gaussians task: closed forms against integrals and differences."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import smoothie_tf.environments  # noqa: F401  Registers the task.
from smoothie_tf.environments import two_gaussians

ACTIONS = np.linspace(-3.0, 3.0, 61)
STDDEVS = (0.02, 0.2, np.exp(-0.5), 1.5, 6.0)
MIXTURES = (
    two_gaussians.MIXTURE,
    two_gaussians.TwoGaussians((1.0, 2.48), (-1.0, 0.98), (0.24, 0.43)),
)


def differences(function, x, step):
    """First derivative, by the five-point rule."""
    return (
        8 * (function(x + step) - function(x - step))
        - (function(x + 2 * step) - function(x - 2 * step))
    ) / (12 * step)


def test_reward_by_hand():
    mixture = two_gaussians.TwoGaussians((2.0, 3.0), (-1.0, 1.0), (0.5, 1.0))
    # At −1: 2·exp(0) + 3·exp(−2²/2); at 0: 2·exp(−1/(2·¼)) + 3·exp(−½).
    np.testing.assert_allclose(
        mixture.reward(np.array([-1.0, 0.0])),
        [2 + 3 * np.exp(-2), 2 * np.exp(-2) + 3 * np.exp(-0.5)],
        rtol=1e-14,
    )


def test_smoothed_reward_by_hand():
    # One bump of height 5 and width 3, smoothed with 4: width 5, height 5·3/5 = 3.
    mixture = two_gaussians.TwoGaussians((5.0, 0.0), (1.0, 0.0), (3.0, 1.0))
    np.testing.assert_allclose(
        mixture.smoothed_reward(np.array([1.0, 6.0]), 4.0),
        [3, 3 * np.exp(-0.5)],
        rtol=1e-14,
    )


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("stddev", STDDEVS)
def test_closed_form_is_the_integral(mixture, stddev):
    np.testing.assert_allclose(
        mixture.smoothed_reward_by_quadrature(ACTIONS, stddev),
        mixture.smoothed_reward(ACTIONS, stddev),
        rtol=1e-10,
    )


def test_closed_form_is_the_mean_over_samples():
    samples = np.random.default_rng(0).normal(-0.8, 0.6, 1_000_000)
    rewards = two_gaussians.MIXTURE.reward(samples)
    standard_error = rewards.std() / np.sqrt(len(rewards))
    assert two_gaussians.MIXTURE.smoothed_reward(-0.8, 0.6) == pytest.approx(
        rewards.mean(), abs=4 * standard_error
    )


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("stddev", (0.0, *STDDEVS))
def test_derivatives_are_limits_of_differences(mixture, stddev):
    np.testing.assert_allclose(
        mixture.smoothed_reward_gradient(ACTIONS, stddev),
        differences(lambda a: mixture.smoothed_reward(a, stddev), ACTIONS, 1e-3),
        rtol=1e-6,
        atol=1e-8,
    )
    np.testing.assert_allclose(
        mixture.smoothed_reward_hessian(ACTIONS, stddev),
        differences(
            lambda a: mixture.smoothed_reward_gradient(a, stddev), ACTIONS, 1e-3
        ),
        rtol=1e-6,
        atol=1e-7,
    )


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("stddev", STDDEVS)
def test_theorem_1(mixture, stddev):
    variance = stddev**2
    by_variance = differences(
        lambda v: mixture.smoothed_reward(ACTIONS, np.sqrt(v)),
        variance,
        1e-3 * variance,
    )
    np.testing.assert_allclose(
        by_variance,
        mixture.smoothed_reward_hessian(ACTIONS, stddev) / 2,
        rtol=1e-6,
        atol=1e-8,
    )


def test_any_shape_broadcasts():
    mixture = two_gaussians.MIXTURE
    actions = ACTIONS[:60].reshape(3, 4, 5)
    stddevs = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    for function in (
        mixture.smoothed_reward,
        mixture.smoothed_reward_gradient,
        mixture.smoothed_reward_hessian,
    ):
        together = function(actions, stddevs)
        assert together.shape == (3, 4, 5)
        assert together[2, 1, 3] == function(actions[2, 1, 3], stddevs[3])
    by_quadrature = mixture.smoothed_reward_by_quadrature(actions, 0.3)
    assert by_quadrature.shape == (3, 4, 5)
    assert np.shape(mixture.reward(0.5)) == ()


def follow(ascend, num_steps=40_000, step_size=0.02):
    """Follows an ascent from the worse mode: (μ, σ) after each step."""
    mean, log_variance = two_gaussians.MIXTURE.centres[0], -1.0
    path = []
    for _ in range(num_steps):
        mean_change, log_variance_change = ascend(mean, np.exp(log_variance))
        mean += step_size * mean_change
        log_variance += step_size * log_variance_change
        path.append((mean, np.exp(log_variance / 2)))
    return np.array(path)


def test_ascent_on_the_reward_stays_on_the_worse_mode():
    mixture = two_gaussians.MIXTURE
    path = follow(
        lambda mean, variance: (mixture.smoothed_reward_gradient(mean, 0.0), 0.0),
        num_steps=5_000,
    )
    assert path[:, 0].max() < mixture.centres[0] + 0.05


def test_ascent_on_the_smoothed_reward_crosses_and_stddev_falls_rises_falls():
    mixture = two_gaussians.MIXTURE

    def ascend(mean, variance):
        stddev = np.sqrt(variance)
        return (
            mixture.smoothed_reward_gradient(mean, stddev),
            mixture.smoothed_reward_hessian(mean, stddev) / 2 * variance,
        )

    mean, stddev = follow(ascend).T
    assert mean[-1] == pytest.approx(mixture.centres[1], abs=0.01)
    top = stddev.argmax()
    low = stddev[:top].min()
    # The module's docstring says so.
    assert 1 - low / np.exp(-0.5) == pytest.approx(0.006, abs=5e-4)
    assert stddev[top] / low - 1 == pytest.approx(0.027, abs=5e-4)
    assert stddev[-1] < 0.1
    assert (np.abs(mean) + 3.3 * stddev).max() < two_gaussians.ACTION_BOUND


@pytest.mark.parametrize(
    "arguments, message",
    [
        (((1.0,), (0.0, 1.0), (1.0, 1.0)), "heights must be two finite numbers"),
        (((1.0, 1.0), (0.0, np.nan), (1.0, 1.0)), "centres must be two finite"),
        (((1.0, 1.0), (0.0, 1.0), (1.0, 0.0)), "widths must be above 0"),
    ],
)
def test_bad_mixture_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_gaussians.TwoGaussians(*arguments)


def test_bad_stddev_is_named():
    with pytest.raises(ValueError, match="at least 0, but one is -0.5"):
        two_gaussians.MIXTURE.smoothed_reward(0.0, -0.5)
    with pytest.raises(ValueError, match="above 0, but is 0"):
        two_gaussians.MIXTURE.smoothed_reward_by_quadrature(0.0, 0)


@pytest.mark.filterwarnings("ignore:.*For Box action spaces, we recommend")
def test_environment_keeps_gymnasiums_contract():
    check_env(gymnasium.make("smoothie_tf/TwoGaussians-v0").unwrapped)


def test_environment_pays_the_mixture_and_ends():
    env = gymnasium.make("smoothie_tf/TwoGaussians-v0")
    assert (env.action_space.low, env.action_space.high) == (-3.0, 3.0)
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(observation, [0.0])
    action = np.array([-0.7], np.float32)
    observation, reward, terminated, truncated, _ = env.step(action)
    np.testing.assert_array_equal(observation, [0.0])
    assert reward == float(two_gaussians.MIXTURE.reward(float(action[0])))
    assert terminated and not truncated
