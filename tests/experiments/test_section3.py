"""Section 3: moments and counts by hand, the limit of DDPG, and the command."""

import math

import numpy as np
import pandas as pd
import pytest

from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.commands.theory import section3_command
from smoothie_tf.experiments.theory import (
    likelihood_ratio,
    local_optima,
    section3,
    section3_critics,
)

MIXTURE = two_gaussians.MIXTURE


# The naive update.


def log_density(action, mean, stddev):
    return -0.5 * ((action - mean) / stddev) ** 2 - math.log(stddev)


@pytest.mark.parametrize("action", [-1.0, 0.2, 2.5])
def test_scores_are_derivatives_of_the_log_density(action):
    # And the printed ones are not: Δμ has the other sign, Δσ the square for the cube.
    mean, stddev, step = 0.3, 0.7, 1e-6
    by_mean = log_density(action, mean + step, stddev)
    by_mean -= log_density(action, mean - step, stddev)
    by_stddev = log_density(action, mean, stddev + step)
    by_stddev -= log_density(action, mean, stddev - step)
    z = (action - mean) / stddev
    numerical = {"mean": by_mean / (2 * step), "stddev": by_stddev / (2 * step)}
    for parameter, expected in numerical.items():
        score = likelihood_ratio.score(parameter, z, stddev)
        assert score == pytest.approx(expected, rel=1e-8)
        assert likelihood_ratio.printed_score(parameter, z, stddev) != pytest.approx(
            expected, rel=1e-3
        )


def test_variance_of_a_single_bump_by_hand():
    # R = exp(−(a − c)²/2w²) at μ = c: with k = σ²/w² and v = 1/(1 + 2k),
    # E[z²·exp(−kz²)] = v^{3/2} and E[(z² − 1)²·exp(−kz²)] = √v·(3v² − 2v + 1); the mean
    # of (z² − 1)·exp(−kz²/2) is √u·(u − 1) with u = 1/(1 + k). Here k = 4.
    bump = two_gaussians.TwoGaussians((1.0, 0.0), (0.4, 5.0), (0.3, 1.0))
    stddev, u, v = 0.6, 1 / 5, 1 / 9
    of_mean = likelihood_ratio.moments("mean", 0.4, stddev, bump)
    assert of_mean.average == pytest.approx(0.0, abs=1e-12)
    assert of_mean.variance == pytest.approx(v**1.5 / 0.36, rel=1e-10)
    of_stddev = likelihood_ratio.moments("stddev", 0.4, stddev, bump)
    assert of_stddev.average == pytest.approx(u**0.5 * (u - 1) / 0.6, rel=1e-10)
    second = v**0.5 * (3 * v**2 - 2 * v + 1) / 0.36
    assert of_stddev.variance == pytest.approx(second - of_stddev.average**2, rel=1e-10)


@pytest.mark.parametrize("parameter", likelihood_ratio.PARAMETERS)
@pytest.mark.parametrize("stddev", [0.05, 0.6, 2.0])
def test_the_mean_update_is_the_slope_of_the_smoothed_reward(parameter, stddev):
    # Theorem 1, here from rewards alone.
    found = likelihood_ratio.moments(parameter, -0.8, stddev)
    assert found.average == pytest.approx(found.exact, abs=1e-11)


@pytest.mark.parametrize(("parameter", "factor"), [("mean", 1.0), ("stddev", 2.0)])
def test_variance_grows_as_one_over_the_square_of_a_small_stddev(parameter, factor):
    # E[z²] = 1 and E[(z² − 1)²] = 2 times R(μ)²/σ², as the reward is flat within σ.
    found = likelihood_ratio.moments(parameter, -0.8, 1e-4)
    expected = factor * MIXTURE.reward(-0.8) ** 2 / 1e-8
    assert found.variance == pytest.approx(expected, rel=1e-5)


def test_a_baseline_takes_the_variance_of_a_constant_reward():
    flat = two_gaussians.TwoGaussians((0.5, 0.5), (0.0, 0.0), (1e6, 1e6))
    found = likelihood_ratio.moments("mean", 0.0, 0.5, flat)
    assert found.variance == pytest.approx(4.0, rel=1e-9)
    assert found.variance_with_baseline == pytest.approx(0.0, abs=1e-9)


def test_as_printed_the_mean_would_descend():
    found = likelihood_ratio.moments("mean", -0.8, 0.6)
    assert found.printed_average == pytest.approx(-found.exact, rel=1e-10)
    # σ² and σ³ are the same number at 1 only.
    assert likelihood_ratio.moments("stddev", -0.8, 1.0).printed_average == (
        pytest.approx(likelihood_ratio.moments("stddev", -0.8, 1.0).exact, rel=1e-9)
    )
    found = likelihood_ratio.moments("stddev", -0.8, 0.2)
    assert found.printed_average < 4 * found.exact < 0


# Local maxima.


def test_equal_bumps_merge_when_they_are_as_wide_as_half_their_distance():
    # Two equal Gaussians at ±1 have two maxima where their variance is below 1:
    # 0.6² + σ² < 1, so from σ = 0.8 on there is one.
    mixture = two_gaussians.TwoGaussians((1.0, 1.0), (-1.0, 1.0), (0.6, 0.6))
    assert local_optima.count_local_maxima(mixture, 0.799999) == 2
    assert local_optima.count_local_maxima(mixture, 0.800001) == 1
    assert local_optima.vanishing_stddev(mixture) == pytest.approx(0.8, abs=1e-6)


def test_the_count_is_that_of_a_fine_grid():
    rng = np.random.default_rng(0)
    counts = []
    for _ in range(300):
        mixture = two_gaussians.TwoGaussians(
            *(tuple(rng.uniform(low, high, 2)) for low, high in ((0.1, 1), (-2, 2))),
            tuple(rng.uniform(0.1, 1.0, 2)),
        )
        stddev = rng.uniform(0, 0.5)
        grid = np.linspace(-2.1, 2.1, 20_001)
        slope = mixture.smoothed_reward_gradient(grid, stddev)
        expected = int(((slope[:-1] > 0) & (slope[1:] <= 0)).sum())
        counts.append(local_optima.count_local_maxima(mixture, stddev))
        assert counts[-1] == expected
    assert set(counts) == {1, 2}


def test_figure_1s_mixture_loses_its_local_maximum_at_the_papers_stddev():
    assert local_optima.count_local_maxima(MIXTURE, 0.0) == 2
    vanishing = local_optima.vanishing_stddev(MIXTURE)
    assert local_optima.count_local_maxima(MIXTURE, math.exp(-0.5)) == 1
    # Where it goes, slope and curvature are zero together.
    grid = np.linspace(-0.8, 0.8, 100_001)
    slope = MIXTURE.smoothed_reward_gradient(grid, vanishing)
    place = grid[np.argmin(slope[: len(grid) // 2])]
    assert abs(slope[: len(grid) // 2].min()) < 1e-8
    assert abs(MIXTURE.smoothed_reward_hessian(place, vanishing)) < 1e-3


def test_one_maximum_needs_no_smoothing():
    mixture = two_gaussians.TwoGaussians((1.0, 1.0), (0.0, 0.5), (1.0, 1.0))
    assert local_optima.vanishing_stddev(mixture) == 0.0


def test_heights_must_be_positive():
    mixture = two_gaussians.TwoGaussians((1.0, -1.0), (0.0, 0.5), (1.0, 1.0))
    with pytest.raises(ValueError, match="heights must be above 0"):
        local_optima.count_local_maxima(mixture, 0.1)


def ridge_by_quadrature(x, y, stddev):
    """The ridge, smoothed by a sum over a grid of draws."""
    z, spacing = np.linspace(-6, 6, 601, retstep=True)
    weight = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * spacing
    along, across = x + stddev * z[:, np.newaxis], y + stddev * z
    return sum(
        height
        * (weight @ np.exp(-((along[:, 0] - centre) ** 2) / (2 * width**2)))
        * (weight @ np.exp(-(across**2) / (2 * breadth**2)))
        for height, centre, width, breadth in local_optima.RIDGE
    )


def test_smoothing_in_two_dimensions_adds_a_maximum():
    stddev = math.exp(-0.5)
    x = np.linspace(-1.3, 1.3, 26_001)
    # Between the hills the raw slope changes its sign once: everywhere left of there it
    # is further from 0 than it can go between two points of the grid.
    _, slope = local_optima.smoothed_on_axis(local_optima.RIDGE, x, 0.0)
    top = int(np.flatnonzero(slope > 0)[-1])
    steepest = np.abs(np.diff(slope)).max()
    assert (slope[: top - 100] > 10 * steepest).all()
    assert (slope[top + 1 :] < 0).all()
    value, slope = local_optima.smoothed_on_axis(local_optima.RIDGE, x, stddev)
    tops = x[:-1][(slope[:-1] > 0) & (slope[1:] <= 0)]
    assert len(tops) == 2
    # Each higher than all around it, by an integral that knows no closed form.
    for top in tops:
        middle = ridge_by_quadrature(top, 0.0, stddev)
        assert middle == pytest.approx(np.interp(top, x, value), rel=1e-6)
        for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False):
            around = (top + 0.1 * math.cos(angle), 0.1 * math.sin(angle))
            assert ridge_by_quadrature(*around, stddev) < middle - 1e-5


def test_in_one_dimension_smoothing_adds_none():
    table = section3.tabulate_local_optima()
    gained = table.groupby("function")["gained"].sum()
    assert gained[section3.TWO_GAUSSIANS] == gained[section3.RANDOM] == 0
    assert gained[section3.RIDGE] == 1
    assert table["vanishing_stddev"].iloc[0] == pytest.approx(0.3804, abs=1e-4)


# The limit Σ → 0.


def test_for_small_covariances_smoothies_updates_are_ddpgs():
    table = section3_critics.ddpg_limit([1e-2, 1e-4, 1e-6, 1e-13])
    # (13) at the same critic is DDPG's gradient whatever σ is. Single precision rounds
    # to 6e-8, and 256 transitions are summed: √256·6e-8 = 1e-6.
    assert (table["policy_gradient"] <= 1e-6).all()
    # The targets r + γ·Q(s′, μ′(s′)) have no σ in them; what has, is where the critic
    # is seen, ã + σ·ε, so that its gradient is off in proportion to σ.
    share = table["critic_gradient"][0] / 1e-2
    assert 0.1 < share < 1.0
    for _, row in table.iterrows():
        expected = share * row["stddev"]
        assert row["critic_gradient"] == pytest.approx(expected, rel=0.05, abs=1e-6)
    # At 1e-13 a + σ·ε is a: losses are equal but for the order of sums.
    assert table["critic_loss"].iloc[-1] <= 1e-6


# Critics.


def fitted(regression, seed, **arguments):
    regression.restart(seed)
    actions = np.linspace(-1, 1, 256)
    regression.fit(actions, actions**2, 20, **arguments)
    return regression.values(np.linspace(-1, 1, 5))


def test_a_fit_is_a_function_of_its_seed():
    regression = section3_critics.Regression(8, 256)
    first = fitted(regression, 3, stddev=0.1)
    assert not np.array_equal(fitted(regression, 4, stddev=0.1), first)
    np.testing.assert_array_equal(fitted(regression, 3, stddev=0.1), first)


def test_a_critic_sees_only_what_is_stored_so_far():
    regression = section3_critics.Regression(4, 256)
    targets = np.where(np.arange(256) < 131, 1.0, np.nan)
    regression.restart(0)
    # Updates see 128, 129, 130 and 131 actions.
    regression.fit(np.zeros(256), targets, 4, first_stored=128)
    assert np.isfinite(regression.values(np.zeros(1))).all()
    regression.fit(np.zeros(256), targets, 20, first_stored=128)
    assert np.isnan(regression.values(np.zeros(1))).all()


def test_phantom_actions_spread_a_stored_one():
    # One stored action, 0, with target 1 there and an equal number of targets 0 at 3:
    # at a phantom action a the regression's optimum is the share of the first,
    # 1/(1 + exp(3(a − 1.5)/σ²)) = 0.5 midway; without phantoms nothing is known there.
    actions = np.where(np.arange(256) % 2, 3.0, 0.0)
    targets = np.where(np.arange(256) % 2, 0.0, 1.0)
    regression = section3_critics.Regression(64, 256)
    regression.restart(0)
    at = np.array([0.5, 1.5, 2.5])
    readings = []
    for _ in range(40):  # Steps of one size leave noise, which the mean has less of.
        regression.fit(actions, targets, 100, stddev=1.5)
        readings.append(regression.values(at))
    expected = 1 / (1 + np.exp(3 * (at - 1.5) / 1.5**2))
    np.testing.assert_allclose(np.mean(readings[10:], axis=0), expected, atol=0.03)


def test_smoothies_directions_are_derivatives_of_the_critic():
    regression = section3_critics.Regression(8, 256)
    fitted(regression, 0)
    found = regression.update_at(0.2, 0.5)
    low, middle, high = regression.values(np.array([0.1, 0.2, 0.3])).astype(float)
    assert found["mean"] == pytest.approx((high - low) / 0.2, rel=0.02, abs=1e-3)
    second = 0.5 * (high - 2 * middle + low) / 0.01
    assert found["stddev"] == pytest.approx(second, rel=0.05, abs=1e-3)


# The command.


def test_end_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(section3, "ACTION_COUNTS", (140, 160))
    monkeypatch.setattr(section3, "UPDATE_COUNTS", (10, 20))
    monkeypatch.setattr(section3, "HIDDEN_UNITS", (4, 6))
    monkeypatch.setattr(section3, "LIMIT_STDDEVS", (1e-1, 1e-3))
    out_dir = tmp_path / "deep" / "section3"
    assert section3_command(["--seeds", "2", "--out_dir", str(out_dir)]) == 0
    assert str(out_dir / "section3.png") in capsys.readouterr().out.splitlines()[-1]
    assert (out_dir / "section3.png").stat().st_size > 10_000
    tables = {path.stem: pd.read_csv(path) for path in out_dir.glob("*.csv")}
    assert len(tables) == 5
    learned = tables["learned_updates"]
    assert len(learned) == 2 * 2 * 2 * 2  # Replays, seeds, counts, parameters.
    assert np.isfinite(learned["update"]).all()
    fits = tables["fits"]
    assert set(fits["target"]) == set(section3_critics.TARGETS)
    assert (fits["error"] > 0).all()


def test_bad_input(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    blocked = str(tmp_path / "file" / "section3")
    for flags in (["--seeds", "1"], ["--out_dir", blocked]):
        with pytest.raises(SystemExit) as stop:
            section3_command(flags)
        assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "--seeds" in lines[0]
    assert "--out_dir" in lines[1]
