"""The command behind `reproduce/table1.py`."""

import argparse
import pathlib
import shlex
import sys
from collections.abc import Callable, Sequence

from smoothie_tf import command_line
from smoothie_tf.runs import launch, ray_launch
from smoothie_tf.runs.run import Run, read_preset
from smoothie_tf.runs.tasks import check_envs
from smoothie_tf.training import gin_directory
from smoothie_tf.validation import InputError

_INTERRUPTED = 130


def search_command(
    argv: Sequence[str] | None = None,
    *,
    train_command: Callable[[Run], list[str]] = launch.train_command,
) -> int:
    """Searches hyperparameters for an agent on a task, and writes what was found.

    Args:
        argv: Flags; `None` for those of the process.
        train_command: Makes the command of a run.

    Returns:
        Exit status: 0 done, 1 the study could not be finished, 2 bad input, 130
        interrupted.
    """
    flags = _parser().parse_args(argv)
    try:
        plan = _plan(flags)
        if flags.plot_only:
            return _search(flags, plan, launch.LocalWorkers(), train_command)
        with ray_launch.connect(flags.launcher, flags.ray_address) as workers:
            return _search(flags, plan, workers, train_command)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2


def _search(flags, plan, workers: launch.Workers, train_command) -> int:
    """Conducts the study, or draws it as it is; returns the exit status."""
    # Optuna, tables and pictures take seconds to import; `--help` needs none of them.
    from smoothie_tf.experiments.evidence import metrics as results
    from smoothie_tf.experiments.search import search, search_results

    name = f"{plan.agent} on {plan.env}"
    typed = _typed(flags)
    out_dir, tuned_dir = _homes(flags, plan)

    def train(runs):
        return launch.launch(
            runs,
            flags.num_workers,
            title=f"search, {name}",
            command=train_command,
            workers=workers,
        )

    def before_level(steps, trials):
        runs = [plan.run(trial.number, trial.values, steps) for trial in trials]
        num_workers = flags.num_workers or workers.count()
        print(
            f"{len(trials)} trial{'s' * (len(trials) > 1)} to {steps:,} steps: "
            f"{launch.overview(runs, num_workers)}; "
            f"{_progress(plan, study, num_workers)}.",
            flush=True,
        )
        # So that there is something to look at from the first level on.
        search_results.write(plan, study.trials(), out_dir, typed)

    try:
        study = search.Study(plan)
        if flags.plot_only:
            trials = study.trials()
            if not trials:
                print(f"Nothing to draw: {plan.directory} is empty.", file=sys.stderr)
                return 1
        else:
            print(
                f"Search for {name}, preset {plan.preset.name}: {flags.num_trials} "
                f"trials, {plan.sampler} sampling, study seed {plan.seed}; trial k's "
                f"run has seed {plan.seed} + k, the figures' have 0, 1, 2, …\n"
                f"{search_results.describe_halving(plan, flags.num_trials)}",
                flush=True,
            )
            at_once = None
            if plan.sampler != "random":
                at_once = flags.num_workers or workers.count()
            trials = search.conduct(
                study, flags.num_trials, train, on_level=before_level, at_once=at_once
            )
        path = search_results.write(plan, trials, out_dir, typed)
    except (search.StudyError, results.DamagedRunError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"Stopped; the same command goes on with the study in {plan.directory}.",
            file=sys.stderr,
        )
        return _INTERRUPTED
    stem = search_results.stem(plan)
    if path is None:
        print(f"No trial is complete yet; the others are in {out_dir / stem}.csv.")
        return 0
    found = search_results.best(trials)
    tuned = tuned_dir / plan.agent / f"{gin_directory.file_name(plan.env)}.gin"
    tuned.parent.mkdir(parents=True, exist_ok=True)
    tuned.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    for trial in trials:
        if trial.state == "failed":
            print(f"Trial {trial.number} failed: {trial.reason}.", file=sys.stderr)
    print(
        f"Best of {len(trials)}: trial {found.number} with {found.objective:.1f}. "
        f"Its values are in {tuned}, all trials in {out_dir / stem}.{{csv,png,json}}",
        flush=True,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    """Makes the parser of the flags."""
    parser = command_line.Parser(
        description="Searches an agent's hyperparameters on a task over Table 1's "
        "ranges. The same command again goes on where it stopped, and the same "
        "command in another terminal, or on another machine that shares the runs, "
        "helps with the same study.",
        allow_abbrev=False,
    )
    parser.add_argument("--agent", required=True, help="smoothie or ddpg")
    parser.add_argument("--env", required=True, help="Gymnasium id, such as Hopper-v5")
    parser.add_argument(
        "--num_trials", type=int, default=100, help="default 100, as in the paper"
    )
    parser.add_argument(
        "--preset",
        default="short",
        help="quick, short (300k steps, halving) or paper (1M steps); default short",
    )
    parser.add_argument(
        "--halving",
        action=argparse.BooleanOptionalAction,
        help="compare trials at the preset's search.rungs and go on with the best; "
        "default where the preset has rungs",
    )
    parser.add_argument(
        "--sampler",
        default="random",
        help="random (as in the paper) or tpe, which learns from earlier trials and "
        "does without halving; default random",
    )
    parser.add_argument(
        "--space", default="table1", help="file of gin/search/; default table1"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1000,
        help="of the study, at least 100: it must share none with the figures; "
        "default 1000",
    )
    ray_launch.add_flags(parser)
    parser.add_argument(
        "--out_dir",
        type=pathlib.Path,
        help="where table, picture and best values go; default results/table1-<preset>,"
        " for quick or with --gin_bindings <runs_dir>/table1-<preset>",
    )
    parser.add_argument(
        "--tuned_dir",
        type=pathlib.Path,
        help="where the best values go as <agent>/<env>.gin; default gin/tuned, which "
        "figures 3 and 4 read; for quick or with --gin_bindings <out_dir>/tuned",
    )
    parser.add_argument(
        "--plot_only",
        action="store_true",
        help="write table, picture and best values of what there is, and train nothing",
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        metavar="BINDING",
        help="override anything in all trials; may be given several times",
    )
    return parser


def _plan(flags):
    """Turns flags into a search."""
    from smoothie_tf.experiments.search import search

    for flag in ("num_workers", "num_trials"):
        value = getattr(flags, flag)
        if value is not None and value < 1:
            raise InputError(f"--{flag} {value} is too few: it has to be at least 1.")
    if flags.seed < search.FIRST_SEED:
        raise InputError(
            f"--seed {flags.seed} is among the figures' own seeds: a study's has to "
            f"be at least {search.FIRST_SEED}."
        )
    if flags.sampler not in search.SAMPLERS:
        raise InputError(
            f"--sampler {flags.sampler!r} is unknown: choose one of "
            f"{', '.join(search.SAMPLERS)}."
        )
    ray_launch.check(flags.launcher, flags.ray_address)
    preset = read_preset(flags.preset, flags.gin_bindings)
    check_envs([flags.env], "--env")
    parameters = search.read_space(flags.agent, flags.space)
    wanted = flags.halving
    if flags.sampler == "tpe":
        if wanted:
            raise InputError(
                "--halving compares trials that were asked for together, and --sampler "
                "tpe asks one after the other: leave out one of the two."
            )
        wanted = False
    return search.Search(
        agent=flags.agent,
        env=flags.env,
        preset=preset,
        space=flags.space,
        parameters=parameters,
        halving=search.read_halving(preset, wanted),
        sampler=flags.sampler,
        seed=flags.seed,
        root=flags.runs_dir,
    )


def _homes(flags, plan) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns where results go, and where the best values go."""
    is_result = plan.preset.is_result
    home = pathlib.Path("results") if is_result else flags.runs_dir
    out_dir = flags.out_dir or home / f"table1-{plan.preset.label}"
    tuned_dir = flags.tuned_dir
    if tuned_dir is None:
        tuned_dir = gin_directory.TUNED if is_result else out_dir / "tuned"
    return out_dir, command_line.shortest(tuned_dir)


def _typed(flags) -> str:
    """Returns the command, without what says only where and how fast."""
    words = [
        *command_line.called_as("table1"),
        "--agent",
        flags.agent,
        "--env",
        flags.env,
    ]
    words += ["--num_trials", str(flags.num_trials), "--preset", flags.preset]
    words += ["--sampler", flags.sampler, "--space", flags.space]
    words += ["--seed", str(flags.seed)]
    if flags.halving is not None:
        words.append("--halving" if flags.halving else "--no-halving")
    for binding in flags.gin_bindings:
        words += ["--gin_bindings", binding]
    return shlex.join(words)


def _progress(plan, study, num_workers: int | None) -> str:
    """Says how far the whole study is, and how long it may still take."""
    total = done = 0
    speeds = []
    for bracket in study.brackets():
        total += plan.halving.cost(len(bracket), plan.preset.num_steps)
        for trial in bracket:
            whole = plan.run(trial.number, trial.values, plan.preset.num_steps)
            done += launch.steps_done(whole)
            if speed := launch.steps_per_second(whole.directory):
                speeds.append(speed)
    text = f"the study has made {min(done, total):,} of {total:,} steps"
    if speeds and done < total:
        left = launch.time_left(total - done, speeds, num_workers)
        text += f", about {left} left"
    return text
