"""Hyperparameter search: Optuna proposes trials, and each trial is an ordinary run.

The study is stored in its runs: every process replays the study from its seed, reads
the finished runs, and trains the others. A study that is resumed, or shared by several
processes, therefore has the same result as an uninterrupted one. A journal beside the
runs holds the state of the study for Optuna's tools, such as `optuna.load_study`.

Optuna's pruners compare a trial with those that reached the same step earlier, which is
not repeatable. Here a rung compares trials after all of its trials have reached it.
"""

import dataclasses
import pathlib
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna

from smoothie_tf import validation
from smoothie_tf.experiments.evidence import metrics
from smoothie_tf.experiments.figures.continuous_control import SMOOTHIE_WITHOUT_KL
from smoothie_tf.experiments.figures.grids import Arm
from smoothie_tf.runs import prefix, recorded_values
from smoothie_tf.runs.launch import Outcome
from smoothie_tf.runs.run import Preset, Run, is_length
from smoothie_tf.runs.status import Status
from smoothie_tf.training import files, gin_directory
from smoothie_tf.training.gin_text import bound_values
from smoothie_tf.validation import InputError, nearest

SPACES = gin_directory.ROOT / "search"
#: Names that `--agent` accepts besides agents: arms with bindings of their own.
ARMS = {SMOOTHIE_WITHOUT_KL.variant: SMOOTHIE_WITHOUT_KL}
# What a file in gin/search/ may bind, and how a range may be drawn from.
_KEYS = tuple(
    f"search.{key}" for key in ("bindings", "ranges", "first", "best_known", "bound")
)
_SCALES = "log", "uniform"
#: A rung compares means over this many last evaluations.
RUNG_EVALUATIONS = 5
# Number of trials that TPE proposes from the same results. It does not depend on the
# number of processes, so that a study is repeatable.
_TPE_BATCH = 2
State = optuna.trial.TrialState
optuna.logging.set_verbosity(optuna.logging.WARNING)


class StudyError(validation.FailedError):
    """A study cannot be used or continued; the message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Search:
    """The settings of a study, which determine its trials.

    Attributes:
        arm: The agent, and its bindings in all trials.
        env: Gymnasium id of the task.
        preset: Environment steps of a full run, and the user's bindings.
        space: Name of the search space.
        bindings: The gin parameter of each hyperparameter, by its name in the paper.
        ranges: The distribution of each hyperparameter.
        first: Values of the first trials, which the space sets.
        num_trials: Number of trials.
        bound: Bindings of the space in all trials.
        rungs: Environment steps at which trials are compared, increasing and below
            those of a full run.
        reduction_factor: A rung keeps one in this many trials.
        sampler: `random` or `tpe`.
        seed: Seed of the study. The run of trial k has this seed plus k.
        root: Directory of all runs.
    """

    arm: Arm
    env: str
    preset: Preset
    space: str
    bindings: dict[str, str]
    ranges: dict[str, optuna.distributions.BaseDistribution]
    first: tuple[dict[str, float], ...]
    num_trials: int
    bound: tuple[str, ...] = ()
    rungs: tuple[int, ...] = ()
    reduction_factor: float = 3
    sampler: str = "random"
    seed: int = 1000
    root: pathlib.Path = pathlib.Path("runs")

    @property
    def name(self) -> str:
        """Name of the study and of the directory of its runs."""
        return f"{self.arm.variant}-{self.space}-{self.sampler}-{self.seed}"

    @property
    def fixed(self) -> tuple[str, ...]:
        """Bindings in all trials: those of the user, of the arm and of the space."""
        return (*self.preset.gin_bindings, *self.arm.gin_bindings, *self.bound)

    @property
    def levels(self) -> dict[int, int]:
        """Number of trials by environment steps: at the rungs, then of full runs."""
        levels, trials = {}, self.num_trials
        for steps in (*self.rungs, self.preset.num_steps):
            levels[steps] = trials
            trials = max(1, round(trials / self.reduction_factor))
        return levels

    @property
    def cost(self) -> int:
        """Total number of environment steps of all trials."""
        levels = zip(self.levels.items(), (0, *self.rungs), strict=True)
        return sum(trials * (steps - before) for (steps, trials), before in levels)

    def run(self, number: int, values: dict[str, float], num_steps: int = 0) -> Run:
        """Returns the run of a trial, with `num_steps` steps, or 0 for a full run."""
        preset, arm = self.preset, self.arm
        bindings = (f"{self.bindings[key]} = {values[key]!r}" for key in values)
        fixed = (each for each in self.fixed if not is_length(each))
        run = Run(
            agent=arm.agent,
            env=self.env,
            seed=self.seed + number,
            preset=dataclasses.replace(preset, num_steps=num_steps or preset.num_steps),
            variant=self.name,
            gin_bindings=(*fixed, *bindings),
            root=self.root,
            # Hyperparameters outside the space keep their values before any search.
            untuned=True,
        )
        return prefix.locate(run)

    def draw(self, number: int) -> dict[str, float]:
        """Draws the values of a trial at random.

        Each trial and hyperparameter has its own random stream, so that trial k has the
        same learning rates and reward scale for every agent.
        """
        values = {}
        for name, distribution in self.ranges.items():
            key = (number, zlib.crc32(name.encode()))
            stream = np.random.SeedSequence(self.seed, spawn_key=key)
            # Any: it ignores the study and the trial, which its hints require.
            sampler: Any = optuna.samplers.RandomSampler(
                int(stream.generate_state(1)[0])
            )
            values[name] = sampler.sample_independent(None, None, name, distribution)
        return values


def read_space(agent: str, name: str = "table1", env: str = "") -> dict[str, Any]:
    """Reads the search space of an agent.

    Args:
        agent: Name of an agent, or of one of `ARMS`.
        name: Name of a file in gin/search/, without `.gin`.
        env: Gymnasium id of the task. The best known values of this task, or of the
            nearest one, are among the first trials.

    Returns:
        The arguments space, bindings, ranges, first and bound of `Search`.

    Raises:
        InputError: If there is no such file, if it binds what is no part of a search
            space, or if its entry for the agent is missing or not valid.
    """
    spaces = {path.stem: path for path in sorted(SPACES.glob("*.gin"))}
    if name not in spaces:
        raise InputError(
            f"--space {name!r} is not a search space{nearest(name, spaces)}: choose "
            f"one of {', '.join(spaces)}, the files in gin/search/."
        )
    values = bound_values(spaces[name])
    for key in values:
        if key not in _KEYS:
            raise InputError(
                f"gin/search/{name}.gin binds {key!r}, which is no part of a search "
                f"space{nearest(key, _KEYS)}: choose one of {', '.join(_KEYS)}."
            )
    agents = values.get("search.bindings", {})
    if agent not in agents:
        raise InputError(
            f"--agent {agent!r} has no ranges in gin/search/{name}.gin"
            f"{nearest(agent, agents)}: choose one of {', '.join(agents)}, or another "
            "--space."
        )
    best = values.get("search.best_known", {})
    best = best.get(env) or best.get(gin_directory.NEAREST.get(env), {})
    points = *values.get("search.first", {}).get(agent, ()), *best.get(agent, ())
    try:
        ranges: dict[str, optuna.distributions.BaseDistribution] = {}
        for key in agents[agent]:
            if key not in (known := values.get("search.ranges", {})):
                raise ValueError(
                    f"search.ranges has nothing for {key!r}{nearest(key, known)}."
                )
            low, high, scale = known[key]
            validation.check_choice("search.ranges", _SCALES, **{key: scale})
            log = scale == "log"
            ranges[key] = optuna.distributions.FloatDistribution(low, high, log=log)
        first = tuple(dict(zip(ranges, each, strict=True)) for each in points)
        for point in first:  # Optuna checks that each value is in its range.
            optuna.trial.create_trial(value=0, params=point, distributions=ranges)
    except (TypeError, ValueError) as error:
        raise InputError(f"gin/search/{name}.gin, {agent!r}: {error}") from None
    return {
        "space": name,
        "bindings": agents[agent],
        "ranges": ranges,
        "first": first,
        "bound": tuple(values.get("search.bound", {}).get(agent, ())),
    }


class Study:
    """A study, replayed from its seed and its runs.

    Attributes:
        trials: The trials so far, by number. `intermediate_values` are evaluations;
            `user_attrs` hold the objective at each level, or the reason of a failure.
        best: The best trial with a full run; `None` before the study is complete.
        asked: Optuna's study of the first level, from which TPE learns.
        journal: File that holds `trials` for Optuna's tools.
    """

    def __init__(self, search: Search):
        """Creates the study without trials; `conduct` replays and continues it."""
        self.search = search
        self.trials: list[optuna.trial.FrozenTrial] = []
        self.best: optuna.trial.FrozenTrial | None = None
        self.journal = search.run(0, {}).directory.parent / "study.journal"
        points = list(search.first)
        # Number of trials that do not depend on results.
        self._startup = len(points) or 10
        if search.sampler == "random":
            self._startup = search.num_trials
            points += map(search.draw, range(len(points), search.num_trials))
        sampler = optuna.samplers.TPESampler(
            seed=search.seed, n_startup_trials=self._startup
        )
        self.asked = optuna.create_study(sampler=sampler, direction="maximize")
        for point in points:
            self.asked.enqueue_trial(point)

    def conduct(self, train: Callable[[Sequence[Run]], Sequence[Outcome]]) -> None:
        """Runs the study to its end, level by level.

        Args:
            train: Trains each run to its number of steps, and returns the outcomes.

        Raises:
            StudyError: If a run refuses its input or is not finished, if all runs of a
                level fail, if TPE would learn from a failed trial, or if existing runs
                have other values.
            metrics.DamagedRunError: If a run's metrics cannot be read.
        """
        (steps, num_trials), *later = self.search.levels.items()
        while (done := len(self.trials)) < num_trials:
            self._check_that_none_failed()
            batch = _TPE_BATCH if done else self._startup
            for _ in range(min(batch, num_trials - done)):
                self.asked.ask(self.search.ranges)
            group = self.asked.trials[done:]
            for trial in group:
                for key, value in trial.params.items():
                    trial.params[key] = float(f"{value:.4g}")  # As in gin files.
            self.trials += group
            self._advance(group, steps, train)
            for trial in group:
                failed = trial.state if trial.state is State.FAIL else None
                self.asked.tell(trial.number, objective(trial, steps), failed)
        ranked = self._rank(steps)
        for steps, kept in later:
            for trial in ranked[kept:]:
                trial.state = State.PRUNED
            self._advance(ranked[:kept], steps, train)
            ranked = self._rank(steps)
        for trial in ranked:
            trial.state, trial.value = State.COMPLETE, objective(trial, steps)
        self.best = ranked[0]
        self._save()

    def _check_that_none_failed(self):
        """Raises if TPE would learn from a trial that failed.

        The next start of the study tries the trial again. If it then succeeds, TPE
        proposes other values than it would now, and the runs of the later trials, made
        with the values of now, could not be continued.
        """
        failed = [each for each in self.trials if each.state is State.FAIL]
        if failed and self.search.sampler == "tpe":
            self._save()
            raise StudyError(
                f"Trial {failed[0].number} failed: {failed[0].user_attrs['reason']}; "
                "TPE needs its result for the next trials. The same command tries it "
                "again; --sampler random needs no results."
            )

    def _advance(self, trials, steps, train):
        """Trains trials to a level, and records their results."""
        self._save()
        runs = [self.search.run(each.number, each.params, steps) for each in trials]
        _check_values(runs)
        unfinished = []
        for trial, outcome in zip(trials, train(runs), strict=True):
            directory = outcome.run.directory
            if outcome.status is Status.DONE:
                # Gin files may have been edited meanwhile.
                _check_values([outcome.run])
                frame = metrics.read_metrics(directory / "metrics.csv")
                returns = frame.set_index("step")["evaluation_return_mean"].loc[:steps]
                trial.intermediate_values |= returns.to_dict()
                # The objective of a full run is the final return that figures show.
                last = (RUNG_EVALUATIONS,) if steps in self.search.rungs else ()
                mean = float(metrics.last_evaluations(returns, *last).mean())
                trial.user_attrs[f"objective_at_{steps}"] = mean
            elif outcome.status is Status.FAILED and not outcome.refused:
                trial.state = State.FAIL
                trial.user_attrs["reason"] = outcome.reason
            else:
                unfinished.append(f"Trial {trial.number}: {outcome.reason}.")
        if unfinished:
            raise StudyError(unfinished[0])

    def _rank(self, steps):
        """Returns the trials that have reached a level, best first."""
        reached = [each for each in self.trials if objective(each, steps) is not None]
        if not reached:
            raise StudyError(
                f"No trial has reached {steps:,} steps: see their log.txt."
            )
        return sorted(reached, key=lambda each: (-objective(each, steps), each.number))

    def _save(self):
        """Writes the journal."""
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        for trial in self.trials:
            if trial.state.is_finished():
                trial.datetime_complete = trial.datetime_start
        with files.replacing(self.journal.parent) as folder:
            path = folder / self.journal.name
            backend = optuna.storages.journal.JournalFileBackend(str(path))
            optuna.create_study(
                storage=optuna.storages.JournalStorage(backend),
                study_name=self.search.name,
                direction="maximize",
            ).add_trials(self.trials)


def _check_values(runs):
    try:
        recorded_values.check(runs)
    except InputError as error:
        raise StudyError(f"{error} Or change --seed.") from None


def objective(trial: optuna.trial.FrozenTrial, steps: int) -> float | None:
    """Returns a trial's mean of last evaluations at a level; None if not reached."""
    return trial.user_attrs.get(f"objective_at_{steps}")
