"""The search ends the same way however it is interrupted, shared or resumed."""

import dataclasses
import io
import json
import math
import pathlib

import numpy as np
import optuna
import pandas as pd
import pytest

from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.figures.choices import CHOICES
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3
from smoothie_tf.experiments.figures.grids import Arm
from smoothie_tf.experiments.search import search
from smoothie_tf.runs import launch
from smoothie_tf.runs.run import Preset
from smoothie_tf.runs.status import Status, current_status
from smoothie_tf.training import config
from smoothie_tf.validation import InputError
from tests import slow

RESULTS = pathlib.Path(__file__).resolve().parents[2] / "results"


@pytest.fixture
def plan(tmp_path):
    """Makes a search of fake runs of 300 steps."""

    def make(agent="smoothie", num_trials=4, **options):
        options = {
            "preset": Preset("quick", 300, 1),
            **search.read_space(agent),
            "rungs": (100, 200),
            "root": tmp_path / "runs",
        } | options
        arm = search.ARMS.get(agent, Arm(agent, agent, agent))
        return search.Search(arm, "Hopper-v5", num_trials=num_trials, **options)

    return make


@pytest.fixture
def train(fake_command):
    """Trains for real, but for what is learned: a return of step / 10 + seed."""

    def work(runs, workers=3):
        return launch.launch(runs, workers, stream=io.StringIO())

    return work


@pytest.fixture
def conduct(train):
    """Conducts a study, and returns it."""

    def work(plan, train=train):
        study = search.Study(plan)
        study.conduct(train)
        return study

    return work


def returns(trial):
    """Returns a trial's objectives by the steps of its levels."""
    return {
        int(key.removeprefix("objective_at_")): value
        for key, value in trial.user_attrs.items()
        if key.startswith("objective_at_")
    }


def facts(study):
    return [(each.params, returns(each), each.state) for each in study.trials]


def states(study):
    return [each.state.name for each in study.trials]


def test_ranges_are_table_1s():
    smoothie = search.read_space("smoothie")["ranges"]
    ddpg = search.read_space("ddpg")["ranges"]
    ranges = {
        "actor_learning_rate": (1e-6, 1e-3),
        "critic_learning_rate": (1e-6, 1e-3),
        "reward_scale": (0.01, 0.3),
        "ou_damping": (1e-4, 1e-3),
        "ou_stddev": (1e-3, 1.0),
        "kl_penalty": (1e-6, 4e-2),
    }
    # OU noise is DDPG's alone, λ is Smoothie's with the penalty.
    assert set(smoothie) == set(ranges) - {"ou_damping", "ou_stddev"}
    assert set(ddpg) == set(ranges) - {"kl_penalty"}
    assert set(search.read_space("smoothie-no-kl")["ranges"]) == set(smoothie) - {
        "kl_penalty"
    }
    for name, each in (*smoothie.items(), *ddpg.items()):
        assert (each.low, each.high) == ranges[name]
        assert each.log


@pytest.mark.parametrize("agent", ["smoothie", "smoothie-no-kl", "ddpg"])
def test_every_range_binds_something_training_knows(agent, plan):
    middle = {
        name: math.sqrt(each.low * each.high)
        for name, each in search.read_space(agent)["ranges"].items()
    }
    run = plan(agent).run(0, middle)
    config.parse(run.agent, "Hopper-v5", "short", bindings=run.gin_bindings)
    # The paper's λ applies only to Smoothie with a penalty.
    assert ("SmoothieAgent.kl_penalty = 0.0" in run.gin_bindings) == (
        agent == "smoothie-no-kl"
    )


@pytest.mark.parametrize("env", FIGURE_3.envs)
def test_agents_have_as_many_trials_by_hand(env):
    first = {
        agent: search.read_space(agent, "first_block", env)["first"]
        for agent in ("smoothie", "ddpg", "smoothie-no-kl")
    }
    assert [len(each) for each in first.values()] == [8, 8, 8]
    # The best rates that were known of either agent are tried for both.
    best = {each["actor_learning_rate"] for each in first["smoothie"][-2:]}
    assert len(best) == 2
    for points in first.values():
        assert {each["actor_learning_rate"] for each in points[-2:]} == best
    assert search.read_space("smoothie", "table1", env)["first"] == ()


def test_the_shortlist_is_of_values_that_searches_found():
    spaces = {
        agent: search.read_space(agent, "shortlist", "Ant-v5")
        for agent in ("smoothie", "ddpg", "smoothie-no-kl")
    }
    for agent, space in spaces.items():
        assert len(space["first"]) == 3
        assert space["bound"] == search.read_space(agent, "first_block")["bound"]
        *finalists, _ = space["first"]
        of_search = search.read_space(agent, "first_block", "HalfCheetah-v5")["first"]
        assert all(each in of_search for each in finalists)
    hopper = search.read_space("smoothie", "first_block", "Hopper-v5")["first"]
    assert spaces["smoothie"]["first"][-1] in hopper


def test_all_trials_have_what_the_space_binds(plan):
    space = search.read_space("smoothie", "first_block", "Hopper-v5")
    assert space["bound"] == CHOICES.panels[0].arms[-1].gin_bindings
    first = space["first"][0]
    run = plan(num_trials=10, **space).run(0, first)
    assert run.gin_bindings[: len(space["bound"])] == space["bound"]
    assert len(run.gin_bindings) == len(space["bound"]) + len(first)
    assert search.read_space("smoothie", "table1", "Hopper-v5")["bound"] == ()
    of_ddpg = search.read_space("ddpg", "first_block", "Hopper-v5")["bound"]
    assert of_ddpg == CHOICES.panels[1].arms[-1].gin_bindings


@pytest.mark.parametrize(
    ("num_trials", "rungs", "factor", "levels", "cost"),
    [
        # 10 · 100k + 2 · 200k
        (10, (100_000,), 5, {100_000: 10, 300_000: 2}, 1_400_000),
        # 16 · 25k + 5 · 75k + 2 · 200k, as the studies in results/table1-short.
        (16, (25_000, 100_000), 3, {25_000: 16, 100_000: 5, 300_000: 2}, 1_175_000),
        (16, (), 3, {300_000: 16}, 4_800_000),
    ],
)
def test_levels_and_cost_by_hand(plan, num_trials, rungs, factor, levels, cost):
    study = plan(
        num_trials=num_trials,
        rungs=rungs,
        reduction_factor=factor,
        preset=Preset("short", 300_000, 3),
    )
    assert study.levels == levels
    assert study.cost == cost


@pytest.mark.parametrize("agent", ["smoothie", "ddpg"])
@pytest.mark.parametrize("env", ["HalfCheetah-v5", "Hopper-v5"])
def test_committed_studies_repeat(agent, env, tmp_path):
    """The same seed asks for the values of the studies in results/table1-short."""
    name = f"{env}_{agent}-table1-random-1000.csv"
    committed = pd.read_csv(RESULTS / "table1-short" / name)
    space = search.read_space(agent)
    names = list(space["ranges"])
    preset, arm = Preset("short", 300_000, 3), Arm(agent, agent, agent)
    plan = search.Search(arm, env, preset, **space, num_trials=16, root=tmp_path)
    study = search.Study(plan)

    def stop(runs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.conduct(stop)
    drawn = pd.DataFrame([trial.params for trial in study.trials])
    assert len(committed) == 16
    pd.testing.assert_frame_equal(drawn[names], committed[names], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("search.ranges = {'reward_scale': (0.3, 0.01, 'log')}", "low"),
        ("search.ranges = {'reward_scale': (0.0, 0.01, 'log')}", "low"),
        ("search.ranges = {'reward_scale': (0.01, 0.3)}", "values to unpack"),
        (
            "search.ranges = {'reward_scale': (0.01, 0.3, 'cubic')}",
            "'ddpg': search.ranges.reward_scale must be one of 'log', 'uniform', but is"
            " 'cubic'.",
        ),
        ("search.ranges = {}", "'ddpg': search.ranges has nothing for 'reward_scale'."),
        (
            "search.ranges = {'reward_scael': (0.01, 0.3, 'log')}",
            "has nothing for 'reward_scale' (did you mean 'reward_scael'?).",
        ),
        (
            "search.first = {'ddpg': [(0.4,)]}",
            "The value 0.4 of parameter 'reward_scale'",
        ),
        ("search.first = {'ddpg': [(0.1, 0.2)]}", "argument 2 is longer"),
    ],
)
def test_bad_space_gets_one_sentence(text, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "SPACES", tmp_path)
    good = "search.ranges = {'reward_scale': (0.01, 0.3, 'log')}\n"
    good += "search.bindings = {'ddpg': {'reward_scale': 'DdpgAgent.reward_scale'}}\n"
    (tmp_path / "own.gin").write_text(good)
    assert search.read_space("ddpg", "own")["bindings"]
    (tmp_path / "own.gin").write_text(good + text)
    with pytest.raises(InputError, match="gin/search/own.gin, 'ddpg': ") as error:
        search.read_space("ddpg", "own")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_misspelt_part_of_a_space_gets_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "SPACES", tmp_path)
    (tmp_path / "own.gin").write_text("search.frist = {}\n")
    with pytest.raises(InputError) as error:
        search.read_space("ddpg", "own")
    assert str(error.value) == (
        "gin/search/own.gin binds 'search.frist', which is no part of a search space "
        "(did you mean 'search.first'?): choose one of search.bindings, search.ranges, "
        "search.first, search.best_known, search.bound."
    )


def test_draws_are_uniform_in_the_logarithm_and_of_the_number_alone(plan):
    draws = [plan().draw(number) for number in range(400)]
    drawn = np.log([each["kl_penalty"] for each in draws])
    share = (drawn - np.log(1e-6)) / np.log(4e-2 / 1e-6)
    # Of 400 uniform draws, each tenth holds 40 with a standard deviation of 6.
    counts, _ = np.histogram(share, 10, (0, 1))
    assert counts.sum() == 400
    assert np.all(np.abs(counts - 40) < 24)
    assert plan().draw(7) == draws[7]
    assert plan(seed=1001).draw(7)["kl_penalty"] != draws[7]["kl_penalty"]
    # The share of a range is the parameter's own.
    rates = np.log([each["actor_learning_rate"] for each in draws])
    assert abs(np.corrcoef(drawn, rates)[0, 1]) < 0.15


def test_best_third_goes_on_and_the_rest_can(plan, conduct, train, starts):
    levels = []

    def train_and_note(runs):
        levels.append((runs[0].num_steps, len(runs)))
        return train(runs)

    study = conduct(plan(num_trials=6), train_and_note)
    assert levels == [(100, 6), (200, 2), (300, 1)]
    # The fake return grows with the seed, which is 1000 + number.
    assert states(study) == ["PRUNED"] * 5 + ["COMPLETE"]
    assert returns(study.trials[5]) == {100: 1015.0, 200: 1025.0, 300: 1035.0}
    assert returns(study.trials[4]) == {100: 1014.0, 200: 1024.0}
    assert study.best.number == 5
    assert study.best.value == 1035.0
    # One run a trial, gone on with, not begun again.
    runs = [study.search.run(each.number, each.params) for each in study.trials]
    assert starts(runs[5]) == [0, 100, 200]
    assert starts(runs[0]) == [0]
    assert current_status(runs[0].directory, 300) is Status.RESUMABLE
    train([runs[0]])
    assert starts(runs[0]) == [0, 100]
    # Asked for again, nothing is trained, and what has come further changes nothing.
    assert facts(conduct(study.search)) == facts(study)
    assert starts(runs[5]) == [0, 100, 200]


def test_optunas_own_tools_read_the_journal(plan, conduct):
    study = conduct(plan())
    backend = optuna.storages.journal.JournalFileBackend(str(study.journal))
    storage = optuna.storages.JournalStorage(backend)
    stored = optuna.load_study(study_name=study.search.name, storage=storage)
    assert stored.best_trial.number == 3
    assert stored.best_value == 1033.0
    assert [each.state.name for each in stored.trials] == states(study)
    assert stored.trials[0].intermediate_values[100] == 1010.0
    assert {path.name[:7] for path in study.journal.parent.iterdir()} == {
        "seed100",
        "study.j",
    }


def test_agents_share_what_both_have(plan, conduct):
    ours, theirs = (conduct(plan(agent)).trials for agent in ("smoothie", "ddpg"))
    for mine, other in zip(ours, theirs, strict=True):
        for name in ("actor_learning_rate", "critic_learning_rate", "reward_scale"):
            assert mine.params[name] == other.params[name]


def test_first_trials_are_those_given_by_hand(plan, conduct):
    space = search.read_space("smoothie", "first_block", "Hopper-v5")
    study = conduct(plan(num_trials=10, **space))
    assert [each.params for each in study.trials[:8]] == list(space["first"])
    drawn = conduct(plan(num_trials=10)).trials
    # A trial that is drawn does not depend on those before it.
    assert [each.params for each in study.trials[8:]] == [
        each.params for each in drawn[8:]
    ]


class KilledError(BaseException):
    """What no handler of the study's expects."""


@pytest.mark.parametrize("sampler", slow.all_but(["tpe"], ["random", "tpe"]))
@pytest.mark.parametrize("after", slow.all_but([9], [1, 9]))
def test_killed_anywhere_it_ends_as_in_one_go(
    plan, conduct, train, tmp_path, after, sampler
):
    space = search.read_space("smoothie", "first_block", "Hopper-v5")
    options = {"num_trials": 11, "sampler": sampler, **space}
    whole = conduct(plan(root=tmp_path / "whole", **options))
    count = 0

    def train_until_killed(runs):
        nonlocal count
        outcomes = []
        for run in runs:
            if count == after:
                raise KilledError
            count += 1
            outcomes += train([run])
        return outcomes

    with pytest.raises(KilledError):
        conduct(plan(**options), train_until_killed)
    # What a killed process was writing is in nobody's way.
    left = search.Study(plan(**options)).journal.parent / "tmpleft"
    left.mkdir()
    (left / "study.journal").write_text('{"op_code": 5, "worker')
    assert facts(conduct(plan(**options))) == facts(whole)


def test_two_processes_on_one_study(plan, conduct, train, tmp_path):
    def train_after_the_other(runs):
        # The other takes the whole level while this one is at work on it.
        conduct(plan())
        return train(runs)

    study = conduct(plan(), train_after_the_other)
    whole = conduct(plan(root=tmp_path / "whole"))
    assert facts(study) == facts(whole)
    assert len(study.trials) == 4


def test_more_trials_end_as_if_asked_for_at_first(plan, conduct, tmp_path):
    conduct(plan(num_trials=3))
    more = conduct(plan(num_trials=6))
    assert facts(more) == facts(conduct(plan(num_trials=6, root=tmp_path / "whole")))
    # Trial 2, which was the best of three, is not among the best third of six.
    assert states(more) == ["PRUNED"] * 5 + ["COMPLETE"]


def test_failed_trial_is_told_and_the_others_go_on(plan, conduct, behave):
    seeds = plan(num_trials=3)
    behave(seeds.run(2, {}), "fail")
    study = conduct(seeds)
    assert states(study) == ["PRUNED", "COMPLETE", "FAIL"]
    assert "ValueError: the simulation diverged" in study.trials[2].user_attrs["reason"]
    assert facts(conduct(seeds)) == facts(study)


# Trial 4 is among the ten at random, trial 11 was proposed from the results of these.
@pytest.mark.parametrize("number", [4, 11])
def test_tpe_proposes_nothing_from_a_failure(plan, conduct, behave, tmp_path, number):
    def make(**options):
        return plan(num_trials=14, sampler="tpe", rungs=(100,), **options)

    whole = conduct(make(root=tmp_path / "whole"))
    behave(make().run(number, {}), "fail")
    for _ in range(2):
        with pytest.raises(
            search.StudyError,
            match=rf"^Trial {number} failed: ValueError: the simulation diverged. "
            r"\(exit status 1\); TPE needs its result for the next trials\. The same "
            r"command tries it again; --sampler random needs no results\.$",
        ):
            conduct(make())
    first_later = 10 if number < 10 else 12
    assert make().run(first_later - 1, {}).directory.exists()
    assert not make().run(first_later, {}).directory.exists()
    # The trial succeeds at last, and the study ends as if it had at once.
    (make().run(number, {}).directory / "behaviour").unlink()
    assert facts(conduct(make())) == facts(whole)


def test_tpe_can_end_with_a_failure_in_the_last_trials(plan, conduct, behave):
    # Nothing is proposed after them.
    def make():
        return plan(num_trials=12, sampler="tpe", rungs=())

    behave(make().run(11, {}), "fail")
    assert states(conduct(make())) == ["COMPLETE"] * 11 + ["FAIL"]
    (make().run(11, {}).directory / "behaviour").unlink()
    assert states(conduct(make())) == ["COMPLETE"] * 12


@pytest.mark.parametrize("behaviour", ["refuse", "fail"])
def test_what_is_no_trials_fault_fails_no_trial(plan, conduct, behave, behaviour):
    seeds = plan(num_trials=3)
    runs = [seeds.run(number, {}) for number in range(3)]
    for run in runs:
        behave(run, behaviour)
    with pytest.raises(search.StudyError) as error:
        conduct(seeds)
    assert "\n" not in str(error.value)
    for run in runs:
        (run.directory / "behaviour").unlink()
    assert states(conduct(seeds)) == ["PRUNED", "PRUNED", "COMPLETE"]


def test_other_values_are_another_study(plan, conduct):
    space = conduct(plan(num_trials=2)).search.ranges
    ranges = space | {"reward_scale": optuna.distributions.FloatDistribution(1.0, 2.0)}
    with pytest.raises(
        search.StudyError, match="seed1000 holds a run with gin_bindings"
    ):
        conduct(plan(num_trials=2, ranges=ranges))
    conduct(plan(num_trials=2, ranges=ranges, seed=2000))


def test_values_that_change_while_it_trains_are_refused(plan, conduct):
    def outcomes(runs):
        (run,) = runs
        run.directory.mkdir(parents=True)
        facts = {key: getattr(run, key) for key in ("agent", "env", "seed")}
        record = facts | {"gin_bindings": ["SmoothieAgent.gamma = 0.5"]}
        (run.directory / "run.json").write_text(json.dumps(record))
        return [launch.Outcome(run, Status.DONE)]

    with pytest.raises(search.StudyError, match="seed1000 holds a run with gin_bi"):
        conduct(plan(num_trials=1), outcomes)


def test_lost_journal_loses_nothing(plan, conduct, starts):
    study = conduct(plan(num_trials=2))
    for torn in ("not\nJSON\n", '{"op_code": 5, "worker', ""):
        study.journal.write_text(torn)
        assert facts(conduct(plan(num_trials=2))) == facts(study)
    assert starts(study.search.run(0, {})) == [0]


def test_tpe_learns_from_the_first_rung_and_repeats(plan, conduct, tmp_path):
    groups = []

    def make(**options):
        return plan(num_trials=14, sampler="tpe", rungs=(100,), **options)

    first = conduct(make())
    again = conduct(make(root=tmp_path / "again"))
    assert facts(again) == facts(first)
    # Ten at random, then two at a time from what those have returned.
    study = search.Study(make(root=tmp_path / "groups"))

    def train_nothing_but_note(runs):
        groups.append(len(runs))
        there = [
            dataclasses.replace(run, root=first.search.root, home=None) for run in runs
        ]
        return [launch.Outcome(run, Status.DONE) for run in there]

    study.conduct(train_nothing_but_note)
    assert groups == [10, 2, 2, 5]
    assert len({tuple(each.params.values()) for each in first.trials}) == 14


def test_objective_is_the_mean_of_the_last_evaluations(plan, conduct):
    def outcomes(runs):
        for run in runs:
            run.directory.mkdir(parents=True, exist_ok=True)
            rows = (f"{step},{step},0,,,,,,,1\n" for step in range(10, 301, 10))
            text = ",".join(metrics.METRICS) + "\n" + "".join(rows)
            (run.directory / "metrics.csv").write_text(text)
            facts = {key: getattr(run, key) for key in ("agent", "env", "seed")}
            record = json.dumps(facts | {"gin_bindings": run.gin_bindings})
            (run.directory / "run.json").write_text(record)
        return [launch.Outcome(run, Status.DONE) for run in runs]

    study = conduct(plan(num_trials=1, rungs=(40, 200)), outcomes)
    # Returns are the steps. At 40 half of four evaluations count: 30 and 40; at 200 the
    # last five: 160 … 200; at the end of the run the last ten: 210 … 300.
    assert returns(study.trials[0]) == {40: 35.0, 200: 180.0, 300: 255.0}


def test_runs_are_ordinary_and_seeds_are_no_figures(plan):
    run = plan().run(3, {"kl_penalty": 0.0123}, 100)
    assert run.seed == 1003
    assert run.gin_bindings == ("SmoothieAgent.kl_penalty = 0.0123",)
    home = "quick/Hopper-v5/smoothie-table1-random-1000"
    assert str(run.directory).endswith(f"{home}/seed1003")
    assert json.dumps(launch.train_command(run)).count("--num_steps") == 1
