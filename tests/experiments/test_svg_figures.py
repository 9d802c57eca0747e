"""Figures 2 to 4 of the SVG paper: their runs, claims, report and behaviour."""

import numpy as np
import pandas as pd
import pytest

from smoothie_tf.environments import monoped
from smoothie_tf.experiments.commands.figure import figure_command
from smoothie_tf.experiments.evidence import (
    evidence,
    metrics,
    statistics,
    verdicts,
)
from smoothie_tf.experiments.figures import svg as figures
from smoothie_tf.experiments.figures.grids import grid
from smoothie_tf.experiments.report import claims, report
from smoothie_tf.experiments.svg import behaviour
from smoothie_tf.experiments.svg import claims as svg_claims
from smoothie_tf.runs.run import lengths, read_preset
from smoothie_tf.training import gin_directory
from tests import scripts
from tests.experiments.made_up_runs import write_run

EVALUATIONS = 20


def numbered(results_dir):
    """Findings by the claim's number, S1 to S13."""
    judged = claims.judge(
        evidence.Evidence(results_dir),
        svg_claims.claims(),
    )
    ours = judged[judged["claim"].str.match(r"S\d+: ")]
    return {row.claim.split(":")[0]: row for row in ours.itertuples()}


def leave(results_dir, env, arm, seed, returns, figure=None):
    """Leaves a finished run with these evaluations, one or one each."""
    preset = read_preset("svg")
    figure = figure or next(f for f in figures.FIGURES if env in f.envs)
    (run,) = (
        run
        for run in grid(figure, preset, [env], [seed], results_dir / "runs")
        if run.variant == arm.variant
    )
    write_run(run, np.broadcast_to(returns, EVALUATIONS))


def fill(results_dir, env, **finals):
    """Three runs of each arm, whose returns are their final's, and a little apart."""
    (figure,) = (figure for figure in figures.FIGURES if env in figure.envs)
    for arm in figure.arms:
        final = finals.get(arm.variant.replace("-", "_"))
        for seed in range(3) if final is not None else ():
            leave(results_dir, env, arm, seed, final + 0.01 * seed)


def behave(results_dir, **values):
    """Behaviour of three runs each, alike, by task and measure."""
    rows = [
        (env, "svg1_er", seed, name, value)
        for (env, name), value in values["rows"].items()
        for seed in range(3)
    ]
    folder = results_dir / "svg_figure_4-svg"
    folder.mkdir()
    columns = ["env", "variant", "seed", "measure", "value"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(folder / figures.BEHAVIOUR, index=False)


def test_each_panel_has_its_arms_and_its_length():
    preset = read_preset("svg")
    assert preset.num_seeds == 5
    runs = grid(figures.SVG_FIGURE_2, preset, seeds=[0])
    assert {run.num_steps for run in runs if run.env == figures.HAND} == {1_500_000}
    on_cartpole = [run for run in runs if run.env == figures.CARTPOLE]
    assert {run.num_steps for run in on_cartpole} == {150_000}
    # Five arms, and two smaller critics of each of two; what panels share runs once.
    assert len(on_cartpole) == 9 == len({run.directory for run in on_cartpole})
    assert on_cartpole[-1].gin_bindings == (
        "smoothie_tf.CriticNetwork.observation_units = (50,)",
    )
    assert lengths(runs) == "150,000 to 1,500,000"
    # A length given by hand, and those of other presets, are for all panels.
    short = read_preset("svg", ["train.num_steps = 20000"])
    for other in (short, read_preset("quick")):
        runs = grid(figures.SVG_FIGURE_4, other, seeds=[0])
        assert {run.num_steps for run in runs} == {other.num_steps}
    assert [figure.name for figure in figures.FIGURES] == [
        f"svg_figure_{number}" for number in (2, 3, 4)
    ]


def test_nothing_is_not_yet_run(tmp_path):
    found = numbered(tmp_path)
    assert list(found) == [f"S{number}" for number in range(1, 14)]
    assert {row.verdict for row in found.values()} == {verdicts.NOT_YET}
    text = report.report(tmp_path).read_text()
    for script in ("svg_figure2", "svg_figure3", "svg_figure4", "svg_tasks"):
        assert f"python reproduce/{script}.py --preset svg\n" in text
    assert "S13: the walker walks, at similar returns" in text


def test_first_steps_are_the_start_of_the_other_figures_runs(tmp_path):
    runs = {
        figure.name: {
            run.directory: run.num_steps for run in grid(figure, read_preset("svg"))
        }
        for figure in (*figures.FIGURES, figures.SVG_TASKS)
    }
    first = runs.pop("svg_tasks")
    longer = {path: steps for others in runs.values() for path, steps in others.items()}
    assert len(first) == 11 * 5
    # The swimmer of three links is not a task of SVG(1)-ER in the paper.
    alone = {path for path in first if "Swimmer3" in str(path)}
    assert set(first) - set(longer) == alone
    assert all(longer[path] > first[path] for path in set(first) - alone)
    # They are drawn for what they are, and decide nothing before they are done.
    for seed in range(3):
        leave(tmp_path, figures.WALKER, figures.SVG1_ER, seed, 900.0, figures.SVG_TASKS)
    assert numbered(tmp_path)["S13"].verdict == verdicts.NOT_YET
    text = report.report(tmp_path).read_text()
    assert "| Walker | SVG(1)-ER | 900 [no interval] | 900 [no interval] | 3 |" in text
    assert "(report/svg_tasks.png)" in text
    assert "python reproduce/svg_figure4.py --preset svg\n" in text
    assert "| svg | " in text and "| 3 of 3 |" in text


def test_a_runs_two_numbers(tmp_path):
    # Of 20 evaluations the last two: 38 and 40; of all, 2 to 40: 21 on average.
    returns = np.arange(2, 42, 2)
    leave(tmp_path, figures.HAND, figures.PLANNER, 0, returns)
    (row,) = evidence.Evidence(tmp_path).svg.by_run.itertuples()
    assert (row.first, row.evaluation_return, row.area) == (2, 39, 21)


def test_the_planner_may_not_gain_much(tmp_path):
    slow, fast = np.linspace(-10, -9, 20), np.linspace(-10, -1, 20)
    middling = np.linspace(-10, -5, 20)
    for name, planner, verdict in (
        ("good", slow, verdicts.REPRODUCED),
        ("half", middling, verdicts.PARTLY),
        ("level", fast, verdicts.NOT),
        ("ahead", fast + 1, verdicts.NOT),
    ):
        for seed in range(3):
            for arm, returns in (
                (figures.SVG_INFINITY, fast),
                (figures.PLANNER, planner),
            ):
                returns = returns + 0.01 * seed
                leave(tmp_path / name, figures.HAND, arm, seed, returns)
        assert numbered(tmp_path / name)["S1"].verdict == verdict
    row = numbered(tmp_path / "good")["S1"]
    # The last two of 20 points from −10 to −1, and to −9: −1.24 and −9.03.
    assert row.number.startswith("+7.79 [+7.7") and row.n == "3 + 3"


def test_who_is_ahead(tmp_path):
    arms = {"svg1": 5.0, "svg0_episode": 4.0, "svg_infinity": 3.0, "dpg": 2.0}
    for name, replayed, verdict in (
        ("ahead", 6.0, verdicts.REPRODUCED),
        ("behind one", 4.5, verdicts.NOT),
        ("level", 5.0, verdicts.UNDECIDED),
    ):
        fill(tmp_path / name, figures.CARTPOLE, svg1_er=replayed, **arms)
        assert numbered(tmp_path / name)["S2"].verdict == verdict
    assert "+1.00 [+" in numbered(tmp_path / "ahead")["S2"].number
    assert numbered(tmp_path / "ahead")["S3"].verdict == verdicts.TOO_FEW


def test_what_smaller_networks_cost(tmp_path):
    # DPG falls by 30, SVG(1) by 10; then the other way round.
    fill(
        tmp_path, figures.CARTPOLE, svg1=100, svg1_value_50=90, dpg=100, dpg_value_50=70
    )
    row = numbered(tmp_path)["S3"]
    assert row.verdict == verdicts.REPRODUCED and row.n == "3 + 3 + 3 + 3"
    # Runs are 0.01 apart: t (2.776) times the error of a difference is 0.02.
    assert row.number.startswith("DPG loses +30.0 [+30.0, +30.0], SVG(1) +10.0 [")
    assert row.number.endswith(": +20.0 [+20.0, +20.0]")
    fill(
        tmp_path,
        figures.SWIMMER_3,
        svg_infinity=100,
        svg_infinity_model_5=40,
        svg1=100,
        svg1_model_5=101,
        td_actor_critic=90,
    )
    found = numbered(tmp_path)
    assert found["S4"].verdict == verdicts.REPRODUCED
    # SVG(1) is at its end what it was at its beginning.
    assert found["S5"].verdict == verdicts.PARTLY
    assert found["S5"].number.endswith("; SVG(1) had learned +0.00 [no interval]")
    assert statistics.excess(*(np.full(3, x) for x in (9, 5, 8, 7))).value == 3


def test_what_smaller_models_cost_those_that_learn(tmp_path):
    whole, half = np.linspace(0, 100, 20), np.linspace(0, 50, 20)
    for arm, units, returns in (
        (figures.SVG_INFINITY, 20, whole),
        (figures.SVG_INFINITY, 5, half),
        (figures.SVG1, 20, whole),
        (figures.SVG1, 5, whole),
    ):
        arm = figures.with_model_units(arm, units)
        for seed in range(3):
            leave(tmp_path, figures.SWIMMER_3, arm, seed, returns + 0.01 * seed)
    row = numbered(tmp_path)["S5"]
    assert row.verdict == verdicts.REPRODUCED
    # The final return minus the first one of the same run, whatever their sizes.
    assert row.number.endswith("SVG(1) had learned +97.4 [+97.4, +97.4]")


def test_measurements_of_runs_that_do_not_count_do_not_count(tmp_path):
    """Of runs with other hyperparameters, for example, or of a copy of the table."""
    key = figures.MOVING_TARGET, "distance, second half"
    behave(tmp_path, rows={key: 0.04})
    assert numbered(tmp_path)["S9"].verdict == verdicts.NOT_YET
    for seed, verdict in enumerate([verdicts.TOO_FEW] * 2 + [verdicts.REPRODUCED]):
        leave(tmp_path, key[0], figures.SVG1_ER, seed, 1.0)
        assert numbered(tmp_path)["S9"].verdict == verdict


def test_claims_of_figure_4(tmp_path):
    fill(tmp_path, figures.SWIMMER_7, svg1_er=5, svg1=5, td_actor_critic=3)
    fill(tmp_path, figures.FOUR_TARGETS, svg1_er=5, svg1=4, td_actor_critic=3)
    fill(tmp_path, figures.CHEETAHS[0], svg1_er=500)
    fill(tmp_path, figures.CHEETAHS[1], svg1_er=-5)
    fill(tmp_path, figures.WALKER, svg1_er=1200)
    for env in (figures.MOVING_TARGET, figures.GRIPPER, figures.MONOPED):
        fill(tmp_path, env, svg1_er=1)
    behave(
        tmp_path,
        rows={
            (figures.FOUR_TARGETS, "ends at the target"): 0.8,
            (figures.MOVING_TARGET, "distance, second half"): 0.04,
            (figures.GRIPPER, "distance left"): 0.7,
            (figures.MONOPED, "stands, 5 % noise"): 0.9,
            (figures.MONOPED, "stands, 25 % noise"): 0.3,
        },
    )
    found = {name: row.verdict for name, row in numbered(tmp_path).items()}
    assert found["S7"] == verdicts.PARTLY  # Replay neither helps nor harms.
    assert found["S8"] == verdicts.PARTLY  # Ahead, but at the target too rarely.
    assert found["S9"] == verdicts.REPRODUCED
    assert found["S10"] == verdicts.NOT
    assert found["S11"] == verdicts.PARTLY
    assert found["S12"] == verdicts.PARTLY
    assert found["S13"] == verdicts.REPRODUCED


def test_a_figure_of_panels_from_its_command(
    fake_command, tmp_path, monkeypatch, capsys
):
    (tmp_path / "svg.gin").write_text("train.num_steps = 300\ngrid.num_seeds = 2\n")
    monkeypatch.setattr(gin_directory, "PRESETS", tmp_path)
    monkeypatch.chdir(tmp_path)
    finished = []
    flags = ["--preset", "svg", "--seeds", "1", "--num_workers", "2"]
    flags += ["--gin_bindings", "train.num_steps = 200", "--envs", figures.CARTPOLE]
    for more in ([], ["--plot_only"]):
        code = figure_command(
            figures.SVG_FIGURE_2,
            [*flags, *more],
            finish=lambda runs, out_dir: finished.append((len(runs), out_dir.name)),
        )
        assert code == 0
    name = "svg_figure_2-svg+train.num_steps=200"
    assert finished == [(9, name)] * 2
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("SVG, Figure 2, preset svg, 200 steps a run: 0 of 9")
    assert printed[-1].startswith(f"SVG, Figure 2 is in runs/{name}/svg_figure_2.png")
    assert (tmp_path / "runs" / name / "svg_figure_2.png").stat().st_size > 10_000


def test_the_reports_table(tmp_path):
    fill(tmp_path, figures.HAND, svg_infinity=-1.0, planner=-3.0)
    text = report.report(tmp_path).read_text()
    # −1.00, −0.99 and −0.98, ± 4.303 · 0.01/√3.
    cell = "−0.99 [−1.01, −0.97]"
    assert f"| Hand | SVG(∞) | {cell} | {cell} | 3 |" in text
    assert "| Cart-pole | DPG | not yet run |  | 0 |" in text
    assert "(report/svg_figure_2.png)" in text
    assert (tmp_path / "report" / "svg_figure_2.png").stat().st_size > 10_000
    assert "python reproduce/svg_figure3.py --preset svg\n" in text
    folder = tmp_path / "svg_figure_4-svg"
    folder.mkdir()
    (folder / figures.BEHAVIOUR).write_text("")
    with pytest.raises(metrics.DamagedRunError, match="svg_behaviour.csv is damaged"):
        report.report(tmp_path)


def test_behaviour_by_hand():
    by_name = {each.name: each.judge for each in behaviour.BEHAVIOURS}
    # The arm stretched along x: its tip is three links of 0.1 m away, and places are
    # observed in links.
    arm = np.zeros((4, 8))
    arm[:, 6] = [0.0, 1.0, 2.8, 2.7]
    np.testing.assert_allclose(behaviour._distances(arm), [0.3, 0.2, 0.02, 0.03])
    assert by_name["ends at the target"]([arm]) == 1.0
    assert by_name["distance, second half"]([arm]) == pytest.approx(0.025)
    assert by_name["ends at the target"]([arm, arm[:2]]) == 0.5
    grippers = np.zeros((2, 3, 22))
    # From 0.5 to 0.05, and from 0.01 to 0.05: 0.1 of 0.51; the mean share is 2.55.
    grippers[0, :, 20:22] = [[0.3, 0.4], [9, 9], [0.03, 0.04]]
    grippers[1, :, 20:22] = [[0.01, 0], [9, 9], [0.03, 0.04]]
    assert by_name["distance left"](grippers) == pytest.approx(0.1 / 0.51)
    machine = np.zeros((2, 14))
    machine[-1, 1] = 0.71 * monoped.HEIGHT
    assert by_name["stands, 25 % noise"]([machine]) == 1.0
    assert by_name["stands, 25 % noise"]([machine[:1]]) == 0.0


@pytest.mark.slow
def test_figure_4_and_what_its_policies_do_from_the_command(tmp_path):
    # One real run of three episodes; its arm is then watched on the same task.
    runs_dir, out_dir = tmp_path / "runs", tmp_path / "out"
    flags = ["--seeds", 1, "--envs", figures.MOVING_TARGET, "--num_workers", 1]
    flags += ["--runs_dir", runs_dir, "--out_dir", out_dir]
    bindings = (
        "train.num_steps=310",
        "train.initial_collect_steps=1",
        "train.evaluation_interval=155",
        "train.evaluation_episodes=2",
        "train.batch_size=8",
        "train.use_xla=False",
        *(f"Svg1Agent.{kind}_updates=2" for kind in ("model", "value", "policy")),
    )
    done = scripts.run("svg_figure4", *flags, bindings=bindings)
    assert done.returncode == 0, done.stderr
    assert str(out_dir / "svg_figure_4.png") in done.stdout.splitlines()[-1]
    # Watching imports TF-Agents, whose notices concern nobody.
    assert "Warning" not in done.stderr and "Gymnasium" not in done.stderr
    (row,) = pd.read_csv(out_dir / figures.BEHAVIOUR).itertuples()
    assert (row.env, row.variant, row.seed) == (figures.MOVING_TARGET, "svg1_er", 0)
    # An arm that has learned nothing, in a box of half a metre.
    assert row.measure == "distance, second half" and 0.05 < row.value < 0.6
