"""Injects faults into real runs, and checks that the resumed runs lose nothing.

python benchmarks/faults.py --out_dir runs/faults

Every faulted run is restarted by the same command until it is done, and then compared
with an undisturbed one: every number of metrics.csv but the
measured steps_per_second, every weight, target and optimizer slot, replay byte by
byte, and the state of the loop.
"""

import collections
import contextlib
import dataclasses
import errno
import importlib.util
import io
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

import tqdm

from smoothie_tf import command_line, program, quiet
from smoothie_tf.runs import launch, ray_launch
from smoothie_tf.runs.run import Preset
from smoothie_tf.runs.run import Run as GridRun
from smoothie_tf.runs.status import Status, recorded_status

ROOT = pathlib.Path(__file__).resolve().parents[1]
_CLUSTER_ATTEMPTS = 5


def start_cluster(*num_cpus: int) -> tuple[Any, list[Any]]:
    """Starts a Ray cluster on this machine.

    Ray waits 30 seconds for each node, which a busy machine may exceed: then the whole
    cluster is started again.

    Args:
        *num_cpus: Cores of the head node, then of each further node.

    Returns:
        The cluster, and its further nodes.
    """
    from ray import cluster_utils

    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "300")
    for attempt in range(1, _CLUSTER_ATTEMPTS + 1):
        cluster = cluster_utils.Cluster()
        try:
            _, *nodes = [cluster.add_node(num_cpus=number) for number in num_cpus]
            return cluster, nodes
        # Ray raises a plain Exception where a node takes too long.
        except Exception as error:
            cluster.shutdown()
            if attempt == _CLUSTER_ATTEMPTS:
                raise
            print(f"Ray's nodes did not start, once more: {error}", file=sys.stderr)
    raise AssertionError("the last attempt returns or raises")


def launch_on_ray(
    runs: Sequence[GridRun], num_workers: int, stream: TextIO
) -> list[launch.Outcome]:
    """Trains runs as `launch.launch` does, on a Ray cluster made for them here."""
    cluster, _ = start_cluster(num_workers)
    try:
        with ray_launch.connect("ray", cluster.address) as workers:
            return launch.launch(runs, num_workers, stream=stream, workers=workers)
    finally:
        cluster.shutdown()


#: Ways to train a grid of runs, as `launch.launch` is called.
LAUNCHERS: dict[str, Callable] = {"processes": launch.launch}
if importlib.util.find_spec("ray"):
    LAUNCHERS["ray"] = launch_on_ray

_SHORT_INTERVALS = (
    "train.initial_collect_steps=500",
    "train.evaluation_interval=250",
    "train.evaluation_episodes=2",
    "train.checkpoint_interval=50",
)
_LONGEST_WAIT = 900.0
# Share of strikes that fall before training goes on: imports, restoring, compiling.
_SHARE_AT_START = 0.3
# Strikes in training fall within this many seconds of its beginning.
_SECONDS_OF_TRAINING = 2.5
_TMPFS_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class Task:
    """What is run."""

    agent: str
    env: str
    num_steps: int
    bindings: tuple[str, ...]

    def command(self, seed: int, run_dir: pathlib.Path) -> list[str]:
        """Returns the command of a run."""
        return [
            *(sys.executable, str(ROOT / "reproduce" / "train.py")),
            *("--agent", self.agent, "--env", self.env, "--seed", str(seed)),
            *("--num_steps", str(self.num_steps), "--run_dir", str(run_dir)),
            *("--preset", "quick", "--quiet"),
            *(word for each in self.bindings for word in ("--gin_bindings", each)),
        ]


@dataclasses.dataclass
class Tally:
    """What came of a fault.

    Attributes:
      times: How often it struck.
      problems: What was not as it should be, strike by strike.
      rows_lost: Rows of metrics.csv that runs lacked in the end, or had otherwise.
      runs: Runs that were struck.
      equal: Those that ended as the run that was left in peace.
    """

    times: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)
    rows_lost: int = 0
    runs: int = 0
    equal: int = 0


class Run:
    """A run that can be started, watched and struck."""

    def __init__(self, task: Task, seed: int, directory: pathlib.Path):
        """Prepares a run; nothing is there yet."""
        self.seed = seed
        self.directory = directory
        self.command = task.command(seed, directory)
        self._said: list[str] | None = None
        directory.parent.mkdir(parents=True, exist_ok=True)

    def start(self) -> subprocess.Popen:
        """Starts the run, or goes on with it."""
        self._said = None
        self._process = subprocess.Popen(
            self.command,
            stdout=subprocess.DEVNULL,
            # Not a file: it would be subject to the disk and quota of the run.
            stderr=subprocess.PIPE,
            # A background job of a shell inherits an ignored SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            },
        )
        return self._process

    def errors(self) -> list[str]:
        """Returns what the last process, which has ended, said on standard error."""
        if self._said is None:
            with self._process.stderr as stream:
                self._said = stream.read().decode(errors="replace").splitlines()
        return self._said

    def wait_for_training(self, process: subprocess.Popen) -> bool:
        """Waits until training goes on; says whether it did before the process ended.

        progress.json is first written up to a hundred steps after that.
        """
        path = self.directory / "progress.json"
        before = _modified(path)
        deadline = time.monotonic() + _LONGEST_WAIT
        while process.poll() is None and time.monotonic() < deadline:
            if _modified(path) != before:
                return True
            time.sleep(0.005)
        return False

    def finish(self) -> str | None:
        """Runs to the end; returns what went wrong."""
        status = self.start().wait(_LONGEST_WAIT)
        if status == 0:
            return None
        return f"exit status {status} on the way to the end: {self.errors()[-1:]}"

    def is_done(self) -> bool:
        """Returns whether the run has made all its steps."""
        return recorded_status(self.directory) is Status.DONE

    def damage(self) -> str | None:
        """Returns what is not whole right after a strike."""
        path = self.directory / "metrics.csv"
        if path.exists():
            text = path.read_text(encoding="utf-8")
            if not text.endswith("\n"):
                return "half a row in metrics.csv"
            steps = [line.split(",")[0] for line in text.splitlines()]
            if len(set(steps)) < len(steps):
                return "a row twice in metrics.csv"
        for name in ("run.json", "progress.json"):
            path = self.directory / name
            if path.exists():
                try:
                    json.loads(path.read_text(encoding="utf-8"))
                except ValueError:
                    return f"{name} is not whole"
        manifests = self._manifests()
        for manifest in manifests:
            for name, expected in json.loads(manifest.read_text(encoding="utf-8"))[
                "files"
            ].items():
                content = (manifest.parent / name).read_bytes()
                if zlib.crc32(content) != expected["crc32"]:
                    return f"{name} does not match its checksum"
        return None

    def checkpoint(self) -> int:
        """Returns the step of the newest checkpoint; 0 if there is none."""
        return max(
            (int(path.stem.removeprefix("ckpt-")) for path in self._manifests()),
            default=0,
        )

    def largest_file(self) -> int:
        """Returns the size of the largest file of its checkpoints, in bytes."""
        sizes = [1]
        for file in (self.directory / "checkpoints").glob("ckpt-*.data-*"):
            with contextlib.suppress(FileNotFoundError):  # Removed by now.
                sizes.append(file.stat().st_size)
        return max(sizes)

    def _manifests(self):
        return list((self.directory / "checkpoints").glob("ckpt-*.json"))


def _modified(path):
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


class Soak:
    """Strikes runs and keeps the tallies."""

    def __init__(
        self,
        task: Task,
        out_dir: pathlib.Path,
        seeds: Sequence[int],
        rng: random.Random,
        whole_dir: pathlib.Path | None = None,
    ):
        """Prepares to strike runs of some seeds below a directory.

        Args:
          task: What is run.
          out_dir: Where to.
          seeds: Seeds of the runs, in turn.
          rng: Draws moments and bytes.
          whole_dir: Where runs left in peace are, or are made.
        """
        self.tallies: dict[str, Tally] = collections.defaultdict(Tally)
        self.progress = tqdm.tqdm(unit="strike", desc="faults", smoothing=0)
        self._task = task
        self._out_dir = out_dir
        self._whole_dir = whole_dir or out_dir / "whole"
        self._seeds = seeds
        self._rng = rng
        self._seconds_to_start = 10.0
        self._whole: dict[int, pathlib.Path] = {}
        self._number = collections.Counter()

    def whole(self, seed: int) -> pathlib.Path:
        """Returns a run that was left in peace, made once."""
        if seed not in self._whole:
            run = Run(self._task, seed, self._whole_dir / f"seed{seed}")
            if run.is_done():
                self._whole[seed] = run.directory
                return run.directory
            started = time.monotonic()
            process = run.start()
            if run.wait_for_training(process):
                self._seconds_to_start = time.monotonic() - started
            if process.wait(_LONGEST_WAIT) != 0:
                raise RuntimeError(f"A run in peace failed: {run.errors()[-1:]}")
            self._whole[seed] = run.directory
        return self._whole[seed]

    def run(self, fault: str, directory: pathlib.Path | None = None) -> Run:
        """Returns a new run for a fault, seeds in turn."""
        number = self._number[fault]
        self._number[fault] += 1
        seed = self._seeds[number % len(self._seeds)]
        self.whole(seed)
        directory = directory or self._out_dir / fault.replace(" ", "-")
        return Run(self._task, seed, directory / f"run{number}")

    def random(self) -> random.Random:
        """Returns the random numbers that all moments and bytes come from."""
        return self._rng

    def strike(self, fault: str, problem: str | None) -> None:
        """Counts a strike and what was wrong after it."""
        tally = self.tallies[fault]
        tally.times += 1
        if problem:
            tally.problems.append(problem)
        self.progress.update()

    def wait_for_a_moment(self, run: Run, process: subprocess.Popen) -> bool:
        """Waits for a random moment; says whether the process is there to be struck."""
        if self._rng.random() < _SHARE_AT_START:
            # Not the first moments, in which the interpreter itself starts.
            wait = self._rng.uniform(1.0, max(1.5, self._seconds_to_start))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
        elif run.wait_for_training(process):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._rng.uniform(0.0, _SECONDS_OF_TRAINING))
        return process.poll() is None

    def settle(self, fault: str, run: Run) -> None:
        """Runs to the end and holds the run against the one left in peace."""
        problem = run.finish()
        self.compare(fault, run, problem)

    def problems(self) -> list[str]:
        """Returns everything that was not as it should be."""
        return [
            f"{fault}: {problem}"
            for fault, tally in self.tallies.items()
            for problem in tally.problems
        ]

    def compare(self, fault: str, run: Run, problem: str | None = None) -> None:
        """Holds a run that has ended against the one left in peace."""
        tally = self.tallies[fault]
        tally.runs += 1
        if problem:
            tally.problems.append(problem)
            return
        lost, difference = differences(self.whole(run.seed), run.directory)
        tally.rows_lost += lost
        tally.equal += difference is None
        if difference:
            tally.problems.append(f"not equal in the end: {difference}")


def differences(one: pathlib.Path, other: pathlib.Path) -> tuple[int, str | None]:
    """Compares two finished runs bit for bit.

    Returns:
      Rows of the first one's metrics.csv that the second lacks or has otherwise, and
      the first thing that differs, or None.
    """
    import numpy as np
    import tensorflow as tf

    rows = [
        [
            line.rsplit(",", 1)[0]
            for line in (run / "metrics.csv").open(encoding="utf-8")
        ]
        for run in (one, other)
    ]
    lost = len(set(rows[0]) - set(rows[1]))
    if rows[0] != rows[1]:
        return lost, "metrics.csv"
    if _bytes(one, "replay.f32") != _bytes(other, "replay.f32"):
        return lost, "replay"
    paths = [str(run / "checkpoints") for run in (one, other)]
    readers = [tf.train.load_checkpoint(path) for path in paths]
    names = [set(reader.get_variable_to_dtype_map()) for reader in readers]
    if names[0] != names[1]:
        return lost, "variables' names"
    for name in sorted(names[0]):
        values = [reader.get_tensor(name) for reader in readers]
        if name.startswith("state/"):
            values = [_loop_state(value) for value in values]
        elif name == "_CHECKPOINTABLE_OBJECT_GRAPH":
            continue
        if not np.array_equal(*values):
            return lost, name
    return lost, None


def _bytes(run, name):
    return (run / "checkpoints" / name).read_bytes()


def _loop_state(text):
    """Returns the state of the loop without the speeds that were measured."""
    state = json.loads(text)
    state["loop"]["last_row"].pop("steps_per_second")
    rows = state["loop"].pop("metrics")
    state["loop"]["metrics"] = [row.rsplit(",", 1)[0] for row in rows]
    return json.dumps(state, sort_keys=True)


def kill(soak: Soak, times: int) -> None:
    """SIGKILL at random moments; with each goes a lock that nobody unlocks."""
    fault = "SIGKILL"
    while soak.tallies[fault].times < times:
        run = soak.run(fault)
        share = -(-times // len(soak._seeds))
        struck = 0
        while struck < share and soak.tallies[fault].times < times:
            process = run.start()
            there = soak.wait_for_a_moment(run, process)
            process.kill()
            status = process.wait()
            if there and status == -signal.SIGKILL:
                struck += 1
                soak.strike(fault, run.damage())
            elif run.is_done():
                break
            elif status != -signal.SIGKILL:
                soak.strike(fault, f"exit status {status}: {run.errors()[-1:]}")
                break
        soak.settle(fault, run)


def ask_to_stop(soak: Soak, times: int, number: signal.Signals, fault: str) -> None:
    """SIGTERM or Ctrl-C at random moments: a checkpoint, a sentence, status 130."""
    while soak.tallies[fault].times < times:
        run = soak.run(fault)
        while soak.tallies[fault].times < times:
            process = run.start()
            there = soak.wait_for_a_moment(run, process)
            process.send_signal(number)
            status = process.wait(_LONGEST_WAIT)
            if there and status != 0:
                said = run.errors()
                problem = run.damage()
                # On a busy machine a step takes more than half a second, which is said.
                if said and said[0].startswith("Stopping: waiting for "):
                    del said[0]
                if status != 130 or len(said) != 1 or not said[0].startswith("Stopped"):
                    problem = f"exit status {status}: {said[-3:]}"
                soak.strike(fault, problem)
            elif run.is_done():
                break
        soak.settle(fault, run)


def fill(soak: Soak, times: int, fault: str, room: Callable) -> None:
    """No more room at a random moment, with some bytes left, then room again.

    `room` takes the run, its process and the bytes that are left, and returns what
    gives the room back.
    """
    struck = 0
    with _directory_for(soak, fault) as directory:
        while struck < times:
            run = soak.run(fault, directory)
            while struck < times:
                process = run.start()
                # There has to be a checkpoint to lose.
                while process.poll() is None and not run.checkpoint():
                    time.sleep(0.02)
                if not run.wait_for_training(process):
                    break
                left = soak.random().choice([0, None])
                if left is None:
                    # Less than a checkpoint takes, so that any part of it may fail.
                    left = soak.random().randrange(run.largest_file())
                give_back = room(run, process, left)
                status = process.wait(_LONGEST_WAIT)
                give_back()
                if status == 0:
                    break
                said = run.errors()
                problem = run.damage()
                if status != 1 or len(said) != 1 or "cannot be written" not in said[0]:
                    problem = f"{left} bytes left, exit status {status}: {said[-3:]}"
                soak.strike(fault, problem)
                struck += 1
            soak.settle(fault, run)


@contextlib.contextmanager
def _directory_for(soak, fault) -> Iterator[pathlib.Path | None]:
    if fault != "disk full":
        yield None
        return
    directory = soak._out_dir / "small-disk"
    directory.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={_TMPFS_BYTES}", "tmpfs"]
    subprocess.run([*command, str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def small_disk(run: Run, process: subprocess.Popen, left: int) -> Callable[[], None]:
    """Fills the disk of a run but for some bytes."""
    del process
    filler = run.directory.parent / "filler"
    with open(filler, "wb") as file:
        while (free := shutil.disk_usage(filler.parent).free) > left:
            try:
                os.posix_fallocate(file.fileno(), 0, free - left)
                break
            except OSError as error:
                # The run may have written since its disk was measured: once more.
                if error.errno != errno.ENOSPC:
                    raise
    return filler.unlink


def small_quota(run: Run, process: subprocess.Popen, left: int) -> Callable[[], None]:
    """Lets no file of a process grow beyond some bytes, as a quota would."""
    del run
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (left, left))
    return lambda: None


def run_twice(soak: Soak, times: int) -> None:
    """A second process on a directory in use: refused, told who holds it."""
    fault = "two processes on one directory"
    while soak.tallies[fault].times < times:
        run = soak.run(fault)
        process = run.start()
        if run.wait_for_training(process):
            second = subprocess.run(run.command, capture_output=True, text=True)
            if process.poll() is None:
                holder = f"in use by process {process.pid} on {socket.gethostname()}."
                problem = None
                if second.returncode != 2 or not second.stderr.endswith(f"{holder}\n"):
                    problem = f"exit status {second.returncode}: {second.stderr[-200:]}"
                soak.strike(fault, problem)
        status = process.wait(_LONGEST_WAIT)
        soak.compare(fault, run, f"exit status {status}" if status else None)


def damage_checkpoint(soak: Soak, times: int) -> None:
    """The newest checkpoint cut off, or a bit of it turned, anywhere.

    As often as not it is a file of the checkpoint, else the rows of replay that only
    the newest one needs.
    """
    fault = "newest checkpoint cut or altered"
    rng = soak.random()
    for source in _sources(soak, fault, times):
        run = soak.run(fault)
        run.seed = source.seed
        run.command = soak._task.command(source.seed, run.directory)
        shutil.copytree(source.directory, run.directory)
        file, first = rng.choice(_newest_files(run))
        content = bytearray(file.read_bytes())
        place = rng.randrange(first, len(content))
        if rng.random() < 0.5:
            del content[place:]
        else:
            content[place] ^= 1 << rng.randrange(8)
        file.write_bytes(content)
        problem = wrong_end = run.finish()
        said = run.errors()
        if not wrong_end and not (
            len(said) == 1 and "cannot be used" in said[0] and "one before" in said[0]
        ):
            problem = f"{file.name} damaged at byte {place}, but said {said}"
        soak.strike(fault, problem)
        soak.compare(fault, run, wrong_end)


def damage_both(soak: Soak, times: int) -> None:
    """Replay damaged where both checkpoints need it: refused, and nothing changed."""
    fault = "replay damaged where both checkpoints need it"
    for source in _sources(soak, fault, times):
        run = soak.run(fault)
        run.command = soak._task.command(source.seed, run.directory)
        shutil.copytree(source.directory, run.directory)
        replay = run.directory / "checkpoints" / "replay.f32"
        content = bytearray(replay.read_bytes())
        content[soak.random().randrange(_shared_bytes(run))] ^= 1
        replay.write_bytes(content)
        before = _snapshot(run.directory)
        status = run.start().wait(_LONGEST_WAIT)
        said = run.errors()
        problem = None
        if status != 2 or len(said) != 1 or "same seed gives the same" not in said[0]:
            problem = f"exit status {status}: {said[-3:]}"
        elif _snapshot(run.directory) != before:
            problem = "something changed"
        soak.strike(fault, problem)


def _sources(soak, fault, times):
    """Yields runs that were stopped late with two checkpoints, one for each strike."""
    source = soak.run(f"source of {fault}")
    process = source.start()
    late = 0.8 * soak._task.num_steps
    while process.poll() is None and source.checkpoint() < late:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    if process.wait(_LONGEST_WAIT) != 130:
        raise RuntimeError(f"A run did not stop: {source.errors()[-1:]}")
    for _ in range(times):
        yield source


def _newest_files(run):
    """Returns the newest checkpoint's files, each with the first byte to damage."""
    checkpoints = run.directory / "checkpoints"
    newest = sorted(checkpoints.glob(f"ckpt-{run.checkpoint()}.*"))
    return [
        *((file, 0) for file in newest),
        (checkpoints / "replay.f32", _shared_bytes(run)),
    ]


def _shared_bytes(run):
    """Returns how much of replay the checkpoint before the newest needs."""
    import tensorflow as tf

    checkpoints = run.directory / "checkpoints"
    steps = sorted(
        int(path.stem.removeprefix("ckpt-")) for path in checkpoints.glob("ckpt-*.json")
    )
    rows = []
    for step in steps:
        reader = tf.train.load_checkpoint(str(checkpoints / f"ckpt-{step}"))
        (name,) = (
            each
            for each in reader.get_variable_to_dtype_map()
            if each.startswith("state/")
        )
        rows.append(json.loads(reader.get_tensor(name))["replay"]["rows"])
    return rows[-2] * (checkpoints / "replay.f32").stat().st_size // rows[-1]


def _snapshot(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def kill_worker(soak: Soak, times: int, launcher: str) -> None:
    """A worker killed below a launcher, which starts it again by itself."""
    fault = f"worker killed, launcher: {launcher}"
    task = soak._task
    preset = Preset("quick", task.num_steps, 1)
    while soak.tallies[fault].times < times:
        number = soak._number[fault]
        seed = soak._seeds[number % len(soak._seeds)]
        soak._number[fault] += 1
        soak.whole(seed)
        entry = GridRun(
            task.agent,
            task.env,
            seed,
            preset,
            task.agent,
            task.bindings,
            soak._out_dir / f"launcher-{launcher}-{number}",
        )
        run = Run(task, seed, entry.directory)
        struck = threading.Event()
        killer = threading.Thread(target=_kill_holder, args=(run, soak, struck))
        killer.start()
        (outcome,) = LAUNCHERS[launcher]([entry], 1, stream=io.StringIO())
        killer.join()
        problem = None
        if outcome.status is not Status.DONE:
            problem = f"{outcome.status}: {outcome.reason}"
        if struck.is_set():
            soak.strike(fault, problem)
        soak.compare(fault, run, problem)


def kill_node(soak: Soak, times: int) -> None:
    """One of two nodes of a Ray cluster killed while each has a run at work."""
    fault = "node killed, launcher: ray"
    task = soak._task
    preset = Preset("quick", task.num_steps, 1)
    while soak.tallies[fault].times < times:
        number = soak._number[fault]
        soak._number[fault] += 1
        directory = soak._out_dir / f"node-ray-{number}"
        entries, runs = [], []
        for seed in soak._seeds[:2]:
            soak.whole(seed)
            entries.append(
                GridRun(
                    task.agent,
                    task.env,
                    seed,
                    preset,
                    task.agent,
                    task.bindings,
                    directory,
                )
            )
            runs.append(Run(task, seed, entries[-1].directory))
        cluster, nodes = start_cluster(0, 1, 1)
        struck = threading.Event()
        killer = threading.Thread(
            target=_kill_node, args=(cluster, nodes[-1], runs, soak, struck)
        )
        stream = io.StringIO()
        try:
            killer.start()
            with ray_launch.connect("ray", cluster.address) as workers:
                outcomes = launch.launch(entries, stream=stream, workers=workers)
        finally:
            killer.join()
            cluster.shutdown()
        problem = None
        if (
            "resumes from its last checkpoint on another worker"
            not in stream.getvalue()
        ):
            problem = "the launcher did not say that a run resumes"
        if struck.is_set():
            soak.strike(fault, problem)
        for outcome, run in zip(outcomes, runs, strict=True):
            problem = None
            if outcome.status is not Status.DONE:
                problem = f"{outcome.status}: {outcome.reason}"
            soak.compare(fault, run, problem)


def _kill_node(cluster, node, runs, soak, struck):
    """Kills a node a while after both runs began to train."""
    for run in runs:
        while not (run.directory / "progress.json").exists():
            if any(each.is_done() for each in runs):
                return
            time.sleep(0.01)
    time.sleep(soak.random().uniform(0, _SECONDS_OF_TRAINING))
    if not any(run.is_done() for run in runs):
        cluster.remove_node(node, allow_graceful=False)
        struck.set()


def _kill_holder(run, soak, struck):
    """Kills the process that holds a run's lock, a while after it began to train."""
    progress = run.directory / "progress.json"
    while not progress.exists():
        if run.is_done():
            return
        time.sleep(0.01)
    time.sleep(soak.random().uniform(0, _SECONDS_OF_TRAINING))
    holder = (run.directory / ".lock").read_text(encoding="utf-8").split()
    if run.is_done() or not holder:
        return
    os.kill(int(holder[0]), signal.SIGKILL)
    struck.set()


def table(soak: Soak) -> str:
    """Returns the tallies as a Markdown table."""
    lines = [
        "| fault | times | survived | rows lost | bit-equal in the end |",
        "|---|---:|---:|---:|---:|",
    ]
    for fault, tally in soak.tallies.items():
        survived = max(0, tally.times - len(tally.problems))
        equal = f"{tally.equal} of {tally.runs} runs" if tally.runs else "–"
        lines.append(
            f"| {fault} | {tally.times} | {survived} | {tally.rows_lost} | {equal} |"
        )
    return "\n".join(lines) + "\n"


def faults(times: dict[str, int]) -> dict[str, Callable[[Soak], None]]:
    """Returns what there is to do to runs, by name, each as often as `times` says."""
    chosen: dict[str, Callable[[Soak], None]] = {
        "kill": lambda soak: kill(soak, times["kill"]),
        "terminate": lambda soak: ask_to_stop(
            soak, times["terminate"], signal.SIGTERM, "SIGTERM"
        ),
        "interrupt": lambda soak: ask_to_stop(
            soak, times["interrupt"], signal.SIGINT, "Ctrl-C"
        ),
        "disk": lambda soak: fill(soak, times["disk"], "disk full", small_disk),
        "quota": lambda soak: fill(soak, times["quota"], "quota used up", small_quota),
        "twice": lambda soak: run_twice(soak, times["twice"]),
        "damage": lambda soak: damage_checkpoint(soak, times["damage"]),
        "damage-both": lambda soak: damage_both(soak, times["damage-both"]),
    }
    for name in LAUNCHERS:
        chosen[f"worker-{name}"] = lambda soak, name=name: kill_worker(
            soak, times["worker"], name
        )
    if "ray" in LAUNCHERS:
        chosen["node"] = lambda soak: kill_node(soak, times["node"])
    return chosen


TIMES = {
    "kill": 50,
    "terminate": 5,
    "interrupt": 5,
    "disk": 5,
    "quota": 5,
    "twice": 2,
    "damage": 10,
    "damage-both": 2,
    "worker": 2,
    "node": 2,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Strikes runs, prints the table; exit status 1 if anything was not survived."""
    parser = command_line.Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--out_dir", type=pathlib.Path, default="runs/faults")
    parser.add_argument("--agent", default="smoothie")
    parser.add_argument("--env", default="Hopper-v5")
    parser.add_argument("--num_steps", type=int, default=3000)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the runs"
    )
    parser.add_argument(
        "--whole_dir",
        type=pathlib.Path,
        help="runs left in peace by an earlier soak; default <out_dir>/whole",
    )
    parser.add_argument("--seed", type=int, default=0, help="of moments and bytes")
    parser.add_argument(
        "--faults",
        nargs="+",
        help=f"which, of {' '.join(faults(TIMES))}; default all. disk needs the right"
        " to mount a tmpfs",
    )
    parser.add_argument("--times", type=int, help="in place of each fault's own number")
    parser.add_argument(
        "--gin_bindings", action="append", default=[], help="further ones"
    )
    flags = parser.parse_args(arguments)
    if flags.times is not None and flags.times < 1:
        parser.error(f"--times must be at least 1, but is {flags.times}")
    times = {key: flags.times or number for key, number in TIMES.items()}
    known = faults(times)
    chosen = flags.faults or list(known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        parser.error(f"--faults {unknown[0]} must be one of {', '.join(known)}")
    if flags.out_dir.exists() and any(flags.out_dir.iterdir()):
        parser.error(f"--out_dir {flags.out_dir} must be empty, or not there yet")
    quiet.silence_imports()
    bindings = (*_SHORT_INTERVALS, *flags.gin_bindings)
    task = Task(flags.agent, flags.env, flags.num_steps, bindings)
    rng = random.Random(flags.seed)
    started = time.monotonic()
    soak = Soak(task, flags.out_dir.resolve(), flags.seeds, rng, flags.whole_dir)
    soak.progress.total = sum(
        times["worker" if name.startswith("worker-") else name] for name in chosen
    )
    path = flags.out_dir / "faults.md"
    for name in chosen:
        soak.progress.set_postfix_str(name)
        known[name](soak)
        # Whoever stops a soak has what there is.
        text, problems = table(soak), soak.problems()
        path.write_text("\n".join([text, *problems]), encoding="utf-8")
    soak.progress.close()
    print("\n".join([text, *problems]))
    minutes = (time.monotonic() - started) / 60
    print(f"After {minutes:.0f} minutes, the table is in {path}.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(program.run(main))
