"""The command of all figures that are learning curves of a grid of runs."""

import json
import operator
import pathlib
import sys
from collections.abc import Callable, Sequence

from smoothie_tf import command_line, rounding
from smoothie_tf.command_line import Parser
from smoothie_tf.experiments.figures.grids import Figure, grid
from smoothie_tf.runs import launch, prefix, progress, ray_launch, recorded_values
from smoothie_tf.runs.run import Run, lengths, read_preset
from smoothie_tf.runs.status import Status
from smoothie_tf.runs.tasks import check_envs
from smoothie_tf.training import gin_directory
from smoothie_tf.validation import InputError

_MOST_SEEDS = 10_000


@command_line.reporting
def figure_command(
    figure: Figure,
    argv: Sequence[str] | None = None,
    *,
    ablation: Figure | None = None,
    baseline: str | None = None,
    finish: Callable[[Sequence[Run], pathlib.Path], None] | None = None,
) -> int:
    """Trains the missing runs of a figure, and draws it.

    Args:
        figure: The figure.
        argv: Flags; `None` for those of the process.
        ablation: The figure that `--ablation` selects; `None` for no such flag.
        baseline: Variant with which a table compares all others; `None` for no table.
        finish: Called with the runs and the figure's directory after drawing.

    Returns:
        Exit status: 0 done, 1 a run failed or is damaged (the other runs are drawn if
        possible), 2 bad input, 130 interrupted.
    """
    flags = _parser(figure, ablation).parse_args(argv)
    if ablation is not None and flags.ablation:
        figure, baseline = ablation, None
    runs, out_dir = _plan(figure, flags)
    preset = runs[0].preset
    failures = []
    if not flags.plot_only:
        try:
            with ray_launch.connect(flags.launcher, flags.ray_address) as workers:
                num_workers = flags.num_workers or workers.count()
                print(
                    f"{figure.title}, preset {preset.name}, "
                    f"{lengths(runs)} steps a run: "
                    f"{progress.overview(runs, num_workers)}.",
                    *_searched_values(runs),
                    sep="\n",
                    flush=True,
                )
                outcomes = launch.launch(
                    runs,
                    flags.num_workers,
                    title=figure.title.lower(),
                    workers=workers,
                )
        except KeyboardInterrupt:
            return _report_interruption(runs)
        failures = [each for each in outcomes if each.status is not Status.DONE]
    try:
        # Gin files may have been edited while the runs were trained.
        recorded_values.check(runs, drawn=True)
        drawn = _draw(figure, runs, out_dir, baseline)
        if drawn and finish is not None:
            finish(runs, out_dir)
    except KeyboardInterrupt:
        return _report_interruption(runs)
    for reason in dict.fromkeys(each.reason for each in failures):
        named = ", ".join(str(each.run) for each in failures if each.reason == reason)
        print(f"Not done: {named}: {reason}.", file=sys.stderr)
    if not drawn:
        print(
            "Nothing to draw: no run under "
            f"{runs[0].root / runs[0].preset.label} has been evaluated yet.",
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
    """Returns the parser of the flags."""
    parser = Parser(
        description=f"{figure.title}: {figure.subject}. Trains the runs that "
        "are missing, resumes those that were stopped, and draws.",
    )
    if ablation is not None:
        parser.add_argument(
            "--ablation",
            action="store_true",
            help=f"draw instead: {ablation.subject}, on {' and '.join(ablation.envs)}",
        )
    parser.add_argument(
        "--preset",
        default="quick",
        help="quick (minutes), short (300k steps), paper (1M steps), or svg (the steps "
        "that the figure sets for each panel, which are upper limits for the other "
        "presets); default quick",
    )
    parser.add_argument(
        "--envs",
        "--env",
        nargs="+",
        action="extend",
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
        help="directory of pictures and CSV files; default "
        f"results/{figure.name}-<preset>, but <runs_dir>/{figure.name}-<preset> for "
        "quick or with --gin_bindings",
    )
    ray_launch.add_flags(parser)
    parser.add_argument(
        "--values",
        default="paper",
        choices=gin_directory.VALUES,
        help="hyperparameters. paper (default): those of each agent's paper, or those "
        "that searches found; recommended: the same for every task, for agents that "
        f"have some ({', '.join(gin_directory.recommended())}); these runs have own "
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
        help="draw the existing runs without training",
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        metavar="BINDING",
        help="gin binding for all runs, such as 'train.num_steps = 1000'; overrides "
        "the gin files; may be given several times; such runs have separate "
        "directories",
    )
    return parser


def _plan(figure: Figure, flags) -> tuple[tuple[Run, ...], pathlib.Path]:
    """Returns the runs and the directory of the figure that flags describe."""
    ray_launch.check_flags(flags)
    preset = read_preset(flags.preset, flags.gin_bindings)
    envs = None
    if flags.envs is not None:
        envs = split_items(flags.envs, "--envs")
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
    recorded_values.check(runs)
    trained = {run.env for run in runs}
    missing = [env for env in envs or figure.envs if env not in trained]
    if missing:  # All arms have values that a search found for certain tasks.
        given = "--envs" if flags.values == "paper" else f"--values {flags.values}"
        given = "--untuned" if figure.tuned and flags.untuned else given
        raise InputError(
            f"{given} leaves {figure.title} without arms on {', '.join(missing)}: "
            "their values are those that a search found, for "
            f"{', '.join(figure.envs)}."
        )
    out_dir = flags.out_dir
    if out_dir is None:
        home = pathlib.Path("results") if preset.is_result else flags.runs_dir
        other = "-untuned" if figure.tuned and flags.untuned else ""
        if flags.values != "paper":
            other += f"-{flags.values}"
        out_dir = home / f"{figure.name}-{preset.label}{other}"
    command_line.check_room("--out_dir", out_dir)
    return runs, out_dir


def _draw(
    figure: Figure,
    runs: Sequence[Run],
    out_dir: pathlib.Path,
    baseline: str | None = None,
) -> bool:
    """Writes tables and pictures; returns whether any run had metrics to draw."""
    from smoothie_tf.experiments.drawing import curves
    from smoothie_tf.experiments.evidence import metrics

    frame = metrics.read_runs(runs)
    if frame.empty:
        return False
    out_dir.mkdir(parents=True, exist_ok=True)
    metrics.write_tables(frame, out_dir, figure.name)
    record = metrics.provenance(runs)
    path = out_dir / f"{figure.name}_runs.json"
    _tell_what_is_replaced(path, record)
    metrics.write_record(record, path, sort_keys=True)
    for quantity, suffix in ((curves.RETURN, ""), (curves.POLICY_STDDEV, "_stddev")):
        path = out_dir / f"{figure.name}{suffix}.png"
        curves.draw(quantity, frame, figure, runs, path)
    if baseline is not None:
        comparison = metrics.compare(metrics.by_run(frame), baseline)
        path = out_dir / f"{figure.name}_comparison.csv"
        metrics.write_table(comparison, path)
        if len(comparison):
            comparison["variant"] = comparison["variant"].replace(figure.labels)
            shown = comparison.rename(columns={"variant": "arm"})
            for columns in (["mean", "std"], ["difference", "low", "high"]):
                rows = [rounding.beside(*row) for row in shown[columns].to_numpy()]
                shown[columns] = [[each.replace("nan", "") for each in r] for r in rows]
            print(shown.to_string(index=False))
    return True


def _tell_what_is_replaced(path: pathlib.Path, records: list[dict]) -> None:
    """Prints how many runs of the figure that was here before are in it no more."""
    key = operator.itemgetter("variant", "env", "seed")
    try:
        before = set(map(key, json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, LookupError, TypeError):
        return
    if lost := before - set(map(key, records)):
        print(
            f"{path.parent} was of {len(before)} runs, of which {len(lost)} are not in"
            " this figure.",
            file=sys.stderr,
        )


def _searched_values(runs: Sequence[Run]) -> list[str]:
    """Returns lines on values searched on another task, and on those not used."""
    sources = {
        run.env: path.stem
        for run in runs
        if run.tuned and (path := gin_directory.find_tuned(run.agent, run.env))
    }
    named = [
        f"{env} uses those of {source}"
        for env, source in sources.items()
        if source != gin_directory.file_name(env)
    ]
    lines = []
    if named:
        lines += [f"Hyperparameters of tasks without a search: {', '.join(named)}."]
    # Arms with `tuned_as` bind searched values themselves.
    without = (run.env for run in runs if run.untuned and not run.tuned)
    if unused := dict.fromkeys(without):
        lines += [
            f"Not used on {', '.join(unused)}: what searches found there for some of"
            " the arms."
        ]
    return lines


def _report_interruption(runs: Sequence[Run]) -> int:
    """Prints how to resume after an interruption, and returns the exit status."""
    done = sum(prefix.is_done(run) for run in runs)
    print(
        f"Stopped with {done} of {len(runs)} runs done; the same command resumes the "
        "others from their last checkpoints.",
        file=sys.stderr,
    )
    return command_line.INTERRUPTED


def split_items(words: Sequence[str], flag: str) -> list[str]:
    """Splits a flag's list of items, separated by commas, spaces or both.

    Args:
        words: The values of the flag.
        flag: The flag, for error messages.

    Returns:
        The items.

    Raises:
        InputError: If there is no item, or one is given twice.
    """
    items = [item for word in words for item in word.replace(",", " ").split()]
    if not items:
        raise InputError(f"{flag} must have at least one item, but is empty.")
    twice = [item for item in dict.fromkeys(items) if items.count(item) > 1]
    if twice:
        raise InputError(f"{flag} names {twice[0]} twice.")
    return items


def _seeds(words: Sequence[str] | None) -> list[int] | None:
    """Reads a number of seeds, or a list of them."""
    if words is None:
        return None
    items = split_items(words, "--seeds")
    for item in items:
        if not (item.isascii() and item.isdigit()):
            raise InputError(
                f"--seeds {item!r} is not a seed: give how many (3), or which (0,2,5), "
                "as integers of at least 0."
            )
    numbers = [int(item) for item in items]
    # "4," is the single seed 4; "4" is the number of seeds.
    if len(numbers) > 1 or "," in "".join(words):
        return numbers
    if numbers[0] > _MOST_SEEDS:
        raise InputError(
            f"--seeds must be at most {_MOST_SEEDS:,}, but is {numbers[0]}."
        )
    if numbers[0] < 1:
        raise InputError(
            "--seeds 0 asks for no seed: give how many (3), or '0,' for seed 0 alone."
        )
    return list(range(numbers[0]))
