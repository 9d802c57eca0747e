"""The command behind `reproduce/figure3.py` and `reproduce/figure4.py`."""

import json
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Sequence

from smoothie_tf import command_line
from smoothie_tf.command_line import Parser
from smoothie_tf.experiments.figures.grids import Figure, grid
from smoothie_tf.runs import launch, prefix, ray_launch
from smoothie_tf.runs.run import Run, lengths, read_preset
from smoothie_tf.runs.status import Status
from smoothie_tf.runs.tasks import check_envs
from smoothie_tf.training import gin_directory
from smoothie_tf.validation import InputError

# More than a figure's pictures and tables take.
_ROOM_BYTES = 10 * 2**20


def figure_command(
    figure: Figure,
    argv: Sequence[str] | None = None,
    *,
    ablation: Figure | None = None,
    baseline: str | None = None,
    train_command: Callable[[Run], list[str]] = launch.train_command,
    finish: Callable[[Sequence[Run], pathlib.Path], None] | None = None,
) -> int:
    """Trains the missing runs of a figure, and draws it.

    Args:
        figure: The figure.
        argv: Flags; `None` for those of the process.
        ablation: The figure of the flag `--ablation`; `None` for no such flag.
        baseline: Variant that a table compares all others with; `None` for no table.
        train_command: Makes the command of a run.
        finish: Called with the runs and the figure's directory after drawing.

    Returns:
        Exit status: 0 done, 1 a run failed or is damaged (the other runs are drawn if
        possible), 2 bad input, 130 interrupted.
    """
    flags = _parser(figure, ablation).parse_args(argv)
    if ablation is not None and flags.ablation:
        figure, baseline = ablation, None
    try:
        runs, out_dir = _plan(figure, flags)
    except InputError as error:
        print(error, file=sys.stderr)
        return command_line.BAD_INPUT
    preset = runs[0].preset
    failures = []
    if not flags.plot_only:
        try:
            with ray_launch.connect(flags.launcher, flags.ray_address) as workers:
                num_workers = flags.num_workers or workers.count()
                print(
                    f"{figure.title}, preset {preset.name}, "
                    f"{lengths(runs)} steps a run: "
                    f"{launch.overview(runs, num_workers)}.",
                    *_borrowed(runs),
                    sep="\n",
                    flush=True,
                )
                outcomes = launch.launch(
                    runs,
                    flags.num_workers,
                    title=figure.title.lower(),
                    command=train_command,
                    workers=workers,
                )
        except InputError as error:
            print(error, file=sys.stderr)
            return command_line.BAD_INPUT
        except KeyboardInterrupt:
            return _stopped(runs)
        failures = [each for each in outcomes if each.status is not Status.DONE]
    # Tables and pictures take a second or two to import; flags are checked at once.

    from smoothie_tf.experiments.evidence import metrics

    try:
        drawn = _draw(figure, runs, out_dir, baseline)
        if drawn and finish is not None:
            finish(runs, out_dir)
    except metrics.DamagedRunError as error:
        print(error, file=sys.stderr)
        return command_line.FAILED
    except KeyboardInterrupt:
        return _stopped(runs)
    for reason in dict.fromkeys(each.reason for each in failures):
        named = ", ".join(str(each.run) for each in failures if each.reason == reason)
        print(f"Not done: {named}: {reason}.", file=sys.stderr)
    if not drawn:
        print(
            f"Nothing to draw: no run under {_home(runs)} has been evaluated yet.",
            file=sys.stderr,
        )
        return command_line.FAILED
    name = figure.name
    print(
        f"{figure.title} is in {out_dir / name}.png (σ in {name}_stddev.png), "
        f"the numbers behind it in {out_dir / name}_{{runs,curves,final}}.csv",
        flush=True,
    )
    return command_line.FAILED if failures else command_line.DONE


def _parser(figure: Figure, ablation: Figure | None = None) -> Parser:
    """Makes the parser of the flags."""
    parser = Parser(
        description=f"{figure.title}: {figure.subject}. Trains the runs that "
        "are missing, resumes those that were stopped, and draws.",
    )
    if ablation is not None:
        parser.add_argument(
            "--ablation",
            action="store_true",
            help=f"instead: {ablation.subject}, on {' and '.join(ablation.envs)}",
        )
    parser.add_argument(
        "--preset",
        default="quick",
        help="quick (minutes), short (300k steps), paper (1M steps) or svg; lengths "
        "of a figure's panels are upper limits, and svg uses them exactly; default "
        "quick",
    )
    parser.add_argument(
        "--envs",
        nargs="+",
        metavar="ENV",
        help=f"Gymnasium ids; default {' '.join(figure.envs)}",
    )
    parser.add_argument(
        "--seeds",
        nargs="+",
        metavar="SEED",
        help="how many seeds (3), or which (0,2,5); default from the preset",
    )
    parser.add_argument(
        "--out_dir",
        type=pathlib.Path,
        help=f"where pictures and CSV files go; default results/{figure.name}-<preset>,"
        f" for quick or with --gin_bindings <runs_dir>/{figure.name}-<preset>",
    )
    ray_launch.add_flags(parser)
    parser.add_argument(
        "--values",
        default="paper",
        choices=gin_directory.VALUES,
        help="hyperparameters. paper (default): those of each agent's paper, or of "
        "searches; recommended: one setting for any task, for agents that have one "
        f"({', '.join(gin_directory.recommended())}); such runs have separate "
        "directories",
    )
    if figure.tuned:
        parser.add_argument(
            "--untuned",
            action="store_true",
            help="do not use the hyperparameters that searches found (gin/tuned); such "
            "runs have separate directories",
        )
    else:
        parser.set_defaults(untuned=True)
    parser.add_argument(
        "--plot_only",
        action="store_true",
        help="draw the existing runs and train nothing",
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        metavar="BINDING",
        help="override anything in all runs, e.g. 'train.num_steps = 1000'; may be "
        "given several times; such runs have separate directories",
    )
    return parser


def _plan(figure: Figure, flags) -> tuple[tuple[Run, ...], pathlib.Path]:
    """Turns flags into runs and the directory of the figure."""
    if flags.num_workers is not None and flags.num_workers < 1:
        raise InputError(
            f"--num_workers {flags.num_workers} is too few: it has to be at least 1."
        )
    ray_launch.check(flags.launcher, flags.ray_address)
    # Two share even a single core without harm.
    most = max(2, os.cpu_count() or 1)
    if flags.num_workers is not None and flags.num_workers > most:
        raise InputError(
            f"--num_workers {flags.num_workers} is too many: a run fills a core, and"
            f" this machine takes {most}."
        )
    preset = read_preset(flags.preset, flags.gin_bindings)
    envs = split_items(flags.envs, "--envs")
    if envs is not None:
        check_envs(envs)
    seeds = _seeds(flags.seeds)
    runs = grid(
        figure,
        preset,
        envs=envs,
        seeds=seeds,
        root=flags.runs_dir,
        tuned=not flags.untuned,
        values=flags.values,
    )
    out_dir = flags.out_dir
    if out_dir is None:
        home = pathlib.Path("results") if preset.is_result else flags.runs_dir
        other = "-untuned" if figure.tuned and flags.untuned else ""
        if flags.values != "paper":
            other += f"-{flags.values}"
        out_dir = home / f"{figure.name}-{preset.label}{other}"
    _check_room("--out_dir", out_dir)
    if not flags.plot_only:
        _check_room("--runs_dir", flags.runs_dir)
    return runs, out_dir


def _check_room(flag: str, path: pathlib.Path) -> None:
    """Checks, before hours of training, that a directory can be made and filled."""
    try:
        path = path.absolute()
        there = next(each for each in (path, *path.parents) if each.exists())
        if not there.is_dir():
            raise InputError(f"{flag} {path}: {there} is a file.")
        if not os.access(there, os.W_OK | os.X_OK):
            raise InputError(f"{flag} {path} cannot be written: no permission.")
        free = shutil.disk_usage(there).free
    except OSError as error:
        raise InputError(f"{flag} {path} cannot be used: {error.strerror}.") from None
    if free < _ROOM_BYTES:
        raise InputError(
            f"{flag} {path} has room for {free / 2**20:.1f} MiB: it takes at least"
            f" {_ROOM_BYTES / 2**20:.0f} MiB."
        )


def _draw(
    figure: Figure,
    runs: Sequence[Run],
    out_dir: pathlib.Path,
    baseline: str | None = None,
) -> bool:
    """Writes tables and pictures; says whether there was anything to draw."""
    from smoothie_tf.experiments.drawing import curves
    from smoothie_tf.experiments.evidence import metrics

    frame = metrics.read_runs(runs)
    if frame.empty:
        return False
    out_dir.mkdir(parents=True, exist_ok=True)
    metrics.write_tables(frame, out_dir, figure.name)
    record = json.dumps(metrics.provenance(runs), indent=1, sort_keys=True)
    path = out_dir / f"{figure.name}_runs.json"
    path.write_text(record + "\n", encoding="utf-8")
    curves.draw_returns(frame, figure, runs, out_dir / f"{figure.name}.png")
    curves.draw_policy_stddev(
        frame, figure, runs, out_dir / f"{figure.name}_stddev.png"
    )
    if baseline is not None:
        comparison = metrics.compare(metrics.by_run(frame), baseline)
        path = out_dir / f"{figure.name}_comparison.csv"
        comparison.to_csv(path, index=False)
        if len(comparison):
            labels = {arm.variant: arm.label for arm in figure.arms}
            comparison["variant"] = comparison["variant"].replace(labels)
            shown = comparison.rename(columns={"variant": "arm"})
            print(shown.to_string(index=False, float_format="{:.0f}".format, na_rep=""))
    return True


def _borrowed(runs: Sequence[Run]) -> list[str]:
    """Says which tasks use hyperparameters that were searched on another task."""
    sources = {
        run.env: path.stem
        for run in runs
        if run.tuned and (path := gin_directory.find_tuned(run.agent, run.env))
    }
    named = [
        f"{env} has {source}'s"
        for env, source in sources.items()
        if source != gin_directory.file_name(env)
    ]
    return [f"Values where no search has been: {', '.join(named)}."] if named else []


def _stopped(runs: Sequence[Run]) -> int:
    """Says how to go on after an interruption."""
    done = sum(prefix.is_done(run) for run in runs)
    print(
        f"Stopped with {done} of {len(runs)} runs done; the same command goes on from "
        "the last checkpoints.",
        file=sys.stderr,
    )
    return command_line.INTERRUPTED


def _home(runs: Sequence[Run]) -> pathlib.Path:
    """Returns the directory that holds the runs of a preset."""
    return runs[0].root / runs[0].preset.label


def split_items(words: Sequence[str] | None, flag: str) -> list[str] | None:
    """Splits a list given with commas, spaces or both."""
    if words is None:
        return None
    items = [item for word in words for item in word.replace(",", " ").split()]
    if not items:
        raise InputError(f"{flag} is empty: it has to name at least one.")
    twice = [item for item in dict.fromkeys(items) if items.count(item) > 1]
    if twice:
        raise InputError(f"{flag} names {twice[0]} twice.")
    return items


def _seeds(words: Sequence[str] | None) -> list[int] | None:
    """Reads a number of seeds, or a list of them."""
    items = split_items(words, "--seeds")
    if items is None:
        return None
    for item in items:
        if not (item.isascii() and item.isdigit()):
            raise InputError(
                f"--seeds {item!r} is not a seed: give how many (3), or which (0,2,5), "
                "as integers of at least 0."
            )
    numbers = [int(item) for item in items]
    # "4," is the list of one seed; "4" is how many.
    if len(numbers) > 1 or "," in "".join(words):
        return numbers
    if numbers[0] < 1:
        raise InputError(
            "--seeds 0 asks for no seed: give how many (3), or '0,' for seed 0 alone."
        )
    return list(range(numbers[0]))
