"""The search ends the same way however it is interrupted, shared or resumed."""

import collections
import io
import json
import math

import numpy as np
import optuna
import pytest

from smoothie_tf.experiments.search import search
from smoothie_tf.runs import launch
from smoothie_tf.runs.run import Preset, read_preset
from smoothie_tf.runs.status import Status, current_status
from smoothie_tf.training import config
from smoothie_tf.validation import InputError

HALVING = search.Halving((100, 200), 3)


@pytest.fixture
def plan(tmp_path):
    """Makes a search of fake runs of 300 steps."""

    def make(agent="smoothie", halving=HALVING, **options):
        return search.Search(
            agent=agent,
            env="Hopper-v5",
            preset=options.pop("preset", Preset("quick", 300, 1)),
            space="table1",
            parameters=search.read_space(agent),
            halving=halving,
            sampler=options.pop("sampler", "random"),
            seed=options.pop("seed", 1000),
            root=options.pop("root", tmp_path / "runs"),
        )

    return make


@pytest.fixture
def train(fake_command):
    """Trains for real, but for what is learned: a return of step / 10 + seed."""

    def work(runs, workers=3):
        return launch.launch(runs, workers, command=fake_command, stream=io.StringIO())

    return work


def facts(trials):
    return [(each.number, each.values, each.returns, each.state) for each in trials]


def test_ranges_are_table_1s():
    smoothie = {each.name: each for each in search.read_space("smoothie")}
    ddpg = {each.name: each for each in search.read_space("ddpg")}
    ranges = {
        "actor_learning_rate": (1e-6, 1e-3),
        "critic_learning_rate": (1e-6, 1e-3),
        "reward_scale": (0.01, 0.3),
        "ou_damping": (1e-4, 1e-3),
        "ou_stddev": (1e-3, 1.0),
        "kl_penalty": (1e-6, 4e-2),
    }
    # OU noise is DDPG's alone, λ Smoothie's.
    assert set(smoothie) == set(ranges) - {"ou_damping", "ou_stddev"}
    assert set(ddpg) == set(ranges) - {"kl_penalty"}
    for each in (*smoothie.values(), *ddpg.values()):
        assert (each.low, each.high) == ranges[each.name]
        assert each.log


@pytest.mark.parametrize("agent", ["smoothie", "ddpg"])
def test_every_range_binds_something_training_knows(agent):
    bindings = [
        f"{each.binding} = {math.sqrt(each.low * each.high)!r}"
        for each in search.read_space(agent)
    ]
    config.parse(agent, "Hopper-v5", "short", bindings=bindings)


def test_short_presets_search_is_a_quarter_of_the_whole():
    preset = read_preset("short")
    halving = search.read_halving(preset, None)
    # 16 · 25k + 5 · 75k + 2 · 200k
    assert halving.levels(16, 300_000) == [(25_000, 16), (100_000, 5), (300_000, 2)]
    assert halving.cost(16, 300_000) == 1_175_000
    assert search.read_halving(preset, False).cost(16, 300_000) == 4_800_000
    # The paper's own search does not halve.
    assert search.read_halving(read_preset("paper"), None) == search.Halving()


@pytest.mark.parametrize(
    ("binding", "sentence"),
    [
        ("search.rungs = (200, 100)", "search.rungs is (200, 100)"),
        ("search.rungs = (100, 300)", "below the 300 of a whole run"),
        ("search.rungs = 100", "search.rungs is 100"),
        ("search.rungs = ()", "has none"),
        ("search.reduction_factor = 1", "search.reduction_factor is 1"),
    ],
)
def test_bad_rungs_get_one_sentence(binding, sentence):
    preset = Preset("short", 300, 1, ("search.rungs = (100,)", binding))
    with pytest.raises(InputError) as error:
        search.read_halving(preset, True)
    assert sentence in str(error.value)


def test_draws_are_uniform_in_the_logarithm_and_of_the_number_alone():
    sampler = search.TrialSampler(1000)
    distribution = optuna.distributions.FloatDistribution(1e-6, 4e-2, log=True)

    def draw(number, name="kl_penalty"):
        trial = collections.namedtuple("Trial", "number")(number)
        return sampler.sample_independent(None, trial, name, distribution)

    drawn = np.log([draw(number) for number in range(400)])
    share = (drawn - np.log(1e-6)) / np.log(4e-2 / 1e-6)
    # Of 400 uniform draws, each tenth holds 40 with a standard deviation of 6.
    counts, _ = np.histogram(share, 10, (0, 1))
    assert counts.sum() == 400
    assert np.all(np.abs(counts - 40) < 24)
    assert draw(7) == draw(7) != draw(7, "reward_scale")
    assert draw(7) != search.TrialSampler(1001).sample_independent(
        None, collections.namedtuple("Trial", "number")(7), "kl_penalty", distribution
    )


def test_best_third_goes_on_and_the_rest_can(plan, train, starts):
    study = search.Study(plan())
    levels = []
    trials = search.conduct(
        study,
        6,
        train,
        on_level=lambda steps, group: levels.append((steps, len(group))),
    )
    assert levels == [(100, 6), (200, 2), (300, 1)]
    # The fake return grows with the seed, which is 1000 + number.
    assert [each.state for each in trials] == ["stopped"] * 5 + ["complete"]
    assert trials[5].returns == {100: 1015.0, 200: 1025.0, 300: 1035.0}
    assert trials[4].returns == {100: 1014.0, 200: 1024.0}
    # One run a trial, gone on with, not begun again.
    runs = [study.search.run(each.number, each.values, 300) for each in trials]
    assert starts(runs[5]) == [0, 100, 200]
    assert starts(runs[0]) == [0]
    assert current_status(runs[0].directory, 300) is Status.RESUMABLE
    train([runs[0]])
    assert starts(runs[0]) == [0, 100]
    # Asked for again, nothing is left to do.
    assert facts(search.conduct(search.Study(plan()), 6, None)) == facts(trials)


def test_agents_share_what_both_have(plan):
    drawn = {}
    for agent in ("smoothie", "ddpg"):
        study = search.Study(plan(agent))
        study.grow(3)
        drawn[agent] = [each.values for each in study.trials()]
    for ours, theirs in zip(drawn["smoothie"], drawn["ddpg"], strict=True):
        for name in ("actor_learning_rate", "critic_learning_rate", "reward_scale"):
            assert ours[name] == theirs[name]


@pytest.mark.parametrize("after", [1, 4])
def test_killed_anywhere_it_ends_as_in_one_go(plan, train, tmp_path, after):
    whole = search.conduct(search.Study(plan(root=tmp_path / "whole")), 4, train)

    class Killed(BaseException):
        pass

    count = 0

    def train_until_killed(runs):
        nonlocal count
        outcomes = []
        for run in runs:
            if count == after:
                raise Killed
            count += 1
            outcomes += train([run])
        return outcomes

    with pytest.raises(Killed):
        search.conduct(search.Study(plan()), 4, train_until_killed)
    # What the kill has torn: half a line of the journal, and Optuna's lock.
    directory = plan().directory
    with open(directory / "study.journal", "a") as journal:
        journal.write('{"op_code": 5, "worker')
    (directory / "study.journal.lock").symlink_to(directory / "study.journal")
    resumed = search.conduct(search.Study(plan()), 4, train)
    assert facts(resumed) == facts(whole)


def test_killed_while_it_asks(plan, train, tmp_path, monkeypatch):
    whole = search.conduct(search.Study(plan(root=tmp_path / "whole")), 4, train)

    class Killed(BaseException):
        pass

    suggest = optuna.trial.Trial.suggest_float

    def suggest_until_killed(self, name, *arguments, **options):
        if self.number == 2 and name == "reward_scale":
            raise Killed
        return suggest(self, name, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.trial.Trial, "suggest_float", suggest_until_killed)
        with pytest.raises(Killed):
            search.conduct(search.Study(plan()), 4, train)
    assert facts(search.conduct(search.Study(plan()), 4, train)) == facts(whole)


def test_two_processes_on_one_study(plan, train, tmp_path):
    first, second = search.Study(plan()), search.Study(plan())

    def train_after_the_other(runs):
        # The other takes the whole level while this one is at work on it.
        search.conduct(second, 4, train)
        return train(runs)

    trials = search.conduct(first, 4, train_after_the_other)
    whole = search.conduct(search.Study(plan(root=tmp_path / "whole")), 4, train)
    assert facts(trials) == facts(whole)
    assert len(trials) == 4


def test_later_trials_are_a_bracket_of_their_own(plan, train):
    first = search.conduct(search.Study(plan()), 3, train)
    both = search.conduct(search.Study(plan()), 6, train)
    assert facts(both[:3]) == facts(first)
    assert [each.state for each in both] == 2 * ["stopped", "stopped", "complete"]


def test_failed_trial_is_told_and_the_others_go_on(plan, train, behave):
    study = search.Study(plan())
    behave(study.search.run(2, {}, 100), "fail")
    trials = search.conduct(study, 3, train)
    assert [each.state for each in trials] == ["stopped", "complete", "failed"]
    assert "ValueError: the simulation diverged" in trials[2].reason
    assert facts(search.Study(plan()).trials()) == facts(trials)


@pytest.mark.parametrize("behaviour", ["refuse", "fail"])
def test_what_is_no_trials_fault_fails_no_trial(plan, train, behave, behaviour):
    study = search.Study(plan())
    for number in range(3):
        behave(study.search.run(number, {}, 100), behaviour)
    with pytest.raises(search.StudyError) as error:
        search.conduct(study, 3, train)
    assert "\n" not in str(error.value)
    for number in range(3):
        (study.search.run(number, {}, 100).directory / "behaviour").unlink()
    trials = search.conduct(search.Study(plan()), 3, train)
    assert [each.state for each in trials] == ["stopped", "stopped", "complete"]


def test_another_protocol_is_another_study(plan, train):
    search.conduct(search.Study(plan()), 2, train)
    with pytest.raises(search.StudyError, match=r"begun with rungs \[100, 200\]"):
        search.conduct(search.Study(plan(halving=search.Halving())), 3, train)
    search.conduct(search.Study(plan(seed=2000)), 2, train)


def test_damaged_journal_gets_one_sentence_and_loses_nothing(plan, train, starts):
    trials = search.conduct(search.Study(plan()), 2, train)
    journal = plan().directory / "study.journal"
    journal.write_text("not\nJSON\n")
    with pytest.raises(search.StudyError, match="move it away"):
        search.Study(plan())
    journal.unlink()
    study = search.Study(plan())
    # Its values follow from the numbers, its returns from the runs.
    assert facts(search.conduct(study, 2, train)) == facts(trials)
    assert starts(study.search.run(0, {}, 100)) == [0]


def test_tpe_asks_in_small_groups_and_goes_on(plan, train):
    options = {"sampler": "tpe", "halving": search.Halving()}
    first = search.conduct(search.Study(plan(**options)), 4, train, at_once=2)
    assert [each.state for each in first] == ["complete"] * 4
    both = search.conduct(search.Study(plan(**options)), 6, train, at_once=2)
    assert facts(both[:4]) == facts(first)
    values = [tuple(each.values.values()) for each in both]
    assert len(set(values)) == 6


def test_objective_is_the_mean_of_the_last_evaluations(tmp_path):
    from smoothie_tf.experiments.evidence import metrics as results

    path = tmp_path / "metrics.csv"
    rows = [f"{step},{step / 100},0,,,,,,,1\n" for step in range(100, 3100, 100)]
    path.write_text(",".join(results.METRICS) + "\n" + "".join(rows))
    # Returns 1 … 30: the last ten are 21 … 30.
    assert search.objective(path, 3000) == 25.5
    # Up to step 400 there are 1 … 4, of which half count.
    assert search.objective(path, 400) == 3.5
    assert search.objective(path, 100) == 1.0


def test_runs_are_ordinary_and_seeds_are_no_figures(plan):
    run = plan().run(3, {"kl_penalty": 0.01}, 100)
    assert run.seed == 1003
    assert run.gin_bindings == ("SmoothieAgent.kl_penalty = 0.01",)
    home = "quick/Hopper-v5/smoothie-table1-random-1000"
    assert str(run.directory).endswith(f"{home}/seed1003")
    assert json.dumps(launch.train_command(run)).count("--num_steps") == 1
