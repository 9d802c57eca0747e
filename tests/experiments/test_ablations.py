"""Values and policies against the truth, in short, and what is made of the records."""

import dataclasses
import json
import pathlib

import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from smoothie_tf.experiments.commands import ablations as ablations_module
from smoothie_tf.experiments.commands import figure
from smoothie_tf.experiments.commands.ablations import ablations_command
from smoothie_tf.experiments.report import ablations as report_ablations
from smoothie_tf.experiments.theory import (
    ablation_escapes,
    ablation_policies,
    ablation_values,
    ablations,
    evaluation_arms,
    ground_truth,
)

ARMS = {arm.name: arm for arm in evaluation_arms.ARMS}


def test_fixed_policys_gradient_is_not_zero():
    truth = ground_truth.fixed_policy()
    states = np.eye(2)
    gradient = truth.action_gradient(states, states @ truth.gain.T)
    assert np.abs(gradient).max() > 0.1
    assert truth.system.spectral_radius(truth.gain) < 1


def test_on_policy_replay_shows_half_the_gradient_and_a_quarter_of_the_hessian():
    # Without weights, ã given a phantom action a at the mean μ has mean (a + μ)/2 and
    # half the variance. What is left of noise after 4,000 updates: a few per cent.
    final = ground_truth.learn_values(
        ARMS["on-policy"], "quadratic", 0, 4000, 2000
    ).iloc[-1]
    assert final["gradient_factor"] == pytest.approx(0.5, abs=0.06)
    assert final["hessian_factor"] == pytest.approx(0.25, abs=0.06)


def test_uniform_replay_shows_all_of_both():
    final = ground_truth.learn_values(
        ARMS["inner-baseline"], "quadratic", 0, 4000, 2000
    ).iloc[-1]
    assert final["gradient_factor"] == pytest.approx(1, abs=0.1)
    assert final["hessian_factor"] == pytest.approx(1, abs=0.06)


def test_policies_start_at_the_edge_of_the_stable_region():
    task, start = ground_truth.stabilising_start()
    assert 0.96 < task.system.spectral_radius(start) <= 0.97
    assert task.system.spectral_radius(np.zeros((2, 2))) == pytest.approx(1.1)
    short = ("train.initial_collect_steps=50", "train.use_xla=False")
    records = ground_truth.learn_policy(0, 100, 0.1, short)
    assert list(records["step"]) == [50, 100]
    assert records["spectral_radius"].iloc[0] == pytest.approx(0.97, abs=2e-3)
    assert (records["cost"] > 1).all()
    assert records["cost"].nunique() == 2


@pytest.fixture
def records():
    values = pd.DataFrame(
        [
            {
                "arm": arm,
                "critic": "quadratic",
                "seed": seed,
                "update": update,
                **dict.fromkeys(ablation_values._ERRORS, 0.5 / update + 0.01 * seed),
                **dict.fromkeys(ablation_values._FACTORS, 0.5),
            }
            for arm in ARMS
            for seed in (0, 1)
            for update in (10, 20)
        ]
    )
    policies = pd.DataFrame(
        [
            {
                "kl_penalty": kl_penalty,
                "seed": 0,
                "step": step,
                "spectral_radius": 1.001 if kl_penalty == 0 and step == 50 else 0.9,
                "cost": 1 + 4.9 / step,
                "stddev": 0.3,
            }
            for kl_penalty in ablation_policies.KL_PENALTIES
            for step in range(50, 1001, 50)
        ]
    )
    escapes = pd.DataFrame(
        [
            {
                "variant": variant,
                "seed": 0,
                "step": 100 * i,
                "update": 100 * i,
                "mean": -0.8 + 0.4 * i,
                "stddev": 0.6,
            }
            for variant in ablation_escapes.VARIANTS
            for i in range(5)
        ]
    )
    return {"values-quadratic": values, "policies": policies, "escapes": escapes}


def test_tables_by_hand(records):
    table = ablation_values.tabulate_values(records["values-quadratic"])
    assert len(table) == len(ARMS)
    # 0.5/20 and 0.01 more: mean 0.03, standard deviation 0.01/2.
    assert table["error of Q̃"].iloc[0] == "0.030 ± 0.005"
    # A way that has not been run is left out.
    first = records["values-quadratic"]
    first = first[first["arm"] != first["arm"].iloc[0]]
    assert len(ablation_values.tabulate_values(first)) == len(ARMS) - 1
    table = ablation_policies.tabulate_policies(records["policies"])
    assert list(table["largest spectral radius"]) == ["1.0010", "0.9000"]
    assert list(table["ever outside the stable region"]) == ["yes", "no"]
    # 10 % at step 50, 2 % and less from 250 on.
    assert list(table["first within 2 %"]) == ["250", "250"]
    assert list(table["... from then on"]) == ["250", "250"]
    table = ablation_escapes.tabulate_escapes(records["escapes"])
    assert set(table["end on the better mode"]) == {"1 of 1"}
    assert set(table["update of the crossing, median"]) == {"300"}


def test_a_policy_that_diverged_counts_as_infinitely_costly(records):
    first = records["policies"][records["policies"]["kl_penalty"] == 0]
    diverged = first["step"] == 1000  # The last record.
    columns = ["cost", "spectral_radius"]
    worse = first.assign(**{each: first[each].mask(diverged) for each in columns})
    (row,) = ablation_policies.tabulate_policies(worse).to_dict("records")
    assert row["first within 2 %"] == "250"
    assert row["... from then on"] == "not yet"
    assert row["last tenth, mean"] == row["last tenth, worst"] == "inf %"
    assert row["largest spectral radius"] == "inf"
    assert row["ever outside the stable region"] == "yes"


def test_a_policy_that_is_good_from_the_start(records):
    good = records["policies"].assign(cost=1.01)
    table = ablation_policies.tabulate_policies(good)
    assert list(table["first within 2 %"]) == ["50", "50"]
    assert list(table["... from then on"]) == ["50", "50"]


@pytest.mark.parametrize(("stay", "median"), [(1, "400"), (2, "never"), (3, "never")])
def test_runs_that_never_cross_count_in_the_median(records, stay, median):
    # Three runs cross at 300, 400 and 300; the first ones stay at the worse mode.
    runs = records["escapes"]
    runs = pd.concat([runs.assign(seed=seed) for seed in range(3)])
    late = (runs["seed"] == 1) & (runs["update"] == 300)
    runs["mean"] = runs["mean"].mask((runs["seed"] < stay) | late, -0.8)
    table = ablation_escapes.tabulate_escapes(runs)
    assert set(table["update of the crossing, median"]) == {median}


@pytest.fixture
def results_dir(records, tmp_path):
    folder = tmp_path / ablations.FOLDER
    folder.mkdir()
    for name, frame in records.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
        origin = {"command": f"python {name}", "commit": "0123456789"}
        (folder / f"{name}.json").write_text(json.dumps(origin))
    return tmp_path


def test_plots_from_what_there_is(records, results_dir, capsys):
    flags = ["--plot_only", "--results_dir", str(results_dir), "--only", *records]
    assert ablations_command(flags) == 0
    for name in records:
        assert image.imread(results_dir / "ablations" / f"{name}.png").std() > 0.01
    path = results_dir / "ablations.md"
    assert str(path) in capsys.readouterr().out.splitlines()[-1]
    text = path.read_text()
    for name in records:
        assert f"(ablations/{name}.png)" in text
        assert f"`python {name}`, commit 0123456." in text
    # What there is no table of says so.
    assert text.count("Not yet run") == 2
    assert "--only values-tanh" in text and "--hopper" in text


@pytest.fixture
def add(records, results_dir, monkeypatch):
    """Adds to the escapes with two seeds; returns what it has asked for."""
    asked, escapes = [], records["escapes"]

    def learn(seeds, known):
        asked.append((seeds, known))
        new = pd.concat([escapes.assign(seed=seed) for seed in range(seeds)])
        return new[~new["variant"].isin(known)].assign(stddev=0.123456789)

    changed = dataclasses.replace(ablation_escapes.ESCAPE, learn=learn)
    monkeypatch.setitem(ablations.ABLATIONS, "escapes", changed)

    def work(status=0):
        flags = ["--only", "escapes", "--seeds", "2", "--add"]
        assert ablations_command([*flags, "--results_dir", str(results_dir)]) == status
        return asked

    return work


def test_what_a_table_lacks_is_added_to_it(records, results_dir, add, capsys):
    # Of the escapes one variant is missing, another has too few seeds.
    path = results_dir / "ablations/escapes.csv"
    few, missing, *there = ablation_escapes.VARIANTS
    escapes = records["escapes"]
    old = pd.concat([escapes.assign(seed=seed) for seed in (0, 1)])
    old = old[old["variant"] != missing]
    old = old[(old["variant"] != few) | (old["seed"] == 0)]
    old.to_csv(path, index=False, float_format="%.6g")
    lines = set(path.read_text().splitlines())
    assert add() == [(2, set(there))]
    table = pd.read_csv(path)
    assert len(table) == 2 * len(ablation_escapes.VARIANTS) * 5
    # What was there is there as it was, letter by letter.
    kept = {line for line in lines if not line.startswith(f"{few},")}
    assert kept <= set(path.read_text().splitlines())
    assert (table.loc[table["variant"] == few, "stddev"] == 0.123457).all()
    text = (results_dir / "ablations.md").read_text()
    assert "--only escapes --seeds 2 --add`, commit" in text
    assert "earlier rows: `python escapes`, commit 0123456." in text
    # Now nothing is missing.
    before = path.read_bytes()
    assert len(add()) == 1 and path.read_bytes() == before
    # A table that says nothing of where it is from is not added to.
    path.with_suffix(".json").unlink()
    add(status=2)
    assert "--add" in capsys.readouterr().err


def test_what_is_added_to_with_fewer_seeds_has_no_more(records, results_dir, add):
    path = results_dir / "ablations/escapes.csv"
    missing, *there = ablation_escapes.VARIANTS
    escapes = records["escapes"]
    old = pd.concat([escapes.assign(seed=seed) for seed in range(3)])
    old[old["variant"] != missing].to_csv(path, index=False)
    add()
    seeds = pd.read_csv(path).groupby("variant")["seed"].unique()
    assert {name: sorted(each) for name, each in seeds.items()} == dict.fromkeys(
        [missing, *there], [0, 1]
    )


@pytest.mark.parametrize("part", ["values-quadratic", "policies", "escapes"])
def test_kinds_of_runs_and_those_that_are_known(records, part):
    ablation = ablations.ABLATIONS[part]
    known = ablation.known_kinds(records[part], 1)
    assert known <= set(ablation.kinds) and len(known) > 1
    assert ablation.known_kinds(records[part], 3) == set()


def test_returns_on_hopper_are_told(results_dir):
    folder = results_dir / ablations.HOPPER_FOLDER
    folder.mkdir()
    rows = [
        {
            "agent": "smoothie",
            "env": "Hopper-v5",
            "variant": variant,
            "seed": seed,
            "finished": True,
            "step": step,
            "evaluation_return_mean": level,
            "evaluation_return_std": 0.0,
            "training_return": level,
            "policy_stddev": 0.5,
        }
        for variant, level in (("smoothie", 1000.0), ("smoothie-expected", 2000.0))
        for seed in range(3)
        for step in (5000, 10_000)
    ]
    pd.DataFrame(rows).to_csv(folder / "ablations_runs.csv", index=False)
    text = report_ablations.write(results_dir).read_text()
    assert "| Hopper-v5 | (16) and (17) | 3 | 2,000 ± 0 | +1,000 [no interval]" in text
    assert "(ablations-hopper/ablations.png)" in text


def test_tries_on_hopper_do_not_replace_results(results_dir, monkeypatch):
    given = []

    def figure_command(figure, argv, baseline):
        flags = figure_flags(figure).parse_args(argv)
        given.append((flags.out_dir, flags.preset, flags.gin_bindings))
        return 0

    figure_flags = figure._parser
    monkeypatch.setattr(ablations_module, "figure_command", figure_command)

    def out_dir(*flags):
        hopper = ["--hopper", "--results_dir", str(results_dir)]
        assert ablations_command([*hopper, *flags]) == 0
        return given[-1][0]

    result = results_dir / ablations.HOPPER_FOLDER
    assert out_dir() == result
    length = ["train.num_steps = 100000"]
    assert given == [(result, "short", length)]
    assert out_dir("--preset", "paper") == result
    # The command of figures chooses a directory below that of runs.
    assert out_dir("--preset", "quick") is None
    assert out_dir("--preset=quick") is None
    binding = "create_agent.adam_epsilon = 1e-8"
    assert out_dir("--gin_bindings", binding) is None
    assert given[-1] == (None, "short", [*length, binding])
    assert out_dir(f"--gin_bindings={binding}", "--preset", "paper") is None
    assert out_dir("--preset", "quick", "--out_dir", "a") == pathlib.Path("a")


def test_a_damaged_table(results_dir, capsys):
    (results_dir / "ablations" / "policies.csv").write_bytes(b"")
    flags = ["--plot_only", "--results_dir", str(results_dir), "--only", "escapes"]
    assert ablations_command(flags) == 1
    assert "policies.csv is damaged" in capsys.readouterr().err


def test_bad_flags(tmp_path, capsys):
    for flags, message in (
        (["--seeds", "0"], "--seeds must be at least 1, but is 0."),
        (["--only", "all"], "invalid choice: 'all'"),
        (["--envs", "Hopper-v5"], "there is no flag --envs."),
    ):
        with pytest.raises(SystemExit) as error:
            ablations_command([*flags, "--results_dir", str(tmp_path)])
        assert error.value.code == 2
        assert message in capsys.readouterr().err
    flags = ["--plot_only", "--results_dir", str(tmp_path)]
    assert ablations_command(flags) == 2
    assert "--plot_only: there is no" in capsys.readouterr().err
