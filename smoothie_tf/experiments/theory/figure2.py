"""Figure 2: Smoothie escapes the worse mode of a one-step task, DDPG does not.

Both agents learn in the package's own loop, many seeds a process: importing
TensorFlow takes as long as a run does.

Shapes: T records of a run.
"""

import concurrent.futures
import dataclasses
import itertools
import json
import multiprocessing
import pathlib
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import process
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tqdm

from smoothie_tf import command_line
from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.drawing import style
from smoothie_tf.experiments.theory import figure1
from smoothie_tf.runs import launch
from smoothie_tf.training import run_directory

if TYPE_CHECKING:
    import matplotlib.axes

ENVIRONMENT = "smoothie_tf/TwoGaussians-v0"
#: Agents in the order of tables and legends, by the names they have there.
ALL_AGENTS = {
    "smoothie": "Smoothie",
    "ddpg": "DDPG",
    "soft_ddpg": "Soft DDPG",
    "svg0": "SVG(0)",
}
#: Those of the paper's figure.
AGENTS = {agent: ALL_AGENTS[agent] for agent in ("smoothie", "ddpg")}
#: The run that is drawn; the others are counted.
DRAWN_SEED = 0
#: Environment steps from one record to the next.
RECORD_INTERVAL = 50
#: Smallest turn of σ that counts, relative to the extreme before it.
TURN = 0.01

_MIXTURE = two_gaussians.MIXTURE
_WORSE, _BETTER = np.argsort(_MIXTURE.heights)
COLOURS = {
    "smoothie": style.SMOOTHIE,
    "ddpg": style.DDPG,
    "soft_ddpg": style.SOFT_DDPG,
    "svg0": style.SVG0,
}
_FIXED_STDDEV = ("ddpg", "soft_ddpg")
_INTERRUPTED = 130
_POLL_SECONDS = 0.3


class RunFailedError(Exception):
    """A run could not be made; the message is one sentence."""


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """What a run hands back.

    Attributes:
        records: Columns environment, agent, seed, step, update, mean (μ), stddev
            (σ), value_at_worse and value_at_better (the critic's, at the two modes).
        replay_share_at_better: Share of the actions in replay that lie within one
            width of the better mode.
    """

    records: pd.DataFrame
    replay_share_at_better: float


def near(action: np.ndarray | float, mode: int) -> np.ndarray:
    """Returns whether actions lie within one width of a mode of the mixture."""
    return np.abs(action - _MIXTURE.centres[mode]) <= _MIXTURE.widths[mode]


def legs(stddev: np.ndarray, turn: float = TURN) -> list[str]:
    """Splits the way of a standard deviation at its turns.

    Args:
        stddev: σ over training, above 0, shape [T].
        turn: A leg begins once σ has gone this share the other way, relative to its
            extreme since the leg before.

    Returns:
        "fell" and "rose" by turns; empty if σ never went that far.
    """
    found: list[str] = []
    low = high = stddev[0]
    for value in stddev:
        low, high = min(low, value), max(high, value)
        if found[-1:] != ["fell"] and value <= high * (1 - turn):
            found.append("fell")
            low = high = value
        elif found[-1:] != ["rose"] and value >= low * (1 + turn):
            found.append("rose")
            low = high = value
    return found


def tabulate_runs(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Tabulates how each run ended, one row a run.

    Args:
        runs: The runs, in any order.

    Returns:
        Columns environment, agent, seed, final_mean, final_stddev, ends_on ("better",
        "worse" or "neither": within one width of that mode), stddev_legs (see
        `legs`), stddev_fell_rose_fell, replay_share_at_better, value_at_worse,
        value_at_better, and critic_prefers_better_from: the first update from which
        on the critic values the better mode more to the end, empty if there is none.
    """
    rows = []
    for run in runs:
        records = run.records
        final = records.iloc[-1]
        found = legs(records["stddev"].to_numpy())
        prefers = records["value_at_better"] > records["value_at_worse"]
        until_end = prefers[::-1].cummin()[::-1]
        updates = records["update"][until_end]
        ends_on = "neither"
        for name, mode in (("better", _BETTER), ("worse", _WORSE)):
            if near(final["mean"], mode):
                ends_on = name
        rows.append(
            {
                "environment": final["environment"],
                "agent": final["agent"],
                "seed": final["seed"],
                "final_mean": final["mean"],
                "final_stddev": final["stddev"],
                "ends_on": ends_on,
                "stddev_legs": " ".join(found),
                "stddev_fell_rose_fell": found == ["fell", "rose", "fell"],
                "replay_share_at_better": run.replay_share_at_better,
                "value_at_worse": final["value_at_worse"],
                "value_at_better": final["value_at_better"],
                "critic_prefers_better_from": updates.iloc[0] if len(updates) else None,
            }
        )
    table = pd.DataFrame(rows)
    table["critic_prefers_better_from"] = table["critic_prefers_better_from"].astype(
        "Int64"
    )
    return _in_order(table)


def summarize(table: pd.DataFrame, agents: Mapping[str, str] = AGENTS) -> str:
    """Returns what the figure claims, counted over all runs, as lines of text.

    Args:
        table: As `tabulate_runs` returns it, of one environment.
        agents: The agents in it, in order, and their labels.
    """

    def count(holds):
        return f"{int(holds.sum())} of {len(holds)}"

    columns = {}
    for agent, label in agents.items():
        runs = table[table["agent"] == agent]
        shares = 100 * runs["replay_share_at_better"]
        since = runs["critic_prefers_better_from"]
        columns[label] = [
            count(runs["ends_on"] == "better"),
            count(runs["ends_on"] == "worse"),
            "fixed" if agent in _FIXED_STDDEV else count(runs["stddev_fell_rose_fell"]),
            count(runs["value_at_better"] > runs["value_at_worse"]),
            "never" if since.isna().any() else f"update {since.max():,}",
            f"{runs['value_at_worse'].mean():.2f} and"
            f" {runs['value_at_better'].mean():.2f}",
            f"{shares.min():.1f} to {shares.max():.1f} %",
        ]
    index = [
        "runs that end on the better mode",
        "runs that end on the worse mode",
        f"σ fell, rose and fell again (by {TURN:.0%} or more)",
        "critic values the better mode more at the end",
        "... in every run, at the latest since",
        "critic's value at the worse and better mode, mean",
        "actions in replay within a width of the better mode",
    ]
    return pd.DataFrame(columns, index=index).to_string()


def draw_figure2(records: pd.DataFrame, path: pathlib.Path) -> None:
    """Draws Figure 2.

    Args:
        records: Those of the run to draw of each agent, see `FinishedRun`.
        path: The picture to write.
    """
    width, height = style.PANEL_INCHES
    with style.picture(
        path, figsize=(2 * width, 1.2 * height), layout="constrained"
    ) as figure:
        panels = figure.subplot_mosaic([["mean", "rewards"], ["stddev", "rewards"]])
        for column, name in (("mean", "mean μ"), ("stddev", "standard deviation σ")):
            _draw_training(panels[column], records, column)
            panels[column].set_ylabel(name)
        _name_modes(panels["mean"])
        panels["mean"].set_title(f"Policy during training, seed {DRAWN_SEED}")
        panels["mean"].tick_params(labelbottom=False)
        panels["stddev"].set_ylim(bottom=0)
        panels["stddev"].set_xlabel("updates")
        panels["stddev"].legend(loc="lower left")
        figure1.draw_rewards(panels["rewards"], figure1.tabulate_rewards())
        initial = figure1.INITIAL_STDDEV
        panels["rewards"].set_title(f"Reward, and smoothed with σ = {initial:.2f}")
        figure.align_ylabels([panels["mean"], panels["stddev"]])


def _draw_training(
    panel: "matplotlib.axes.Axes", records: pd.DataFrame, column: str
) -> None:
    for agent, label in AGENTS.items():
        run = records[records["agent"] == agent]
        panel.plot(run["update"], run[column], color=COLOURS[agent], label=label)
    panel.set_xlim(0, records["update"].max())
    panel.xaxis.set_major_formatter("{x:,.0f}")


def _name_modes(panel: "matplotlib.axes.Axes") -> None:
    """Marks the two modes, and makes room for their names between them."""
    for name, mode, side in (("better", _BETTER, "top"), ("worse", _WORSE, "bottom")):
        centre = _MIXTURE.centres[mode]
        panel.axhline(centre, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
        panel.annotate(
            f"{name} mode",
            (1, centre),
            (0, -3 if side == "top" else 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va=side,
            color="0.4",
        )


def train_runs(
    seeds: Sequence[int],
    num_workers: int | None = None,
    gin_bindings: Sequence[str] = (),
    agents: Sequence[str] = tuple(AGENTS),
    environments: Sequence[str] = (ENVIRONMENT,),
    title: str = "figure 2",
) -> list[FinishedRun]:
    """Trains all agents with every seed.

    Args:
        seeds: Roots of the runs' random streams.
        num_workers: Processes; None for one on each usable core.
        gin_bindings: Override the gin files in all runs.
        agents: Which agents.
        environments: On which tasks: versions of the two-Gaussians one.
        title: What the progress bar is called.

    Returns:
        The runs, by environment, agent and seed.

    Raises:
        RunFailedError: If a run failed.
        ValueError: If a binding cannot be used.
        KeyboardInterrupt: On Ctrl-C.
    """
    tasks = list(itertools.product(environments, agents, seeds))
    num_workers = min(num_workers or launch.usable_cores(), len(tasks))
    # A fork would inherit the threads' locks of whatever is imported already.
    context = multiprocessing.get_context("spawn")
    steps, num_steps = context.Value("q", 0), context.Value("q", 0)
    stop = context.Event()
    pool = concurrent.futures.ProcessPoolExecutor(
        num_workers, context, _start_worker, (steps, num_steps, stop)
    )
    futures = [pool.submit(_train, *task, tuple(gin_bindings)) for task in tasks]
    try:
        # A log file gets a line now and then, not three a second.
        interval = 0.1 if sys.stderr.isatty() else 30.0
        with tqdm.tqdm(
            desc=title, unit=" steps", unit_scale=True, mininterval=interval
        ) as bar:
            waiting = set(futures)
            while waiting:
                _, waiting = concurrent.futures.wait(
                    waiting, _POLL_SECONDS, concurrent.futures.FIRST_EXCEPTION
                )
                if num_steps.value:
                    bar.total = num_steps.value * len(tasks)
                bar.update(steps.value - bar.n)
                for future in futures:
                    if future.done() and future.exception():
                        raise future.exception()
    except process.BrokenProcessPool as error:
        raise RunFailedError("A process that trained ended before its time.") from error
    finally:
        # By now all runs are done, or none of the others is of use.
        stop.set()
        pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


def _start_worker(steps, num_steps, stop):
    """Prepares a process that trains one run after another."""
    global _steps, _num_steps, _stop
    _steps, _num_steps, _stop = steps, num_steps, stop
    # A terminal's Ctrl-C reaches all processes; it is for the first one to act on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from smoothie_tf import quiet

    quiet.silence_imports()
    import tensorflow as tf

    from smoothie_tf import threads

    # One agent after the other is no needless retracing.
    tf.get_logger().setLevel("ERROR")
    threads.limit(1)


def _train(
    environment: str, agent: str, seed: int, gin_bindings: tuple[str, ...]
) -> FinishedRun:
    """Trains one agent with one seed, in a directory that is thrown away."""
    import gin

    from smoothie_tf.training import config, stopping, train
    from smoothie_tf.training import process as training_process

    try:
        config.parse(agent, environment, bindings=gin_bindings)
        _num_steps.value = gin.query_parameter("train.num_steps")
        recorder = _Recorder(environment, agent, seed, stopping.Interrupted)
        with tempfile.TemporaryDirectory() as run_dir:
            training_process.run(
                agent, environment, seed, run_dir, quiet=True, on_step=recorder
            )
    except stopping.Interrupted:
        raise RunFailedError("A run was asked to stop.") from None
    except train.NumericalError as error:
        raise RunFailedError(f"{ALL_AGENTS[agent]}, seed {seed}: {error}") from None
    except ValueError as error:
        # Of a kind that the first process knows without importing TensorFlow.
        raise ValueError(str(error).splitlines()[0]) from None
    return recorder.finished_run()


class _Recorder:
    """Reads the policy and the critic of a run in progress."""

    def __init__(
        self, environment: str, agent: str, seed: int, interrupted: type[Exception]
    ):
        self._interrupted = interrupted
        self._run = {"environment": environment, "agent": agent, "seed": seed}
        self._read: Callable[[], Any] | None = None
        self._rows: list[tuple] = []
        self._actions = np.zeros(0)

    def __call__(self, trainer) -> None:
        """Keeps a record every `RECORD_INTERVAL` steps."""
        if trainer.step % RECORD_INTERVAL:
            return
        if _stop.is_set():
            raise self._interrupted
        with _steps.get_lock():
            _steps.value += RECORD_INTERVAL
        update = int(trainer.agent.train_step_counter)
        if not update and self._rows:
            return  # Nothing has changed yet.
        if self._read is None:
            self._read = _reader(trainer.agent)
        self._rows.append((trainer.step, update, *self._read().numpy().tolist()))
        rows = trainer.replay.rows_since(0)
        # Rows with a negative discount hold an episode's last observation alone.
        self._actions = rows[rows[:, -1] >= 0, 1]

    def finished_run(self) -> FinishedRun:
        """Returns what was recorded."""
        columns = ["step", "update", "mean", "stddev"]
        columns += ["value_at_worse", "value_at_better"]
        records = pd.DataFrame(self._rows, columns=columns)
        for place, (column, value) in enumerate(self._run.items()):
            records.insert(place, column, value)
        return FinishedRun(records, float(near(self._actions, _BETTER).mean()))


def _reader(agent):
    """Returns a function that reads μ, σ and the critic at both modes, shape [4]."""
    import gin
    import tensorflow as tf
    from tf_agents.trajectories import time_step as ts

    time_step = ts.restart(tf.zeros([1, 1]), batch_size=1)
    modes = tf.constant([[_MIXTURE.centres[mode]] for mode in (_WORSE, _BETTER)])

    @tf.function(autograph=False)
    def read():
        mean = agent.policy.action(time_step).action[0]
        if hasattr(agent, "policy_stddev"):
            stddev = tf.reshape(agent.policy_stddev(time_step.observation), [1])
        else:
            # In episodes of one step the process is a single draw.
            stddev = tf.constant([gin.query_parameter("DdpgAgent.ou_stddev")])
        values, _ = agent.critic_network((tf.zeros([2, 1]), modes))
        return tf.concat([mean, stddev, values], axis=0)

    return read


def figure2_command(argv: Sequence[str] | None = None) -> int:
    """Trains all runs of Figure 2, counts how they end, and draws one of each agent.

    Args:
        argv: Flags; None for those of the process.

    Returns:
        Exit status: 0 done, 1 a run failed, 2 bad input, 130 interrupted.
    """
    return escape_command(FIGURE_2, argv)


@dataclasses.dataclass(frozen=True)
class Escape:
    """A comparison of agents on the two-Gaussians task.

    Attributes:
        name: Stem of its files and of its script.
        title: What it is called.
        subject: What it shows.
        agents: The agents, in order, and their labels.
        environments: Ids of versions of the task, and their labels.
        draw: Draws records and table (see `FinishedRun` and `tabulate_runs`) to a
            path.
    """

    name: str
    title: str
    subject: str
    agents: Mapping[str, str]
    environments: Mapping[str, str]
    draw: Callable[[pd.DataFrame, pd.DataFrame, pathlib.Path], None]


FIGURE_2 = Escape(
    "figure2",
    f"Figure 2 (seed {DRAWN_SEED})",
    "Figure 2: mean and standard deviation of Smoothie's and DDPG's policy on the"
    " two-Gaussians task.",
    AGENTS,
    {ENVIRONMENT: "dense reward"},
    lambda records, _, path: draw_figure2(records[records["seed"] == DRAWN_SEED], path),
)


def escape_command(comparison: Escape, argv: Sequence[str] | None = None) -> int:
    """Trains all runs of a comparison, counts how they end, and draws.

    Args:
        comparison: Which agents, on which versions of the task.
        argv: Flags; None for those of the process.

    Returns:
        Exit status: 0 done, 1 a run failed, 2 bad input, 130 interrupted.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = _parser(comparison)
    flags = parser.parse_args(argv)
    for name in ("seeds", "num_workers"):
        value = getattr(flags, name)
        if value is not None and value < 1:
            parser.error(f"--{name} must be at least 1, but is {value}.")
    out_dir = flags.out_dir
    paths = {end: out_dir / f"{comparison.name}{end}" for end in _FILES}
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out_dir {out_dir} cannot be made: {error.strerror}.")
    tables = paths["_training.csv"], paths["_runs.csv"]
    if flags.plot_only:
        for path in tables:
            if not path.exists():
                parser.error(f"--plot_only: there is no {path} to draw from.")
    else:
        try:
            runs = train_runs(
                range(flags.seeds),
                flags.num_workers,
                flags.gin_bindings,
                tuple(comparison.agents),
                tuple(comparison.environments),
                comparison.name.replace("figure", "figure "),
            )
        except ValueError as error:
            parser.error(str(error))
        except RunFailedError as error:
            print(f"{parser.prog}: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("Stopped; nothing has been written.", file=sys.stderr)
            return _INTERRUPTED
        frames = (
            _in_order(pd.concat([run.records for run in runs])),
            tabulate_runs(runs),
        )
        for frame, path in zip(frames, tables, strict=True):
            if len(comparison.environments) == 1:
                frame = frame.drop(columns="environment")
            frame.to_csv(path, index=False, float_format="%.6g")
        provenance = {
            "command": shlex.join(["python", f"reproduce/{comparison.name}.py", *argv]),
            **run_directory.provenance(),
        }
        paths["_runs.json"].write_text(
            json.dumps(provenance, indent=1) + "\n", encoding="utf-8"
        )
    # From the files in either case: what is drawn is what they say.
    records, table = map(pd.read_csv, tables)
    comparison.draw(records, table, paths[".png"])
    for environment, label in comparison.environments.items():
        chosen = table
        if "environment" in table:
            chosen = table[table["environment"] == environment]
            print(f"{label}:")
        print(summarize(chosen, comparison.agents))
    print(
        f"{comparison.title} is in {paths['.png']}, the numbers behind it in"
        f" {out_dir / comparison.name}_{{training,runs}}.csv"
    )
    return 0


_FILES = (".png", "_training.csv", "_runs.csv", "_runs.json")


def _in_order(frame):
    """Returns the rows by environment, as `ALL_AGENTS` orders them, and by seed."""
    order = {agent: i for i, agent in enumerate(ALL_AGENTS)}
    keys = ["environment", "_order", "seed"]
    # The dense task before its discretized version.
    frame = frame.assign(_order=frame["agent"].map(order)).sort_values(
        keys, kind="stable", key=lambda c: c.str.len() if c.name == keys[0] else c
    )
    return frame.drop(columns="_order").reset_index(drop=True)


def _parser(comparison):
    parser = command_line.Parser(description=comparison.subject)
    parser.add_argument(
        "--seeds",
        type=int,
        default=20,
        help="runs of each agent, from seed 0 on (default: 20)",
    )
    parser.add_argument(
        "--out_dir",
        type=pathlib.Path,
        default=pathlib.Path("results") / comparison.name,
        help="where picture and tables go (default: %(default)s)",
    )
    parser.add_argument("--num_workers", type=int, help="processes; default one a core")
    parser.add_argument(
        "--plot_only",
        action="store_true",
        help="draw from the tables in --out_dir and train nothing",
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        metavar="BINDING",
        help="such as 'train.num_steps=3000'; may be given several times",
    )
    return parser
