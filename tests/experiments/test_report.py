"""The report from made-up results: numbers by hand, verdicts by their rules."""

import json
import pathlib
import shutil

import numpy as np
import pandas as pd
import pytest
import rliable.metrics
from scipy import stats

from smoothie_tf.experiments.commands import collect
from smoothie_tf.experiments.commands.report import report_command
from smoothie_tf.experiments.evidence import (
    evidence,
    metrics,
    statistics,
    verdicts,
    writing,
)
from smoothie_tf.experiments.figures import behind_ddpg
from smoothie_tf.experiments.figures.baselines import BASELINES
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3
from smoothie_tf.experiments.figures.grids import grid
from smoothie_tf.experiments.report import (
    baselines,
    claims,
    origins,
    report,
    rules,
    summary,
)
from smoothie_tf.experiments.theory import figure1
from smoothie_tf.runs.run import Run, read_preset
from smoothie_tf.runs.status import Status, current_status
from smoothie_tf.training import gin_directory
from tests.experiments.made_up_runs import write_run


def leave(
    root, env, variant, seed, final, preset="short", status="done", training=None
):
    """Leaves a run whose last evaluations all returned `final`; returns where."""
    arm = next((arm for arm in evidence.ARMS if arm.variant == variant), None)
    agent = arm.agent if arm else variant
    bindings = arm.gin_bindings if arm else ()
    run = Run(agent, env, seed, read_preset(preset), variant, bindings, root)
    record = {"versions": {"tensorflow": "2.15.1"}}
    record["command"] = f"python train.py --run_dir /there/{seed} --seed {seed}"
    returns = [0.0] * 10 + [final] * 10
    training = final - 1 if training is None else training
    write_run(run, returns, status=status, record=record, training_return=training)
    return run.directory


@pytest.fixture
def results_dir(tmp_path):
    """Hopper with three seeds of three arms, HalfCheetah with too few."""
    root = tmp_path / "runs"
    for seed, noise in enumerate((-10.0, 0.0, 10.0)):
        leave(root, "Hopper-v5", "smoothie", seed, 2500 + noise)
        leave(root, "Hopper-v5", "ddpg", seed, 1000 + noise)
        leave(root, "Hopper-v5", "smoothie-no-kl", seed, 2600 + noise)
    leave(root, "HalfCheetah-v5", "smoothie", 0, 5000)
    leave(root, "HalfCheetah-v5", "ddpg", 0, 4000)
    return tmp_path


def judged(results_dir):
    table = claims.judge(evidence.Evidence(results_dir))
    return table.set_index("claim")["verdict"]


def test_verdicts_follow_from_their_rules(results_dir):
    found = judged(results_dir)
    assert found["Smoothie doubles DDPG's return on Hopper"] == verdicts.REPRODUCED
    assert (
        found["Smoothie is at least as good as DDPG on Hopper"] == verdicts.REPRODUCED
    )
    # Of 2,500 against 2,600 with runs 20 apart nothing is left to doubt.
    assert found["The KL penalty helps on Hopper"] == verdicts.NOT
    claim = "Smoothie is at least as good as DDPG on "
    assert found[f"{claim}HalfCheetah"] == verdicts.TOO_FEW  # One seed.
    assert found[f"{claim}Ant"] == verdicts.NOT_YET
    assert (
        found["Theorem 1: the derivative of Q̃ in Σ is half its Hessian in the action"]
        == verdicts.NOT_YET
    )


def test_a_trial_of_figure_2_is_too_few_runs(tmp_path):
    folder = tmp_path / "figure2"
    folder.mkdir()
    claim = "Smoothie escapes the local optimum of the synthetic task, DDPG does not"
    for number, verdict in ((2, verdicts.TOO_FEW), (3, verdicts.REPRODUCED)):
        rows = [("smoothie", "better"), ("ddpg", "worse")] * number
        table = pd.DataFrame(rows, columns=["agent", "ends_on"])
        table = table.assign(
            value_at_better=1, value_at_worse=0, final_stddev=0.3
        ).assign(stddev_fell_rose_fell=True)
        table.to_csv(folder / "figure2_runs.csv", index=False)
        assert judged(tmp_path)[claim] == verdict


SAMPLED = "uniform", "on-policy"
ON_POLICY = "fixed point, 1/q, on-policy"
WITHOUT = "fixed point, no weights, on-policy"


@pytest.mark.parametrize(
    ("rule", "check", "changes", "verdict"),
    [
        (rules.theorem_1, "theorem 1", {}, verdicts.REPRODUCED),
        (rules.theorem_1, "theorem 1", {"largest_error": 2e-6}, verdicts.NOT),
        (rules.fixed_point, ON_POLICY, {}, verdicts.REPRODUCED),
        (rules.fixed_point, ON_POLICY, {"largest_error": 2e-6}, verdicts.PARTLY),
        (rules.without_weights, WITHOUT, {}, verdicts.REPRODUCED),
        (rules.without_weights, WITHOUT, {"gradient": 0.85}, verdicts.PARTLY),
        (rules.without_weights, WITHOUT, {"gradient": 1.15}, verdicts.PARTLY),
        (rules.hessians, "hessian, 6 actions", {}, verdicts.REPRODUCED),
        # The interval decides, not the median of 1.5.
        (rules.hessians, "hessian, 6 actions", {"speedup_low": 0.9}, verdicts.PARTLY),
        (rules.hessians, "hessian, 6 actions", {"largest_error": 2e-4}, verdicts.NOT),
    ],
)
def test_identities_are_judged_by_their_rules(tmp_path, rule, check, changes, verdict):
    checks = [f"fixed point, {w}, {q}" for w in ("1/q", "no weights") for q in SAMPLED]
    checks += ["theorem 1", *(f"hessian, {size} actions" for size in (3, 6, 17))]
    table = pd.DataFrame({"check": checks}).assign(
        **{"cases": 10, "largest_error": 1e-9, "gradient": 1.0},
        **{"speedup": 1.5, "speedup_low": 1.2, "speedup_high": 1.8},
    )
    for column, value in changes.items():
        table.loc[table["check"] == check, column] = value
    (tmp_path / "identities").mkdir()
    table.to_csv(tmp_path / "identities" / "identities.csv", index=False)
    assert rule(evidence.Evidence(tmp_path)).verdict == verdict


@pytest.mark.parametrize(
    ("rule", "smoothie", "ddpg", "verdict"),
    [
        # How many of ten runs end on the better mode.
        (rules.escape, 9, 0, verdicts.REPRODUCED),
        (rules.escape, 10, 1, verdicts.REPRODUCED),
        (rules.escape, 8, 0, verdicts.PARTLY),
        (rules.escape, 10, 2, verdicts.PARTLY),
        (rules.escape, 2, 2, verdicts.NOT),
        # How many critics know of it, how many runs turn: of one of the agents.
        (rules.critic_knows, 0, 9, verdicts.REPRODUCED),
        (rules.critic_knows, 10, 5, verdicts.PARTLY),
        (rules.critic_knows, 10, 4, verdicts.NOT),
        (rules.turns, 9, 0, verdicts.REPRODUCED),
        (rules.turns, 5, 10, verdicts.PARTLY),
        (rules.turns, 4, 10, verdicts.NOT),
        # The final σ in hundredths of the first, on average.
        (rules.near_zero, 9, 99, verdicts.REPRODUCED),
        (rules.near_zero, 11, 1, verdicts.PARTLY),
        (rules.near_zero, 51, 1, verdicts.NOT),
    ],
)
def test_figure_2_is_judged_by_its_rules(tmp_path, rule, smoothie, ddpg, verdict):
    rows = []
    for agent, number in (("smoothie", smoothie), ("ddpg", ddpg)):
        for seed in range(10):
            counts = seed < number
            final = figure1.INITIAL_STDDEV * number / 100
            # From 0 to twice the mean.
            final *= 2 * seed / 9
            ends = "better" if counts else "worse"
            rows.append((agent, ends, counts, 0.5, final, counts))
    columns = ["agent", "ends_on", "value_at_better", "value_at_worse"]
    columns += ["final_stddev", "stddev_fell_rose_fell"]
    (tmp_path / "figure2").mkdir()
    table = pd.DataFrame(rows, columns=columns).astype({"value_at_better": float})
    table.to_csv(tmp_path / "figure2" / "figure2_runs.csv", index=False)
    assert rule(evidence.Evidence(tmp_path)).verdict == verdict


# DDPG's runs are at 300 ± 10. Of differences of runs 10 apart, t (2.776) times the
# error is 22.7; from twice DDPG's it is 41 (t of 2.9 degrees of freedom is 3.2).
@pytest.mark.parametrize(
    ("claim", "ours", "verdict"),
    [
        # A: a tenth of 300 may be lacking.
        ("at least as good as DDPG on Hopper", (285, 295, 305), verdicts.REPRODUCED),
        ("at least as good as DDPG on Hopper", (280, 290, 300), verdicts.UNDECIDED),
        ("at least as good as DDPG on Hopper", (240, 250, 260), verdicts.NOT),
        # B: all of the interval.
        ("far better than DDPG on Walker2d", (330, 340, 350), verdicts.REPRODUCED),
        ("far better than DDPG on Walker2d", (310, 320, 330), verdicts.UNDECIDED),
        ("far better than DDPG on Walker2d", (240, 250, 260), verdicts.NOT),
        ("doubles DDPG's return on Hopper", (590, 600, 610), verdicts.REPRODUCED),
        ("doubles DDPG's return on Hopper", (490, 500, 510), verdicts.PARTLY),
        ("doubles DDPG's return on Hopper", (100, 500, 900), verdicts.UNDECIDED),
        ("doubles DDPG's return on Hopper", (300, 310, 320), verdicts.NOT),
    ],
)
def test_intervals_are_judged_by_their_rules(tmp_path, claim, ours, verdict):
    env = f"{claim.split()[-1]}-v5"
    for seed, value in enumerate(ours):
        leave(tmp_path / "runs", env, "smoothie", seed, float(value))
        leave(tmp_path / "runs", env, "ddpg", seed, 290.0 + 10 * seed)
    found = judged(tmp_path)
    (name,) = (each for each in found.index if each.endswith(claim))
    assert found[name] == verdict


def test_the_longest_comparison_of_enough_runs_counts(results_dir):
    for number, name in ((2, "short"), (3, "paper")):
        for variant in ("smoothie", "ddpg"):
            leave(results_dir / "runs", "Hopper-v5", variant, number - 1, 5.0, "paper")
            leave(results_dir / "runs", "Hopper-v5", variant, 0, 5.0, "paper")
        pair = evidence.Evidence(results_dir).comparison(
            "Hopper-v5", "smoothie", "ddpg"
        )
        assert pair.preset.name == name
    assert pair.ours.tolist() == pair.theirs.tolist() == [5.0] * 3


def test_runs_of_other_values_are_counted_and_left_out(results_dir):
    path = results_dir / "runs/short/Hopper-v5/ddpg/seed2/run.json"
    record = json.loads(path.read_text())
    record["gin_bindings"] = ["DdpgAgent.gamma = 0.5"]
    path.write_text(json.dumps(record))
    found = evidence.Evidence(results_dir)
    assert found.other_values() == 1
    assert found.finals["short"].values("Hopper-v5", "ddpg").tolist() == [990, 1000]


def test_a_claim_that_fails_is_said(tmp_path):
    for seed in range(3):
        leave(tmp_path / "runs", "Hopper-v5", "smoothie", seed, 700 + seed)
        leave(tmp_path / "runs", "Hopper-v5", "ddpg", seed, 1000 + seed)
    found = judged(tmp_path)
    assert found["Smoothie doubles DDPG's return on Hopper"] == verdicts.NOT
    assert found["Smoothie is at least as good as DDPG on Hopper"] == verdicts.NOT
    text = report.report(tmp_path).read_text()
    assert "| **not** | 701 against 1,001: −300 [−302, −298]" in text


def test_who_has_not_learned_is_not_ahead(tmp_path):
    # All runs of the module begin with evaluations of 0.
    for seed in range(3):
        leave(tmp_path / "runs", "Ant-v5", "smoothie", seed, -5 + 0.1 * seed)
        leave(tmp_path / "runs", "Ant-v5", "ddpg", seed, -300 + seed)
    claim = "Smoothie is at least as good as DDPG on Ant"
    found = claims.judge(evidence.Evidence(tmp_path)).set_index("claim").loc[claim]
    assert found["verdict"] == verdicts.UNDECIDED
    assert found["number"].startswith("−5 against −299: +294 [")
    assert found["number"].endswith("; nothing learned: first evaluations 0 and 0")


def test_a_longer_run_is_evidence_of_a_shorter_one(results_dir):
    root = results_dir / "runs"
    # Of 1,000,000 steps, with an evaluation every 50,000: 0 up to 500,000.
    for seed in range(3):
        leave(root, "Ant-v5", "smoothie", seed, 9000.0, "paper")
    for seed in range(3, 5):
        leave(root, "Hopper-v5", "smoothie", seed, 9000.0, "paper", "interrupted")
    found = evidence.Evidence(results_dir)
    short, paper = (found.finals[name] for name in ("short", "paper"))
    assert short.values("Ant-v5", "smoothie").tolist() == [0, 0, 0]
    assert short.values("Ant-v5", "smoothie", "steps").tolist() == [300_000] * 3
    assert paper.values("Ant-v5", "smoothie").tolist() == [9000] * 3
    # One that goes on has been as far already, and is not done itself.
    returns = short.values("Hopper-v5", "smoothie").tolist()
    assert returns == [2490, 2500, 2510, 0, 0]
    assert not len(paper.values("Hopper-v5", "smoothie"))
    statuses = [each["status"] for each in metrics.provenance(short.runs)]
    assert statuses.count("done") == len(short.runs)
    assert found.other_values() == 0
    # A run's own record comes first.
    leave(root, "Hopper-v5", "smoothie", 0, 1.0, "paper")
    again = evidence.Evidence(results_dir).finals["short"]
    assert again.values("Hopper-v5", "smoothie").tolist() == returns


@pytest.mark.parametrize(
    ("ours", "verdict"),
    # DDPG's runs are at 300 ± 10, a tenth of which is 30.
    [
        ((310.0, 320.0, 330.0), verdicts.REPRODUCED),
        ((200.0, 320.0, 400.0), verdicts.UNDECIDED),
        ((280.0, 290.0, 320.0), verdicts.UNDECIDED),
        ((240.0, 250.0, 260.0), verdicts.NOT),
    ],
)
def test_a_slight_advantage_is_above_and_hardly_below(tmp_path, ours, verdict):
    root = tmp_path / "runs"
    for seed, value in enumerate(ours):
        leave(root, "Swimmer-v5", "smoothie", seed, value)
        leave(root, "Swimmer-v5", "ddpg", seed, 290.0 + 10 * seed)
    found = judged(tmp_path)
    claim = "Smoothie has a slight advantage over DDPG on "
    assert found[f"{claim}Swimmer"] == verdict
    assert found[f"{claim}Ant"] == verdicts.NOT_YET


def test_training_returns_stand_beside_the_mean_actions(results_dir):
    found = evidence.Evidence(results_dir)
    table = claims.judge(found).set_index("claim")["number"]
    # The training returns of both are 1 lower.
    number = table["Smoothie is at least as good as DDPG on Hopper"]
    assert number.startswith("2,500 against 1,000: +1,500 [")
    assert "300,000 steps; training returns +1,500 [" in number
    # 2,499 against 999.
    number = table["Smoothie doubles DDPG's return on Hopper"]
    assert number.startswith("2.50 times, 2,500 against 1,000: +1,500 [")
    # 2,500 − 2·1,000.
    assert "], 2.50 times; above twice DDPG's +500 [" in number
    for task in ("Walker2d", "Ant"):
        assert table[f"The KL penalty helps on {task}"] == "–"
    # Runs in whose evaluations no training episode has ended have none.
    leave(results_dir / "runs", "Hopper-v5", "ddpg", 3, 1000.0, training="")
    table = claims.judge(evidence.Evidence(results_dir)).set_index("claim")["number"]
    assert "training" not in table["Smoothie is at least as good as DDPG on Hopper"]
    assert " | – | 3 + 4 |" in report.report(results_dir).read_text()


def test_runs_that_have_not_ended_do_not_count(results_dir):
    path = results_dir / "runs/short/Hopper-v5/ddpg/seed2/run.json"
    path.write_text(path.read_text().replace('"done"', '"running"'))
    claim = "Smoothie is at least as good as DDPG on Hopper"
    assert judged(results_dir)[claim] == verdicts.TOO_FEW


def test_what_the_report_says(results_dir, capsys):
    assert report_command(["--results_dir", str(results_dir)]) == 0
    assert capsys.readouterr().out == f"The report is in {results_dir / 'README.md'}\n"
    text = (results_dir / "README.md").read_text()
    # std of (−10, 0, 10) is 8.16; training returns are 1 lower.
    assert "| Hopper-v5 | Smoothie | 2,500 ± 8 | 2,499 ± 8 | 0.30 ± 0.00 | 3 |" in text
    assert "| Ant-v5 | Smoothie | not yet run |  |  | 0 |" in text
    assert "2.50 times, 2,500 against 1,000" in text
    # The first half of a run returned 0.
    assert "### After the first 100,000 steps" in text
    assert "| Hopper-v5 | 0 ± 0 | 0 ± 0 | +0 [no interval] | 3 + 3 |" in text
    assert "| short | abc | 11 of 11 |" in text
    assert "figure4_short_training.png" in text
    for name in ("figure3_short", "figure3_short_stddev", "figure4_short"):
        assert (results_dir / "report" / f"{name}.png").stat().st_size > 10_000
        assert f"(report/{name}.png)" in text
    # Written again from the same files, it is the same.
    report.report(results_dir)
    assert (results_dir / "README.md").read_text() == text


def test_nothing_at_all_is_not_yet_run(tmp_path):
    text = report.report(tmp_path).read_text()
    assert set(judged(tmp_path)) == {verdicts.NOT_YET}
    assert "No run has been collected yet." in text
    assert "python reproduce/neighbours_escape.py" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("runs/short/Hopper-v5/ddpg/seed0/metrics.csv", "step,what\n1,2\n"),
        ("figure2/figure2_runs.csv", ""),
        ("identities/identities.csv", ""),
    ],
)
def test_a_damaged_file_is_named(results_dir, capsys, name, content):
    path = results_dir / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(content)
    assert report_command(["--results_dir", str(results_dir)]) == 1
    said = capsys.readouterr().err
    assert str(path) in said and len(said.splitlines()) == 1


def test_no_folder_is_bad_input(tmp_path, capsys):
    assert report_command(["--results_dir", str(tmp_path / "no")]) == 2
    assert "is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["# Comparison: ddpg and smoothie\n", "# Results\n\nOf mine.\n", ""]
)
def test_replaces_no_other_readme(results_dir, capsys, text):
    readme = results_dir / "README.md"
    readme.write_text(text)
    before = sorted(results_dir.rglob("*"))
    assert report_command(["--results_dir", str(results_dir)]) == 2
    said = capsys.readouterr().err
    assert "has a README.md that is not a report's" in said
    assert len(said.splitlines()) == 1
    assert readme.read_text() == text
    assert sorted(results_dir.rglob("*")) == before


def one_evaluation_each(env, step, seeds=3, **values):
    """Finished runs of one evaluation, some of each variant."""
    rows = [
        (
            variant,
            env,
            seed,
            variant,
            True,
            step,
            value + seed,
            1.0,
            2 * (value + seed),
            0.3,
        )
        for variant, value in values.items()
        for seed in range(seeds)
    ]
    columns = ["agent", "env", "seed", "variant", "finished", "step"]
    columns += ["evaluation_return_mean", "evaluation_return_std", "training_return"]
    return pd.DataFrame(rows, columns=[*columns, "policy_stddev"])


def test_what_holds_smoothie_back_is_held_against_equal_values(tmp_path):
    assert "python reproduce/behind_ddpg.py" in report.report(tmp_path).read_text()
    values = {"ddpg": 200, "smoothie-ddpg-values": 100}
    values["smoothie-ddpg-values-narrow-held"] = 300
    folder = tmp_path / "behind_ddpg-short"
    folder.mkdir()
    env = behind_ddpg.HALFCHEETAH
    frame = one_evaluation_each(env, behind_ddpg.STEPS[env], **values)
    frame.to_csv(folder / "behind_ddpg_runs.csv")
    text = report.report(tmp_path).read_text()
    assert (
        "| HalfCheetah-v5 | Smoothie, DDPG's values | 3 | 101 ± 1 |  | 202 ± 2 |"
        in text
    )
    held = "| ... σ held at 0.14 | 3 | 301 ± 1 | +200 [+198, +202]: better | 602 ± 2 |"
    assert f"{held} +400 [+395, +405]: better |" in text
    assert "(behind_ddpg-short/behind_ddpg_stddev.png)" in text


def test_neighbours_with_their_intervals(tmp_path):
    folder = tmp_path / "soft_ddpg-100k"
    folder.mkdir()
    frame = pd.concat(
        (
            one_evaluation_each("Hopper-v5", 100_000, ddpg=100, soft_ddpg=200),
            one_evaluation_each("Hopper-v5", 100_000, seeds=2, svg0=50),
        )
    )
    frame.to_csv(folder / "soft_ddpg_runs.csv")
    record = folder / "soft_ddpg_runs.json"
    record.write_text(json.dumps([{"commit": name * 5} for name in ("ab12", "c0de")]))
    widths = tmp_path / "soft_ddpg_ablation-100k"
    widths.mkdir()
    frame["variant"] = frame["variant"].replace("ddpg", "soft_ddpg-stddev-0.1")
    frame.to_csv(widths / "soft_ddpg_ablation_runs.csv")
    escape = tmp_path / "neighbours_escape"
    escape.mkdir()
    pd.DataFrame(
        [("smoothie_tf/TwoGaussians-v0", "svg0", s, "better") for s in range(20)],
        columns=["environment", "agent", "seed", "ends_on"],
    ).to_csv(escape / "neighbours_escape_runs.csv")
    other = tmp_path / "soft_ddpg-short-recommended"
    other.mkdir()
    one_evaluation_each("Hopper-v5", 300_000, ddpg=9).to_csv(
        other / "soft_ddpg_runs.csv"
    )
    text = report.report(tmp_path).read_text()
    assert "### After 100,000 steps" in text
    assert "### After 300,000 steps" not in text  # Not of the values of gin/agents.
    assert "| Hopper-v5 | DDPG | 3 | 101 ± 1 |  |" in text
    assert "| Hopper-v5 | Soft DDPG | 3 | 201 ± 1 | +100 [+98, +102]: better |" in text
    assert "| Hopper-v5 | SVG(0) | 2 | 50 ± 0 | −50 [−53, −48]: worse |" in text
    assert "Commits ab12ab1, c0dec0d.\n" in text
    assert "### Soft DDPG's width σ, after 100,000 steps" in text
    assert "| Hopper-v5 | σ = 0.1 | 3 | 101 ± 1 | −100 [−102, −98]: worse |" in text
    assert "| dense | SVG(0) | 100 % [84, 100] | 20 |" in text
    for damage in ("[", "{}x", '[{"seed": 0}]', "[1]"):
        record.write_text(damage)
        with pytest.raises(metrics.DamagedRunError, match="runs.json is damaged"):
            report.report(tmp_path)


def test_collected_are_records_and_no_more(tmp_path, capsys):
    runs = tmp_path / "runs"
    source = leave(runs, "Hopper-v5", "smoothie", 1, 10.0)
    (source / "checkpoints").mkdir()
    trial = leave(runs, "Hopper-v5", "trial", 0, 10.0)
    (trial.parent / "study.journal").touch()
    empty = leave(runs, "Hopper-v5", "ddpg", 0, 10.0)
    (empty / "metrics.csv").unlink()
    shutil.copytree(source, source.with_name("seed1-old"))
    flags = ["--runs_dir", str(runs), "--results_dir", str(tmp_path / "out")]
    assert collect.collect_command(flags) == 0
    assert capsys.readouterr().out.startswith("1 runs are in ")
    copied = sorted(p for p in (tmp_path / "out").rglob("*") if p.is_file())
    target = tmp_path / "out/runs/short/Hopper-v5/smoothie/seed1"
    assert copied == [target / "metrics.csv", target / "run.json"]
    assert copied[0].read_bytes() == (source / "metrics.csv").read_bytes()
    # No machine's path.
    command = json.loads(copied[1].read_text())["command"]
    assert "--run_dir runs/short/Hopper-v5/smoothie/seed1 --seed 1" in command
    # A grid on another machine, with only a copy of them, counts them as done.
    collected = grid(
        FIGURE_3,
        read_preset("short"),
        envs=["Hopper-v5"],
        seeds=[1],
        root=tmp_path / "out/runs",
        tuned=False,
    )[0]
    assert collected.directory == target
    assert current_status(target, collected.num_steps) is Status.DONE


def test_a_longer_record_is_not_replaced(tmp_path, capsys):
    runs, out = tmp_path / "runs", tmp_path / "out"
    source = leave(runs, "Hopper-v5", "smoothie", 1, 10.0)
    flags = ["--runs_dir", str(runs), "--results_dir", str(out)]
    assert collect.collect_command(flags) == 0
    target = out / "runs/short/Hopper-v5/smoothie/seed1"
    before = [(target / name).read_bytes() for name in ("metrics.csv", "run.json")]
    # The same run, begun again in an empty directory and stopped.
    path = source / "metrics.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    capsys.readouterr()
    assert collect.collect_command(flags) == 0
    said = capsys.readouterr()
    assert said.out.startswith("0 runs are in ")
    assert f"{source} has fewer evaluations than its record" in said.err
    after = [(target / name).read_bytes() for name in ("metrics.csv", "run.json")]
    assert after == before


def test_nothing_to_collect_is_said(tmp_path, capsys):
    assert collect.collect_command(["--runs_dir", str(tmp_path)]) == 1
    assert "Nothing to collect" in capsys.readouterr().err


def test_statistics_by_hand():
    # The middle half of 1, 2, 3, 4 is 2 and 3.
    assert statistics.interquartile_mean([np.arange(1.0, 5.0)]).value == 2.5
    # As many runs of every task as the one with the fewest has.
    tasks = [np.arange(1.0, 5.0), np.arange(1.0, 7.0)]
    assert statistics.interquartile_mean(tasks).value == 2.5
    ours, theirs = np.array([3.0, 5.0]), np.array([1.0, 4.0])
    # 3 > 1, 3 < 4, 5 > 1, 5 > 4.
    assert statistics.probability_of_improvement([ours], [theirs]).value == 0.75
    several = np.random.default_rng(0).integers(4, size=[2, 5, 3]).astype(float)
    np.testing.assert_allclose(
        statistics.probability_of_improvement(*several.swapaxes(1, 2)).value,
        rliable.metrics.probability_of_improvement(*several),
    )
    estimate = statistics.difference(ours, theirs)
    assert estimate.value == 1.5
    welch = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    np.testing.assert_allclose(estimate[1:], (welch.low, welch.high))
    # t of 2 degrees of freedom is 4.303; the standard error of 1, 2, 3 is 1/√3.
    np.testing.assert_allclose(
        statistics.mean(np.arange(1.0, 4.0)), (2, 2 - 2.484, 2 + 2.484), rtol=1e-3
    )
    assert np.isnan(statistics.difference(ours, theirs[:1]).low)
    # Equal values: their variance cannot be told, so no interval excludes anything.
    equal = statistics.mean(np.full(3, 0.1))
    assert equal.value == pytest.approx(0.1) and np.isnan((equal.low, equal.high)).all()
    assert writing.interval(equal) == "0.100 [no interval]"
    assert writing.gap(equal) == "+0.10 [no interval]"
    assert statistics.ratio(ours, theirs).value == 4 / 2.5
    assert np.isnan(statistics.ratio(ours, -theirs).value)
    # Wilson's interval of 20 of 20.
    low = statistics.share(20, 20).low
    np.testing.assert_allclose(low, 20 / (20 + 1.959964**2), rtol=1e-6)


def test_the_intervals_of_three_runs_hold_95_percent():
    # True differences are 0; one of the two agents varies three times as much.
    draws = np.random.default_rng(0).normal(size=[2000, 2, 3])
    draws[:, 1] *= 3
    held = [
        low <= 0 <= high for _, low, high in (statistics.difference(*d) for d in draws)
    ]
    assert 0.94 < np.mean(held) < 0.98


def test_intervals_repeat_and_leave_numpys_stream_alone():
    values = np.random.default_rng(0).normal(size=[2, 6, 1])
    np.random.seed(5)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    one, other = (statistics.probability_of_improvement(*values) for _ in range(2))
    assert one == other
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_scaling_to_the_range_of_a_task():
    arms = [[np.array([1.0, 3.0])], [np.array([5.0])]]
    scaled = statistics.scale_to_range(arms)
    np.testing.assert_array_equal(scaled[0][0], [0.0, 0.5])
    np.testing.assert_array_equal(scaled[1][0], [1.0])


def test_searches_that_are_missing_are_named(results_dir):
    def section():
        text = "\n".join(origins.searches(evidence.Evidence(results_dir)))
        return text, text.count("python reproduce/table1.py")

    assert section()[1] == 8  # Four tasks, two agents.
    home = results_dir / "table1-short"
    home.mkdir()
    (home / "a.csv").write_text("trial,state,objective\n0,stopped,\n7,complete,12.3\n")
    record = {"env": "Hopper-v5", "agent": "ddpg", "best_trial": 7, "command": "typed"}
    record["study"] = "ddpg-first_block-tpe-2000"
    (home / "a.json").write_text(json.dumps(record))
    text, commands = section()
    assert "| Hopper-v5 | ddpg | 2 (1 stopped, 1 complete) | 12 |" in text
    assert commands == 7
    assert "--agent ddpg --env Hopper-v5" not in text
    assert "--agent ddpg --env Swimmer-v5" in text
    # A study that has not come to its end is missing.
    record["best_trial"] = None
    (home / "a.json").write_text(json.dumps(record))
    assert section()[1] == 8


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", "", "No columns to parse from file"),
        ("a.csv", "trial,state\n0,stopped\n", "it has no column objective."),
        ("a.csv", 'trial,state,objective\n0,"sto', "its last line is incomplete."),
        ("a.csv", 'trial,state,objective\n0,"sto\n', "Error tokenizing data"),
        ("a.json", "", "it is not a JSON object."),
        ("a.json", '{"env": "Hop', "it is not a JSON object."),
        ("a.json", "[1]", "it is not a JSON object."),
        ("a.json", '{"env": "Hopper-v5"}', "it has no study, agent, command."),
    ],
)
def test_a_damaged_search_is_named(results_dir, name, content, sentence):
    home = results_dir / "table1-short"
    home.mkdir()
    (home / "a.csv").write_text("trial,state,objective\n7,complete,12.3\n")
    record = {"env": "Hopper-v5", "agent": "ddpg", "best_trial": 7, "command": "typed"}
    record["study"] = "ddpg-first_block-tpe-2000"
    (home / "a.json").write_text(json.dumps(record))
    origins.searches(evidence.Evidence(results_dir))
    (home / name).write_text(content)
    with pytest.raises(metrics.DamagedRunError) as error:
        origins.searches(evidence.Evidence(results_dir))
    assert str(error.value).startswith(f"{home / name} is damaged: {sentence}")
    assert "\n" not in str(error.value)


def test_readme_shows_the_summary_that_the_report_wrote():
    root = pathlib.Path(__file__).parents[2]
    written = (root / "results" / "report" / "summary.md").read_text(encoding="utf-8")
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert f"{summary.BEGIN}\n{written}{summary.END}" in readme


def test_writes_the_summary_between_the_marks_of_the_readme_alone(tmp_path):
    (tmp_path / "results" / "report").mkdir(parents=True)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{summary.BEGIN}\nold\n{summary.END}\nafter\n")
    summary.write("new\n", tmp_path / "results")
    assert readme.read_text() == f"before\n{summary.BEGIN}\nnew\n{summary.END}\nafter\n"
    readme.write_text("no marks\n")
    summary.write("newer\n", tmp_path / "results")
    assert readme.read_text() == "no marks\n"
    written = tmp_path / "results" / "report" / "summary.md"
    assert written.read_text() == "newer\n"


def test_results_of_another_name_are_not_what_the_readme_is_about(tmp_path):
    (tmp_path / "mine" / "report").mkdir(parents=True)
    readme = tmp_path / "README.md"
    text = f"before\n{summary.BEGIN}\nold\n{summary.END}\nafter\n"
    readme.write_text(text)
    summary.write("new\n", tmp_path / "mine")
    assert readme.read_text() == text
    assert (tmp_path / "mine" / "report" / "summary.md").read_text() == "new\n"


def test_the_penalty_is_judged_against_what_was_searched_without_it():
    assert evidence.without_kl("Hopper-v5") == "smoothie-no-kl"
    path = gin_directory.tuned_path("smoothie-no-kl", "Hopper-v5")
    path.parent.mkdir(parents=True)
    path.write_text("create_agent.actor_learning_rate = 0.002\n")
    assert evidence.without_kl("Hopper-v5") == "smoothie-no-kl-searched"
    # It takes the nearest task's, as every arm does.
    assert evidence.without_kl("Ant-v5") == "smoothie-no-kl-searched"
    assert evidence.without_kl("HalfCheetah-v5") == "smoothie-no-kl"


def test_where_smoothie_stands(results_dir):
    def sections():
        found = evidence.Evidence(results_dir)
        lines = baselines.section(found, results_dir) + baselines.published(found)
        return "\n".join(lines)

    assert "Not yet run" in sections()
    root = results_dir / "runs"
    preset = read_preset("short")
    # On tasks with their own length too: Pendulum's runs have 100,000 steps.
    for run in grid(BASELINES, preset, ["Hopper-v5", "Pendulum-v1"], root=root):
        if run.variant == "td3" or run.env == "Pendulum-v1":
            record = {"versions": {"tensorflow": "2.15.1"}, "command": "train"}
            write_run(run, [0.0] * 10 + [700.0 + run.seed] * 10, record=record)
    found = evidence.Evidence(results_dir)
    assert set(found.baselines.by_run["steps"]) == {100_000, 300_000}
    assert found.other_values() == 0
    text = sections()
    rest = "701 [699, 703] (n = 3)"
    # HalfCheetah has one run of two arms each, without an interval.
    assert (
        "| HalfCheetah-v5 | 5,000 (n = 1) | not yet run | 4,000 (n = 1) | not yet run "
        "| not yet run |"
    ) in text
    hopper = "2,500 [2,475, 2,525] (n = 3) | not yet run | 1,000 [975, 1,025] (n = 3)"
    assert f"| Hopper-v5 | {hopper} | {rest} | not yet run |" in text
    assert f"| Pendulum-v1 |{f' {rest} |' * 5}" in text
    assert (results_dir / "baselines.png").is_file()
    # Ours beside other authors'.
    table = (
        "agent,source,environments,steps,seeds,Hopper\nTD3,Theirs,v1,1000000,10,3564\n"
    )
    (results_dir / "published_returns.csv").write_text(table)
    text = sections()
    assert "| TD3 | Theirs | v1 | 1,000,000 | 10 | 3564 |" in text
    assert "| TD3 | **ours** | v5 | 300,000 | 3 | 701 ± 1 |" in text
    assert "| DDPG | **ours** | v5 | 300,000 | 1–3 | 1,000 ± 8 |" in text
