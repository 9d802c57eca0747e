"""The command behind `reproduce/table1.py`."""

import pathlib
import shlex
import sys
from collections.abc import Callable, Sequence

from smoothie_tf import command_line
from smoothie_tf.experiments.figures.grids import Arm
from smoothie_tf.runs import launch, ray_launch
from smoothie_tf.runs.run import Run, read_preset
from smoothie_tf.runs.status import recorded_status
from smoothie_tf.runs.tasks import check_envs
from smoothie_tf.training import gin_directory
from smoothie_tf.training.gin_text import bound_values
from smoothie_tf.validation import InputError

# Below this, seeds are the figures' own: nothing may be chosen by them.
_FIRST_SEED = 100
# What a preset may bind as `search.…`, and the paper's search.
_PAPER = {"num_trials": 100, "rungs": (), "reduction_factor": 3}
_PATH = {"type": pathlib.Path}
# Each flag's help, and what else argparse has to know.
_FLAGS = {
    "agent": ("smoothie, ddpg, or smoothie-no-kl: λ = 0", {"required": True}),
    "env": ("Gymnasium id, such as Hopper-v5", {"required": True}),
    "preset": (
        "quick, short (300k steps; 10 trials, halved) or paper (1M steps; 100 trials); "
        "default short",
        {"default": "short"},
    ),
    "space": (
        "file of gin/search/: table1, or first_block, which begins with trials given "
        "by hand; default table1",
        {"default": "table1"},
    ),
    "sampler": (
        "random (as in the paper), or tpe, which learns from the first rung's returns; "
        "default random",
        {"default": "random", "choices": ("random", "tpe")},
    ),
    "num_trials": ("default the preset's search.num_trials", {"type": int}),
    "rungs": (
        "steps at which trials are compared, none for whole runs; default the preset's "
        "search.rungs",
        {"type": int, "nargs": "*", "metavar": "STEPS"},
    ),
    "reduction_factor": (
        "one in so many goes on; default the preset's search.reduction_factor",
        {"type": float},
    ),
    "seed": ("of the study, no figure's; default 1000", {"type": int, "default": 1000}),
    "out_dir": (
        "where tables and pictures go; default results/table1-<preset>, for quick or "
        "with --gin_bindings <runs_dir>/table1-<preset>",
        _PATH,
    ),
    "tuned_dir": (
        "where the best values go; default gin/tuned, which figures 3 and 4 read; for "
        "quick or with --gin_bindings <out_dir>/tuned",
        _PATH,
    ),
    "plot_only": ("write what there is; train nothing", {"action": "store_true"}),
    "gin_bindings": (
        "override anything in all trials; may be given several times",
        {"action": "append", "default": [], "metavar": "BINDING"},
    ),
}


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
    parser = command_line.Parser(
        description="Searches an agent's hyperparameters on a task over Table 1's "
        "ranges. The same command again goes on where it stopped, and the same "
        "command in another terminal, or on another machine that shares the runs, "
        "helps with the same study.",
    )
    for flag, (text, options) in _FLAGS.items():
        parser.add_argument(f"--{flag}", help=text, **options)
    ray_launch.add_flags(parser)
    flags = parser.parse_args(argv)
    try:
        plan = _plan(flags)
        if flags.plot_only:
            return _search(flags, plan, launch.LocalWorkers(), train_command)
        with ray_launch.connect(flags.launcher, flags.ray_address) as workers:
            return _search(flags, plan, workers, train_command)
    except InputError as error:
        print(error, file=sys.stderr)
        return command_line.BAD_INPUT


def _search(flags, plan, workers: launch.Workers, train_command) -> int:
    """Conducts the study, or draws it as it is; returns the exit status."""
    # Optuna, tables and pictures take seconds to import; `--help` needs none of them.
    from smoothie_tf.experiments.evidence import metrics
    from smoothie_tf.experiments.search import search, search_results

    name = f"{plan.arm.variant} on {plan.env}"
    home = pathlib.Path("results") if plan.preset.is_result else flags.runs_dir
    out_dir = flags.out_dir or home / f"table1-{plan.preset.label}"
    tuned_dir = gin_directory.TUNED if plan.preset.is_result else out_dir / "tuned"
    tuned_dir = command_line.shortest(flags.tuned_dir or tuned_dir)
    table = out_dir / search_results.stem(plan)

    def train(runs):
        if flags.plot_only:
            return [
                launch.Outcome(run, recorded_status(run.directory, run.num_steps))
                for run in runs
            ]
        # So that there is something to look at from the first level on.
        search_results.write(study, out_dir, _typed(flags, plan))
        needed = launch.overview(runs, flags.num_workers or workers.count())
        print(f"Trials to {runs[0].num_steps:,} steps: {needed}.", flush=True)
        return launch.launch(
            runs,
            flags.num_workers,
            title=f"search, {name}",
            command=train_command,
            workers=workers,
        )

    if not flags.plot_only:
        print(
            f"Search for {name}, preset {plan.preset.name}, study seed {plan.seed}; "
            f"trial k's run has seed {plan.seed} + k, the figures' have 0, 1, 2, …\n"
            f"{search_results.describe(plan)}",
            flush=True,
        )
    try:
        study = search.Study(plan)
        try:
            study.conduct(train)
        except search.StudyError:
            if not flags.plot_only:
                raise
        text = search_results.write(study, out_dir, _typed(flags, plan))
    except (search.StudyError, metrics.DamagedRunError) as error:
        print(error, file=sys.stderr)
        return command_line.FAILED
    except KeyboardInterrupt:
        print(
            f"Stopped; the same command goes on with the study in {plan.directory}.",
            file=sys.stderr,
        )
        return command_line.INTERRUPTED
    for trial in study.trials:
        if "reason" in trial.user_attrs:
            reason = trial.user_attrs["reason"]
            print(f"Trial {trial.number} failed: {reason}.", file=sys.stderr)
    if text is None:
        print(f"No trial is complete yet; the others are in {table}.csv.")
        return command_line.DONE
    tuned = tuned_dir / plan.arm.variant / f"{gin_directory.file_name(plan.env)}.gin"
    tuned.parent.mkdir(parents=True, exist_ok=True)
    tuned.write_text(text, encoding="utf-8")
    found = study.best()
    print(
        f"Best of {plan.num_trials}: trial {found.number} with {found.value:.1f}. "
        f"Its values are in {tuned}, all trials in {table}.{{csv,png,json}}",
        flush=True,
    )
    return command_line.DONE


def _plan(flags):
    """Turns flags into a search."""
    from smoothie_tf.experiments.search import search

    ray_launch.check(flags.launcher, flags.ray_address)
    preset = read_preset(flags.preset, flags.gin_bindings)
    values = bound_values(gin_directory.PRESETS / f"{preset.name}.gin")
    for key, default in _PAPER.items():
        if getattr(flags, key) is None:
            setattr(flags, key, values.get(f"search.{key}", default))
    rungs = tuple(flags.rungs)
    increasing = list(rungs) == sorted(set(rungs))
    for flag, good, wanted in (
        ("num_trials", flags.num_trials > 0, "at least 1"),
        (
            "num_workers",
            flags.num_workers is None or flags.num_workers > 0,
            "at least 1",
        ),
        (
            "seed",
            flags.seed >= _FIRST_SEED,
            f"at least {_FIRST_SEED}: those below are the figures' own",
        ),
        ("reduction_factor", flags.reduction_factor > 1, "above 1"),
        (
            "rungs",
            increasing and all(0 < each < preset.num_steps for each in rungs),
            f"increasing steps between 0 and the {preset.num_steps:,} of a whole run",
        ),
    ):
        if not good:
            raise InputError(
                f"--{flag} is {getattr(flags, flag)}: it has to be {wanted}."
            )
    check_envs([flags.env], "--env")
    return search.Search(
        arm=search.ARMS.get(flags.agent, Arm(flags.agent, flags.agent, flags.agent)),
        env=flags.env,
        preset=preset,
        space=search.read_space(flags.agent, flags.space, flags.env),
        num_trials=flags.num_trials,
        rungs=rungs,
        reduction_factor=flags.reduction_factor,
        sampler=flags.sampler,
        seed=flags.seed,
        root=flags.runs_dir,
    )


def _typed(flags, plan) -> str:
    """Returns the command, without what says only where and how fast."""
    words = command_line.called_as("table1")
    for flag in ("agent", "env", "preset", "space", "sampler", "num_trials", "seed"):
        words += [f"--{flag}", str(getattr(flags, flag))]
    words += ["--rungs", *map(str, plan.rungs)]
    if plan.rungs:
        words += ["--reduction_factor", f"{flags.reduction_factor:g}"]
    for binding in flags.gin_bindings:
        words += ["--gin_bindings", binding]
    return shlex.join(words)
