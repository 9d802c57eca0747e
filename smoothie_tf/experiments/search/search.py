"""Hyperparameter search: Optuna proposes trials, each of which is an ordinary run.

The runs are the study's storage. Every process replays the study from its seed: it asks
Optuna for the same points in the same order, reads from the runs the returns of what
has been trained, and trains the rest. A study that is stopped, resumed or shared by
processes therefore ends as it would have in one go. `study.journal` beside the runs
holds its state for Optuna's own tools, such as `optuna.load_study`.

Optuna's pruners are not used: they compare a trial with those that happen to have come
as far before it, so the result would depend on which run was faster. Here a rung is
decided when all its trials have reached it.
"""

import dataclasses
import math
import os
import pathlib
import tempfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import pandas as pd

from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.figures.continuous_control import SMOOTHIE_WITHOUT_KL
from smoothie_tf.experiments.figures.grids import Arm
from smoothie_tf.runs.launch import Outcome
from smoothie_tf.runs.run import Preset, Run, tuned_digest
from smoothie_tf.runs.status import Status
from smoothie_tf.training import gin_directory
from smoothie_tf.training.gin_text import bound_values
from smoothie_tf.validation import InputError

#: Where the search spaces are.
SPACES = gin_directory.ROOT / "search"
#: A rung compares the means of so many last evaluations.
RUNG_EVALUATIONS = 5
#: Arms that are searched as they are, and not as their agent.
ARMS = {SMOOTHIE_WITHOUT_KL.variant: SMOOTHIE_WITHOUT_KL}
State = optuna.trial.TrialState

# Trials that TPE proposes from the same results, however many processes there are.
_TPE_BATCH = 2

optuna.logging.set_verbosity(optuna.logging.WARNING)


class StudyError(Exception):
    """A study cannot be used or continued; the message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Space:
    """What an agent is searched over: a file of gin/search/.

    Attributes:
        name: Name of the file.
        bindings: What each parameter binds in gin, by the paper's names.
        distributions: Range of each, and whether its logarithm is uniform.
        first: Values of the first trials, given by hand.
    """

    name: str
    bindings: dict[str, str]
    distributions: dict[str, optuna.distributions.FloatDistribution]
    first: tuple[dict[str, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Search:
    """Everything that a study's trials follow from.

    Attributes:
        arm: The agent, and what is bound for it in all trials.
        env: Gymnasium id of the task.
        preset: Steps of a whole run, and bindings given by hand.
        space: The search space.
        num_trials: How many trials there are.
        rungs: Environment steps at which trials are compared, increasing and below
            those of a whole run; empty for none.
        reduction_factor: After a rung, one in so many trials goes on.
        sampler: `random` or `tpe`.
        seed: Seed of the study. Trial k's run has it plus k.
        root: Directory that holds all runs.
    """

    arm: Arm
    env: str
    preset: Preset
    space: Space
    num_trials: int
    rungs: tuple[int, ...] = ()
    reduction_factor: float = 3.0
    sampler: str = "random"
    seed: int = 1000
    root: pathlib.Path = pathlib.Path("runs")

    @property
    def name(self) -> str:
        """Name of the study, and of the directory of its runs."""
        return f"{self.arm.variant}-{self.space.name}-{self.sampler}-{self.seed}"

    @property
    def levels(self) -> dict[int, int]:
        """How many trials go to how many steps; the last are those of whole runs."""
        levels, trials = {}, self.num_trials
        for steps in (*self.rungs, self.preset.num_steps):
            levels[steps] = trials
            trials = max(1, round(trials / self.reduction_factor))
        return levels

    @property
    def cost(self) -> int:
        """Environment steps of all trials."""
        levels = zip(self.levels.items(), (0, *self.rungs), strict=True)
        return sum(trials * (steps - before) for (steps, trials), before in levels)

    def run(self, trial: optuna.trial.FrozenTrial, num_steps: int | None = None) -> Run:
        """Returns the run of a trial, a whole one or of so many steps."""
        preset, arm = self.preset, self.arm
        bindings = (
            f"{self.space.bindings[name]} = {rounded(value)!r}"
            for name, value in trial.params.items()
        )
        return Run(
            agent=arm.agent,
            env=self.env,
            seed=self.seed + trial.number,
            preset=dataclasses.replace(preset, num_steps=num_steps or preset.num_steps),
            variant=self.name,
            gin_bindings=(*preset.gin_bindings, *arm.gin_bindings, *bindings),
            root=self.root,
            # What is not searched has the value that it had before any search.
            untuned=bool(tuned_digest(arm.agent, self.env)),
        )


def read_space(agent: str, name: str = "table1", env: str = "") -> Space:
    """Reads what an agent is searched over.

    Args:
        agent: Name of an agent, or of one of `ARMS`.
        name: Name of a file in gin/search/, without its `.gin`.
        env: The task. Its best known values, or those of the nearest task, are among
            the first trials.

    Raises:
        InputError: If there is no such file, it has nothing for the agent, or a range
            or point makes no sense.
    """
    spaces = {path.stem: path for path in sorted(SPACES.glob("*.gin"))}
    values = bound_values(spaces[name]) if name in spaces else {}
    bindings = values.get("search.bindings", {})
    for flag, value, known in (("space", name, spaces), ("agent", agent, bindings)):
        if value not in known:
            raise InputError(
                f"--{flag} {value!r} is not among what gin/search/ has for the search: "
                f"choose one of {', '.join(known)}."
            )
    known = values.get("search.best_known", {})
    known = known.get(env) or known.get(gin_directory.NEAREST.get(env), {})
    points = *values.get("search.first", {}).get(agent, ()), *known.get(agent, ())
    try:
        distributions = {}
        for key in bindings[agent]:
            low, high, sampling = values["search.ranges"][key]
            distributions[key] = optuna.distributions.FloatDistribution(
                low, high, log={"log": True, "uniform": False}[sampling]
            )
        first = tuple(dict(zip(distributions, each, strict=True)) for each in points)
        for key, value in (item for point in first for item in point.items()):
            if not distributions[key].low <= value <= distributions[key].high:
                raise ValueError(f"{key} {value} is out of its range")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"gin/search/{name}.gin has no usable space for {agent!r} ({error}): each "
            'range is (lowest, highest, "log" or "uniform"), and each point given by '
            "hand has a value in each range."
        ) from None
    return Space(name, bindings[agent], distributions, first)


class TrialSampler(optuna.samplers.RandomSampler):
    """Random sampling from a stream for each trial's number and parameter's name.

    Trial k of two agents has the same learning rates and reward scale, and a study with
    more trials, or a space with more parameters, begins with the same values.
    """

    def __init__(self, seed: int):
        """Roots the draws in `seed`."""
        super().__init__()
        self._seed = seed

    def sample_independent(self, study, trial, param_name, param_distribution) -> Any:
        """Draws a value as Optuna's sampler does, from its own stream."""
        key = (trial.number, zlib.crc32(param_name.encode()))
        stream = np.random.SeedSequence(self._seed, spawn_key=key)
        sampler = optuna.samplers.RandomSampler(int(stream.generate_state(1)[0]))
        return sampler.sample_independent(study, trial, param_name, param_distribution)


class Study:
    """A study, replayed from its seed and its runs.

    Attributes:
        search: What it searches.
        trials: The trials so far, by number. Each has its values (`params`), its
            evaluations (`intermediate_values`), its objective at each level that it has
            reached (`user_attrs["objective_at_<steps>"]`) and its state: `RUNNING`,
            `PRUNED` at a rung, `COMPLETE`, or `FAIL` with `user_attrs["reason"]`.
        asked: Optuna's study of the first level, from which TPE learns.
    """

    def __init__(self, search: Search):
        """Begins the replay."""
        self.search = search
        self.trials: list[optuna.trial.FrozenTrial] = []
        sampler = TrialSampler(search.seed)
        # Trials that do not depend on results.
        self._startup = search.num_trials
        if search.sampler == "tpe":
            self._startup = len(search.space.first) or 10
            sampler = optuna.samplers.TPESampler(
                seed=search.seed, n_startup_trials=self._startup
            )
        self.asked = optuna.create_study(sampler=sampler, direction="maximize")
        for point in search.space.first:
            self.asked.enqueue_trial(point)

    def conduct(self, train: Callable[[Sequence[Run]], Sequence[Outcome]]) -> None:
        """Brings the study to its end, level by level.

        Args:
            train: Trains runs as far as each says, and says how they ended.

        Raises:
            StudyError: If a run refuses its input or is not brought to its end, if all
                runs of a level fail, or if earlier runs have other values.
            metrics.DamagedRunError: If a run's metrics cannot be read.
        """
        (steps, num_trials), *later = self.search.levels.items()
        while (done := len(self.trials)) < num_trials:
            batch = _TPE_BATCH if done else self._startup
            for _ in range(min(batch, num_trials - done)):
                self.asked.ask(self.search.space.distributions)
            group = self.asked.trials[done:]
            self.trials += group
            self._advance(group, steps, train)
            for trial in group:
                failed = trial.state is State.FAIL
                value = None if failed else objective(trial, steps)
                self.asked.tell(trial.number, value, trial.state if failed else None)
        ranked = self._rank(steps)
        for steps, kept in later:
            for trial in ranked[kept:]:
                trial.state = State.PRUNED
            self._advance(ranked[:kept], steps, train)
            ranked = self._rank(steps)
        for trial in ranked:
            trial.state, trial.value = State.COMPLETE, objective(trial, steps)
        self._save()

    def best(self) -> optuna.trial.FrozenTrial | None:
        """Returns the best of the trials that came to the end, if any has."""
        complete = [each for each in self.trials if each.state is State.COMPLETE]
        return max(complete, key=lambda each: (each.value, -each.number), default=None)

    def copy(self, path: pathlib.Path | None = None) -> optuna.Study:
        """Returns the trials as a study of Optuna's, in memory or in a new journal."""
        study = optuna.create_study(
            storage=_storage(path) if path else None,
            study_name=self.search.name,
            direction="maximize",
        )
        for trial in self.trials:
            if trial.state.is_finished():
                trial.datetime_complete = trial.datetime_start
            study.add_trial(trial)
        return study

    def _advance(self, trials, steps, train):
        """Trains trials to a level, and notes how far they have come."""
        self._save()
        refused = None
        runs = [self.search.run(trial, steps) for trial in trials]
        for trial, outcome in zip(trials, train(runs), strict=True):
            if outcome.status is Status.DONE:
                # As in figures at the end of a run.
                last = 10 if steps == self.search.preset.num_steps else RUNG_EVALUATIONS
                returns = evaluations(outcome.run, steps)
                trial.intermediate_values |= returns.to_dict()
                mean = float(metrics.last_evaluations(returns, last).mean())
                trial.user_attrs[f"objective_at_{steps}"] = mean
            elif outcome.status is Status.FAILED and not outcome.refused:
                trial.state = State.FAIL
                trial.user_attrs["reason"] = outcome.reason
            else:
                # It says nothing about the trial's values.
                refused = refused or f"Trial {trial.number}: {outcome.reason}."
        if refused:
            raise StudyError(refused)

    def _rank(self, steps):
        """Returns the trials that have reached a level, the best first."""
        reached = [each for each in self.trials if objective(each, steps) is not None]
        if not reached:
            reasons = {each.user_attrs.get("reason", "pruned") for each in self.trials}
            raise StudyError(
                f"No trial of {self.search.name} on {self.search.env} has come to "
                f"{steps:,} steps: {'; '.join(sorted(reasons))}."
            )
        return sorted(reached, key=lambda each: (-objective(each, steps), each.number))

    def _save(self):
        """Replaces the journal, once it is certain to be of the same study."""
        path = self.search.run(self.trials[0]).directory.parent / "study.journal"
        for trial, earlier in zip(self.trials, _read(path), strict=False):
            for name, value in earlier.params.items():
                if rounded(value) != rounded(trial.params.get(name, math.nan)):
                    raise StudyError(
                        f"Trial {trial.number} in {path.parent} has {name} "
                        f"{value:.4g}, which this command does not give: take another "
                        "--seed, or move that directory away."
                    )
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".study-") as folder:
            self.copy(pathlib.Path(folder) / path.name)
            os.replace(pathlib.Path(folder) / path.name, path)


def _storage(path):
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    return optuna.storages.JournalStorage(backend)


def _read(path):
    """Returns the trials that a journal holds."""
    try:
        if not path.exists():
            return []
        return optuna.load_study(study_name=None, storage=_storage(path)).trials
    except (ValueError, KeyError, OSError) as error:
        raise StudyError(
            f"{path} cannot be read ({type(error).__name__}): move it away; the same "
            "command writes it again from the runs beside it."
        ) from error


def evaluations(run: Run, steps: int) -> pd.Series:
    """Reads the returns of a run's mean action, without noise, by environment step.

    Raises:
        metrics.DamagedRunError: If the file is damaged, or holds none up to `steps`.
    """
    path = run.directory / "metrics.csv"
    returns = metrics.read_metrics(path).set_index("step")["evaluation_return_mean"]
    returns = returns.loc[:steps]
    if returns.empty:
        raise metrics.DamagedRunError(
            f"{path} is damaged: its run is done, but it holds no evaluation."
        )
    return returns


def objective(trial: optuna.trial.FrozenTrial, steps: int) -> float | None:
    """Returns the mean of a trial's last evaluations at a level that it has reached."""
    return trial.user_attrs.get(f"objective_at_{steps}")


def rounded(value: float) -> float:
    """Rounds to what is bound: the same digits in runs, tables and gin files."""
    return float(f"{value:.4g}")
