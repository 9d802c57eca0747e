"""Table 1's search: trials of one study, each an ordinary run, halved on the way.

A trial is a point of the search space. Its run is trained by the same command as every
other, in a directory of its own, and Optuna's journal beside the directories keeps the
study. What a trial samples is a function of the study's seed and the trial's number
alone, and whether it goes on is decided when all trials of its bracket have come as
far: a study that is stopped, resumed or shared by several processes ends as it would
have in one go.
"""

import dataclasses
import fcntl
import math
import os
import pathlib
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna

from smoothie_tf.experiments.evidence import metrics as results
from smoothie_tf.runs import launch
from smoothie_tf.runs.run import Preset, Run, tuned_digest
from smoothie_tf.runs.status import Status
from smoothie_tf.training import gin_directory
from smoothie_tf.training.gin_text import bound_values
from smoothie_tf.validation import InputError

#: Where the search spaces are.
SPACES = gin_directory.ROOT / "search"
#: Below this, seeds are the figures' own: nothing may be chosen by them.
FIRST_SEED = 100
SAMPLERS = ("random", "tpe")

_DIGITS = 4
_RUNNING = optuna.trial.TrialState.RUNNING
_STATES = {
    _RUNNING: "running",
    optuna.trial.TrialState.COMPLETE: "complete",
    optuna.trial.TrialState.PRUNED: "stopped",
    optuna.trial.TrialState.FAIL: "failed",
}


class StudyError(Exception):
    """A study cannot be used or gone on with; the message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One dimension of a search space.

    Attributes:
        name: The paper's name for it.
        binding: What it binds in gin.
        low: Lowest value.
        high: Highest value.
        log: Whether its logarithm is uniform, and not the value itself.
    """

    name: str
    binding: str
    low: float
    high: float
    log: bool


@dataclasses.dataclass(frozen=True)
class Halving:
    """Successive halving, synchronous: a rung is decided when all have reached it.

    Attributes:
        rungs: Environment steps at which trials are compared, increasing, all below
            the steps of a whole run; empty for none.
        reduction_factor: After a rung, one in so many trials goes on.
    """

    rungs: tuple[int, ...] = ()
    reduction_factor: float = 3.0

    def kept(self, trials: int) -> int:
        """Returns how many of so many trials go on from a rung."""
        return max(1, round(trials / self.reduction_factor))

    def levels(self, trials: int, num_steps: int) -> list[tuple[int, int]]:
        """Returns steps and trials of each level; the last is that of whole runs."""
        levels = []
        for steps in (*self.rungs, num_steps):
            levels.append((steps, trials))
            trials = self.kept(trials)
        return levels

    def cost(self, trials: int, num_steps: int) -> int:
        """Returns the environment steps that so many trials take in all."""
        total, before = 0, 0
        for steps, count in self.levels(trials, num_steps):
            total += count * (steps - before)
            before = steps
        return total


@dataclasses.dataclass(frozen=True)
class Search:
    """Everything that a study's trials follow from.

    Attributes:
        agent: Name of the agent.
        env: Gymnasium id of the task.
        preset: Steps of a whole run, and bindings given by hand.
        space: Name of the search space.
        parameters: The search space.
        halving: When trials are compared.
        sampler: One of `SAMPLERS`.
        seed: Seed of the study, at least `FIRST_SEED`. Trial k's run has it plus k.
        root: Directory that holds all runs.
    """

    agent: str
    env: str
    preset: Preset
    space: str
    parameters: tuple[Parameter, ...]
    halving: Halving
    sampler: str
    seed: int
    root: pathlib.Path = pathlib.Path("runs")

    @property
    def name(self) -> str:
        """Name of the study, and of the directory of its runs."""
        return f"{self.agent}-{self.space}-{self.sampler}-{self.seed}"

    @property
    def directory(self) -> pathlib.Path:
        """Where the study's journal and the trials' runs are."""
        return self.run(0, {}, self.preset.num_steps).directory.parent

    def run(self, number: int, values: Mapping[str, float], num_steps: int) -> Run:
        """Returns the run of a trial.

        Args:
            number: The trial's number.
            values: Its values by the parameters' names.
            num_steps: How far the run is to go.
        """
        bindings = tuple(
            f"{each.binding} = {values[each.name]!r}"
            for each in self.parameters
            if each.name in values
        )
        return Run(
            agent=self.agent,
            env=self.env,
            seed=self.seed + number,
            preset=dataclasses.replace(self.preset, num_steps=num_steps),
            variant=self.name,
            gin_bindings=self.preset.gin_bindings + bindings,
            root=self.root,
            # Whatever is not searched is as it was before any search.
            untuned=bool(tuned_digest(self.agent, self.env)),
        )


@dataclasses.dataclass
class Trial:
    """What is known of a trial.

    Attributes:
        number: Its number in the study.
        values: Its values by the parameters' names.
        returns: Its objective at each level it has reached, by steps.
        state: `running`, `complete`, `stopped` (by halving) or `failed`.
        reason: Why it failed.
    """

    number: int
    values: dict[str, float]
    returns: dict[int, float] = dataclasses.field(default_factory=dict)
    state: str = "running"
    reason: str = ""

    @property
    def steps(self) -> int:
        """The last level it has reached; 0 before the first."""
        return max(self.returns, default=0)

    @property
    def objective(self) -> float:
        """Its objective there."""
        return self.returns.get(self.steps, math.nan)


def read_space(agent: str, name: str = "table1") -> tuple[Parameter, ...]:
    """Reads what an agent is searched over.

    Args:
        agent: Name of the agent.
        name: Name of a file in gin/search/, without its `.gin`.

    Raises:
        InputError: If there is no such file, it has nothing for the agent, or a
            range makes no sense.
    """
    path = SPACES / f"{name}.gin"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in SPACES.glob("*.gin")))
        raise InputError(
            f"--space {name!r} is not a search space: choose one of {known}."
        )
    values = bound_values(path)
    ranges = values.pop("search.ranges", {})
    agents = {key.removeprefix("search."): value for key, value in values.items()}
    if agent not in agents:
        raise InputError(
            f"--agent {agent!r} has no search space in gin/search/{name}.gin: choose "
            f"one of {', '.join(sorted(agents))}."
        )
    parameters = []
    for key, binding in agents[agent].items():
        try:
            low, high, sampling = ranges[key]
            sensible = low < high and (sampling != "log" or low > 0)
            sensible = sensible and sampling in ("log", "uniform")
        except (KeyError, TypeError, ValueError):
            sensible = False
        if not sensible:
            raise InputError(
                f"search.ranges of {key!r} is {ranges.get(key)!r} in {path}: it has to "
                'be (lowest, highest, "log" or "uniform"), above 0 for "log".'
            )
        parameters.append(Parameter(key, binding, low, high, sampling == "log"))
    return tuple(parameters)


def read_halving(preset: Preset, wanted: bool | None) -> Halving:
    """Reads when a preset compares trials.

    Args:
        preset: The preset; bindings given by hand win over its file's.
        wanted: Whether to halve; `None` for what the preset says.

    Raises:
        InputError: If rungs are wanted and there are none, or they make no sense.
    """
    values = bound_values(gin_directory.PRESETS / f"{preset.name}.gin")
    for binding in preset.gin_bindings:
        values.update(bound_values(binding))
    rungs = values.get("search.rungs", ())
    if wanted is False or (wanted is None and not rungs):
        return Halving()
    if not rungs:
        raise InputError(
            f"--halving needs rungs, and the preset {preset.name!r} has none: add "
            "--gin_bindings 'search.rungs = (…, …)', in environment steps."
        )
    sensible = isinstance(rungs, tuple | list) and all(
        isinstance(rung, int) and 0 < rung < preset.num_steps for rung in rungs
    )
    if not sensible or list(rungs) != sorted(set(rungs)):
        raise InputError(
            f"search.rungs is {rungs!r}: it has to be a list of increasing environment "
            f"steps above 0 and below the {preset.num_steps:,} of a whole run."
        )
    factor = values.get("search.reduction_factor", Halving.reduction_factor)
    if not isinstance(factor, int | float) or not factor > 1:
        raise InputError(
            f"search.reduction_factor is {factor!r}: it has to be a number above 1."
        )
    return Halving(tuple(rungs), float(factor))


class TrialSampler(optuna.samplers.BaseSampler):
    """Random sampling in which a trial's values depend on its number alone.

    Optuna's own sampler draws from one stream: which trial gets what then depends on
    who asked first, and a study that goes on draws its first values again. A value
    depends on the parameter's name as well, so that trial k of two agents has the same
    learning rates and reward scale.
    """

    def __init__(self, seed: int):
        """Roots the draws in `seed`."""
        self._seed = seed

    def infer_relative_search_space(self, study, trial) -> dict[str, Any]:  # noqa: D102
        return {}

    def sample_relative(self, study, trial, search_space) -> dict[str, Any]:  # noqa: D102
        return {}

    def sample_independent(  # noqa: D102
        self, study, trial, param_name, param_distribution
    ) -> Any:
        stream = np.random.SeedSequence(
            self._seed, spawn_key=(trial.number, zlib.crc32(param_name.encode()))
        )
        sampler = optuna.samplers.RandomSampler(int(stream.generate_state(1)[0]))
        return sampler.sample_independent(study, trial, param_name, param_distribution)


class Study:
    """A study on disk, which several processes may work on."""

    def __init__(self, search: Search):
        """Opens a study, or begins it.

        Raises:
            StudyError: If its journal cannot be read.
        """
        self.search = search
        search.directory.mkdir(parents=True, exist_ok=True)
        self._journal = search.directory / "study.journal"
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with self._locked(), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            try:
                self._mend()
                self._open()
            except (ValueError, KeyError, OSError) as error:
                raise StudyError(
                    f"{self._journal} cannot be read ({_first_line(error)}): move it "
                    "away, and the study begins again from the runs beside it."
                ) from error

    def trials(self) -> list[Trial]:
        """Returns all trials, by number."""
        with self._locked():
            return [self._trial(each) for each in self._optuna.trials]

    def brackets(self) -> Iterator[list[Trial]]:
        """Yields the trials of each bracket: those that are compared with each other.

        Trials that are asked for later make a bracket of their own, since what was
        decided in an earlier one stands.
        """
        trials, begin = self.trials(), 0
        for size in self._brackets():
            yield trials[begin : begin + size]
            begin += size

    def grow(self, num_trials: int, at_once: int | None = None) -> None:
        """Adds a bracket of trials where there are fewer than are wanted.

        Args:
            num_trials: How many trials are wanted in all.
            at_once: Most to add now; `None` for all of them.

        Raises:
            StudyError: If the study was begun with another space, length or rungs.
        """
        with self._locked():
            self._check_settings()
            brackets = self._brackets()
            missing = num_trials - sum(brackets)
            if missing > 0:
                brackets.append(min(missing, at_once or missing))
                self._optuna.set_user_attr("brackets", brackets)
            # Asked for only now: whoever is killed here leaves the number of trials
            # behind, and the next one fills it up.
            while len(self._optuna.trials) < sum(brackets):
                self._optuna.ask()
            for trial in self._optuna.trials:
                if trial.state is _RUNNING:
                    handle = self._handle(trial)
                    for each in self.search.parameters:
                        handle.suggest_float(
                            each.name, each.low, each.high, log=each.log
                        )

    def settle(self, trials: Sequence[Trial]) -> None:
        """Records what has become of trials: their returns and states."""
        with self._locked():
            stored = {each.number: each for each in self._optuna.trials}
            for trial in trials:
                known = stored[trial.number]
                # Another process of the study may have come here first, with the same.
                if known.state is not _RUNNING:
                    continue
                handle = self._handle(known)
                for steps, value in trial.returns.items():
                    if steps not in known.intermediate_values:
                        handle.report(value, steps)
                if trial.state == "complete":
                    self._optuna.tell(trial.number, trial.objective)
                elif trial.state == "stopped":
                    state = optuna.trial.TrialState.PRUNED
                    self._optuna.tell(trial.number, state=state)
                elif trial.state == "failed":
                    handle.set_user_attr("reason", trial.reason)
                    state = optuna.trial.TrialState.FAIL
                    self._optuna.tell(trial.number, state=state)

    def _open(self):
        backend = optuna.storages.journal.JournalFileBackend(str(self._journal))
        self._optuna = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name=self.search.name,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.NopPruner(),
        )
        if self.search.sampler == "random":
            self._optuna.sampler = TrialSampler(self.search.seed)
        else:
            # Its one stream begins again with each process.
            seed = self.search.seed + len(self._optuna.trials)
            self._optuna.sampler = optuna.samplers.TPESampler(seed=seed)

    def _check_settings(self):
        search = self.search
        settings = {
            "steps": search.preset.num_steps,
            "rungs": list(search.halving.rungs),
            "reduction factor": search.halving.reduction_factor,
            "ranges": [list(dataclasses.astuple(each)) for each in search.parameters],
        }
        earlier = self._optuna.user_attrs.get("settings")
        if earlier is None:
            self._optuna.set_user_attr("settings", settings)
        elif earlier != settings:
            differing = [key for key in settings if earlier.get(key) != settings[key]]
            raise StudyError(
                f"The study in {search.directory} was begun with "
                + ", ".join(f"{key} {earlier.get(key)}" for key in differing)
                + ": go on with the same, or give another --seed for another study."
            )

    def _brackets(self) -> list[int]:
        return list(self._optuna.user_attrs.get("brackets", []))

    def _handle(self, trial: optuna.trial.FrozenTrial) -> optuna.trial.Trial:
        return optuna.trial.Trial(self._optuna, trial._trial_id)

    def _trial(self, frozen: optuna.trial.FrozenTrial) -> Trial:
        return Trial(
            number=frozen.number,
            values={key: _rounded(value) for key, value in frozen.params.items()},
            returns=dict(frozen.intermediate_values),
            state=_STATES[frozen.state],
            reason=frozen.user_attrs.get("reason", ""),
        )

    @contextmanager
    def _locked(self):
        """Holds the study against other processes of ours."""
        with open(self.search.directory / "study.lock", "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _mend(self):
        """Undoes what a stop in the middle of a write has left behind.

        Whoever writes holds our lock: Optuna's own is a dead process's, and a last
        line without its end has been acted on by nobody.
        """
        self._journal.with_name(self._journal.name + ".lock").unlink(missing_ok=True)
        if self._journal.exists():
            content = self._journal.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(self._journal, whole)


def conduct(
    study: Study,
    num_trials: int,
    train: Callable[[Sequence[Run]], Sequence[launch.Outcome]],
    *,
    on_level: Callable[[int, Sequence[Trial]], None] = lambda *_: None,
    at_once: int | None = None,
) -> list[Trial]:
    """Brings a study to so many trials, level by level.

    Args:
        study: The study.
        num_trials: How many trials are wanted in all; what a study has above that is
            brought to its end as well.
        train: Trains runs as far as each says, and says how they ended.
        on_level: Called with the steps and trials of a level before it is trained.
        at_once: Most trials to ask for before earlier ones have ended; `None` for
            all of them.

    Returns:
        All trials of the study.

    Raises:
        StudyError: If a run refuses its input, is interrupted by somebody else, or
            all runs of a level fail.
        results.DamagedRunError: If a run's metrics cannot be read.
    """
    while True:
        study.grow(num_trials, at_once)
        for bracket in study.brackets():
            if any(trial.state == "running" for trial in bracket):
                _finish(study, bracket, train, on_level)
        trials = study.trials()
        if len(trials) >= num_trials:
            return trials


def objective(metrics: str | os.PathLike[str], steps: int) -> float:
    """Returns what a trial is judged by: its final return, had it ended at `steps`.

    That is the mean of `evaluation_return_mean` over the last ten evaluations up to
    `steps`, of the mean action and without noise; over the last half of them where
    there are fewer than twenty.

    Args:
        metrics: The `metrics.csv` of its run.
        steps: Environment steps.

    Raises:
        results.DamagedRunError: If the file is damaged, or holds no evaluation.
    """
    frame = results.read_metrics(metrics)
    returns = frame.loc[frame["step"] <= steps, "evaluation_return_mean"]
    if returns.empty:
        raise results.DamagedRunError(
            f"{metrics} is damaged: its run is done, but it holds no evaluation."
        )
    return float(results.last_evaluations(returns).mean())


def _finish(study, bracket, train, on_level):
    """Brings a bracket to its end, level by level, and records each."""
    search, num_steps = study.search, study.search.preset.num_steps
    entrants = list(bracket)
    for steps, _ in search.halving.levels(len(bracket), num_steps):
        missing = [
            trial
            for trial in entrants
            if steps not in trial.returns and trial.state != "failed"
        ]
        if missing:
            on_level(steps, entrants)
            runs = [search.run(each.number, each.values, steps) for each in missing]
            for trial, outcome in zip(missing, train(runs), strict=True):
                _take(trial, outcome, steps)
        ranked = sorted(
            (trial for trial in entrants if steps in trial.returns),
            key=lambda trial: (-trial.returns[steps], trial.number),
        )
        if not ranked:
            reasons = "; ".join(dict.fromkeys(each.reason for each in entrants))
            raise StudyError(
                f"No trial of {search.name} on {search.env} came to {steps:,} steps: "
                f"{reasons}."
            )
        kept = ranked[: search.halving.kept(len(entrants))]
        for trial in ranked:
            if steps == num_steps:
                trial.state = "complete"
            elif trial not in kept:
                trial.state = "stopped"
        study.settle(entrants)
        entrants = kept


def _take(trial, outcome, steps):
    """Notes how a trial's run has ended."""
    if outcome.status is Status.DONE:
        trial.returns[steps] = objective(outcome.run.directory / "metrics.csv", steps)
    elif outcome.refused or outcome.status is not Status.FAILED:
        # Neither says anything of the trial's values.
        raise StudyError(f"Trial {trial.number} cannot go on: {outcome.reason}.")
    else:
        trial.state, trial.reason = "failed", outcome.reason


def _rounded(value: float) -> float:
    """Rounds to what is bound: the same digits in runs, tables and gin files."""
    return float(f"{value:.{_DIGITS}g}")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [repr(error)])[0].rstrip(".")
