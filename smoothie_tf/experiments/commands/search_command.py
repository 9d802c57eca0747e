"""The command `table1`: searches hyperparameters."""

import contextlib
import pathlib
import shlex
import sys
from collections.abc import Sequence

from smoothie_tf import command_line, rounding
from smoothie_tf.experiments.figures.grids import Arm
from smoothie_tf.runs import launch, prefix, progress, ray_launch
from smoothie_tf.runs.run import read_preset
from smoothie_tf.runs.tasks import check_envs
from smoothie_tf.runs.workers import LocalWorkers, Workers
from smoothie_tf.training import files, gin_directory
from smoothie_tf.training.gin_text import bound_values
from smoothie_tf.validation import InputError

# Figures use seeds below this. Searches must not use them, so that hyperparameters are
# not chosen on the seeds that figures report.
_FIRST_SEED = 100
# Defaults as in the paper; a preset may override them by bindings `search.…`.
_DEFAULTS = {"num_trials": 100, "rungs": (), "reduction_factor": 3}


@command_line.reporting
def search_command(argv: Sequence[str] | None = None) -> int:
    """Searches hyperparameters for an agent on a task, and writes the results."""
    parser = command_line.Parser(
        description="Searches hyperparameters on a task over Table 1's ranges. The "
        "same command resumes a stopped study; in another terminal, or on a machine "
        "that shares the runs, it works on the same study in parallel.",
        epilog="By default, results go to results/table1-<preset>, and the best values "
        "to gin/tuned, from which figures 3 and 4 read them; values of another search "
        "there are kept. For quick, or with --gin_bindings, both go to --runs_dir.",
    )
    add, path = parser.add_argument, pathlib.Path
    add("--agent", required=True, help="smoothie, ddpg, or smoothie-no-kl (λ = 0)")
    add("--env", required=True, help="Gymnasium id, such as Hopper-v5")
    add("--preset", default="short", help="quick, short or paper; default short")
    add("--space", default="table1", help="file in gin/search/; default table1")
    add("--sampler", default="random", choices=("random", "tpe"), help="default random")
    add("--num_trials", action=command_line.AtLeast, help="default from the preset")
    rungs = "steps at which trials are compared; default from the preset"
    factor = "a rung keeps one in this many trials; default from the preset"
    bindings = "gin binding for all trials; may be given several times"
    add("--rungs", type=int, nargs="*", help=rungs)
    add("--reduction_factor", action=command_line.AtLeast, least=2, help=factor)
    add(
        "--seed",
        action=command_line.AtLeast,
        least=_FIRST_SEED,
        reason="figures use less",
        default=1000,
        help="seed of the study; default 1000",
    )
    add("--out_dir", type=path, help="directory of tables and pictures")
    add("--tuned_dir", type=path, help="directory of the best values")
    add("--plot_only", action="store_true", help="write existing results; do not train")
    add("--gin_bindings", action="append", default=[], help=bindings)
    ray_launch.add_flags(parser)
    flags = parser.parse_args(argv)
    plan = _plan(flags)
    if flags.plot_only:
        return _search(flags, plan, LocalWorkers())
    with ray_launch.connect(flags.launcher, flags.ray_address) as workers:
        return _search(flags, plan, workers)


def _search(flags, plan, workers: Workers) -> int:
    """Runs the study, or only writes its results; returns the exit status."""
    # These imports take seconds, and `--help` does not need them.
    from smoothie_tf.experiments.search import search, search_results

    name = f"{plan.arm.variant} on {plan.env}"
    results = pathlib.Path("results") if plan.preset.is_result else flags.runs_dir
    out_dir = flags.out_dir or results / f"table1-{plan.preset.label}"
    tuned_dir = gin_directory.TUNED if plan.preset.is_result else out_dir / "tuned"
    tuned_dir = command_line.shortest(flags.tuned_dir or tuned_dir)
    task = gin_directory.file_name(plan.env)
    home, command = out_dir / f"{task}_{plan.name}", _typed(flags)
    if other := search_results.difference(plan, home):
        raise InputError(
            f"{home}.json has the results of a search with {other}: choose another"
            " --out_dir or --seed."
        )

    def train(runs):
        if flags.plot_only:
            return [launch.Outcome(run, prefix.status(run)) for run in runs]
        search_results.write(study, home, command)
        needed = progress.overview(runs, flags.num_workers or workers.count())
        print(f"Trials to {runs[0].num_steps:,} steps: {needed}.", flush=True)
        return launch.launch(
            runs,
            flags.num_workers,
            title=f"search, {name}",
            workers=workers,
        )

    print(f"Search, {name}, {plan.preset.name}: {search_results.describe(plan)}")
    study = search.Study(plan)
    try:
        # A study that is not complete can be drawn.
        ignored = (search.StudyError,) if flags.plot_only else ()
        with contextlib.suppress(*ignored):
            study.conduct(train)
        text = search_results.write(study, home, command)
    except KeyboardInterrupt:
        print(f"Stopped; the same command resumes {study.journal}.", file=sys.stderr)
        return command_line.INTERRUPTED
    trial = study.best
    if trial is None or trial.value is None:
        print(f"No trial is complete yet; all trials are in {home}.csv.")
        return command_line.DONE
    tuned = gin_directory.tuned_path(plan.arm.variant, plan.env, tuned_dir)
    kept = tuned.is_file() and not _is_of(command, tuned.read_text(encoding="utf-8"))
    if not kept:
        tuned.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(tuned.parent) as folder:
            search_results.write_gin(folder / tuned.name, text)
    (value,) = rounding.beside(trial.value, least=1)
    best = f"trial {trial.number} with {value}"
    where = f"{home}.gin" if kept else tuned
    failed = search_results.number_failed(study)
    if failed:
        print(
            f"{failed} of {plan.num_trials} trials failed; the same command tries them"
            " again.",
            file=sys.stderr,
        )
    print(f"Best of {plan.num_trials}: {best}. Its values are in {where}, ", end="")
    print(f"all trials in {home}.{{csv,png,json}}", flush=True)
    if kept:
        how = f"cp {shlex.quote(f'{home}.gin')} {shlex.quote(str(tuned))}"
        print(f"{tuned} keeps the values of another search; {how} replaces them.")
    return command_line.FAILED if failed else command_line.DONE


def _is_of(command, text):
    """Says whether a file of tuned values is of the search that a command describes."""
    lines = (line.partition("# Command: ")[2] for line in text.splitlines())
    # A search may be called as a script or by `smoothie`.
    return any(
        line.partition(" --")[2] == command.partition(" --")[2] for line in lines
    )


def _plan(flags):
    """Returns the search that flags describe."""
    from smoothie_tf.experiments.search import search

    ray_launch.check_flags(flags)
    preset = read_preset(flags.preset, flags.gin_bindings)
    values = bound_values(gin_directory.PRESETS / f"{preset.name}.gin")
    for key, default in _DEFAULTS.items():
        if getattr(flags, key) is None:
            setattr(flags, key, values.get(f"search.{key}", default))
    steps = [0, *flags.rungs, preset.num_steps]
    if steps != sorted(set(steps)):
        raise InputError(
            f"--rungs must be increasing from 0 to {steps[-1]:,}, but is"
            f" {list(flags.rungs)}."
        )
    check_envs([flags.env], "--env")
    given = ("env", "num_trials", "reduction_factor", "sampler", "seed")
    return search.Search(
        search.ARMS.get(flags.agent, Arm(flags.agent, flags.agent, flags.agent)),
        preset=preset,
        rungs=tuple(flags.rungs),
        root=flags.runs_dir,
        **{key: getattr(flags, key) for key in given},
        **search.read_space(flags.agent, flags.space, flags.env),
    )


def _typed(flags) -> str:
    """Returns the command, without flags that do not affect the values found."""
    words = command_line.called_as("table1")
    for flag in ("agent", "env", "preset", "space", "sampler", *_DEFAULTS, "seed"):
        value = getattr(flags, flag)
        words += [f"--{flag}", *map(str, value if flag == "rungs" else [value])]
    words += [f"--gin_bindings={each}" for each in flags.gin_bindings]
    return shlex.join(words)
