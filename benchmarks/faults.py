"""Injects faults into real runs, and checks that the resumed runs lose nothing.

python benchmarks/faults.py --out_dir runs/faults

Every faulted run is restarted by the same command until it is done. Then it is compared
bit for bit with a reference run without faults: every number of metrics.csv except the
measured steps_per_second, every weight, target and optimizer slot, the replay buffer,
and the state of the loop.
"""

import collections
import contextlib
import dataclasses
import errno
import functools
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

    Ray waits 30 seconds for each node. A busy machine may take longer; then the whole
    cluster is started again.

    Args:
        *num_cpus: Cores of the head node, then of each other node.

    Returns:
        The cluster, and its nodes except the head.
    """
    from ray import cluster_utils

    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "300")
    for attempt in range(1, _CLUSTER_ATTEMPTS + 1):
        cluster = cluster_utils.Cluster()
        try:
            _, *nodes = [cluster.add_node(num_cpus=number) for number in num_cpus]
            return cluster, nodes
        # Ray raises a plain Exception if a node takes too long.
        except Exception as error:
            cluster.shutdown()
            if attempt == _CLUSTER_ATTEMPTS:
                raise
            print(f"Ray's nodes did not start; trying again: {error}", file=sys.stderr)
    raise AssertionError("the last attempt returns or raises")


def launch_on_ray(
    runs: Sequence[GridRun], num_workers: int, stream: TextIO
) -> list[launch.Outcome]:
    """Trains runs as `launch.launch` does, on a temporary Ray cluster."""
    cluster, _ = start_cluster(num_workers)
    try:
        with ray_launch.connect("ray", cluster.address) as workers:
            return launch.launch(runs, num_workers, stream=stream, workers=workers)
    finally:
        cluster.shutdown()


#: Functions that train a grid of runs, with the arguments of `launch.launch`.
LAUNCHERS: dict[str, Callable] = {"processes": launch.launch}
if importlib.util.find_spec("ray"):
    LAUNCHERS["ray"] = launch_on_ray

_SHORT_INTERVALS = (
    "train.initial_collect_steps=500",
    "train.evaluation_interval=250",
    "train.evaluation_episodes=2",
    "train.checkpoint_interval=50",
)
_MAX_WAIT_SECONDS = 900.0
# Share of faults before training resumes: during imports, restoring, compilation.
_SHARE_AT_START = 0.3
# Faults during training happen within this many seconds after it resumes.
_SECONDS_OF_TRAINING = 2.5
_TMPFS_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class Task:
    """The settings that all runs share."""

    agent: str
    env: str
    num_steps: int
    bindings: tuple[str, ...]

    def command(self, seed: int, run_dir: pathlib.Path) -> list[str]:
        """Returns the command that trains a run."""
        return [
            *(sys.executable, str(ROOT / "reproduce" / "train.py")),
            *("--agent", self.agent, "--env", self.env, "--seed", str(seed)),
            *("--num_steps", str(self.num_steps), "--run_dir", str(run_dir)),
            *("--preset", "quick", "--quiet"),
            *(word for each in self.bindings for word in ("--gin_bindings", each)),
        ]

    def of_grid(self, seed: int, root: pathlib.Path) -> GridRun:
        """Returns a run as launchers take it."""
        preset = Preset("quick", self.num_steps, 1)
        return GridRun(
            self.agent, self.env, seed, preset, self.agent, self.bindings, root
        )


@dataclasses.dataclass
class Tally:
    """The counts of one type of fault.

    Attributes:
      times: How often the fault was injected.
      problems: Descriptions of everything that went wrong.
      rows_lost: Rows of the reference runs' metrics.csv that faulted runs lack.
      runs: Runs with the fault.
      equal: Runs that ended equal to the reference run.
    """

    times: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)
    rows_lost: int = 0
    runs: int = 0
    equal: int = 0


class Run:
    """A run that can be started, watched and faulted."""

    def __init__(self, task: Task, seed: int, directory: pathlib.Path):
        """Prepares a run, without starting it."""
        self.seed = seed
        self.directory = directory
        self.command = task.command(seed, directory)
        self._errors: list[str] | None = None
        directory.parent.mkdir(parents=True, exist_ok=True)

    def start(self) -> subprocess.Popen:
        """Starts or resumes the run."""
        self._errors = None
        self._process = subprocess.Popen(
            self.command,
            stdout=subprocess.DEVNULL,
            # A pipe, because a file would be subject to the run's disk and quota.
            stderr=subprocess.PIPE,
            # In a background job of a shell, SIGINT is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            },
        )
        return self._process

    def errors(self) -> list[str]:
        """Returns the lines on standard error of the last process, which has ended."""
        if self._errors is None:
            with self._process.stderr as stream:
                self._errors = stream.read().decode(errors="replace").splitlines()
        return self._errors

    def wait_for_training(self, process: subprocess.Popen) -> bool:
        """Waits until training resumes; returns False if the process ends first.

        progress.json shows it, which is written at most a hundred steps later.
        """
        path = self.directory / "progress.json"
        before = _modified(path)
        deadline = time.monotonic() + _MAX_WAIT_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if _modified(path) != before:
                return True
            time.sleep(0.005)
        return False

    def finish(self) -> str | None:
        """Resumes the run to its end; returns a problem, or None."""
        status = self.start().wait(_MAX_WAIT_SECONDS)
        if status == 0:
            return None
        return f"exit status {status} of the resumed run: {self.errors()[-1:]}"

    def is_done(self) -> bool:
        """Says whether the run has made all its steps."""
        return recorded_status(self.directory) is Status.DONE

    def damage(self) -> str | None:
        """Returns a description of a file that a fault has damaged, or None."""
        path = self.directory / "metrics.csv"
        if path.exists():
            text = path.read_text(encoding="utf-8")
            if not text.endswith("\n"):
                return "metrics.csv ends within a row"
            steps = [line.split(",")[0] for line in text.splitlines()]
            if len(set(steps)) < len(steps):
                return "metrics.csv has two rows of one step"
        for name in ("run.json", "progress.json"):
            path = self.directory / name
            if path.exists():
                try:
                    json.loads(path.read_text(encoding="utf-8"))
                except ValueError:
                    return f"{name} is not valid JSON"
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
        """Returns the size of the largest file of the checkpoints, in bytes."""
        sizes = [1]
        for file in (self.directory / "checkpoints").glob("ckpt-*.data-*"):
            with contextlib.suppress(FileNotFoundError):  # The run has removed it.
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
    """Makes the runs, and counts faults and problems."""

    def __init__(
        self,
        task: Task,
        out_dir: pathlib.Path,
        seeds: Sequence[int],
        rng: random.Random,
        whole_dir: pathlib.Path | None = None,
    ):
        """Prepares a soak.

        Args:
          task: The settings of all runs.
          out_dir: The directory for all runs.
          seeds: Seeds of the runs; successive runs take them in turn.
          rng: Draws the moments of faults and the damaged bytes.
          whole_dir: The directory of the reference runs; those that exist are reused.
            None for a directory below `out_dir`.
        """
        self.tallies: dict[str, Tally] = collections.defaultdict(Tally)
        self.progress = tqdm.tqdm(unit="fault", desc="faults", smoothing=0)
        self.task = task
        self._out_dir = out_dir
        self._whole_dir = whole_dir or out_dir / "whole"
        self._seeds = seeds
        self.rng = rng
        self._seconds_to_start = 10.0
        self._whole: dict[int, pathlib.Path] = {}
        self._number = collections.Counter()

    def whole(self, seed: int) -> pathlib.Path:
        """Returns the directory of the reference run, trained on first use."""
        if seed not in self._whole:
            run = Run(self.task, seed, self._whole_dir / f"seed{seed}")
            if run.is_done():
                self._whole[seed] = run.directory
                return run.directory
            started = time.monotonic()
            process = run.start()
            if run.wait_for_training(process):
                self._seconds_to_start = time.monotonic() - started
            if process.wait(_MAX_WAIT_SECONDS) != 0:
                raise RuntimeError(f"A reference run failed: {run.errors()[-1:]}")
            self._whole[seed] = run.directory
        return self._whole[seed]

    def next(self, fault: str) -> tuple[int, int]:
        """Returns the number of a new run for a fault, and its seed."""
        number = self._number[fault]
        self._number[fault] += 1
        seed = self._seeds[number % len(self._seeds)]
        self.whole(seed)
        return number, seed

    def run(self, fault: str, directory: pathlib.Path | None = None) -> Run:
        """Returns a new run for a fault, with the next seed."""
        number, seed = self.next(fault)
        directory = directory or self._out_dir / fault.replace(" ", "-")
        return Run(self.task, seed, directory / f"run{number}")

    def count(self, fault: str, problem: str | None) -> None:
        """Counts an injected fault, and the problem after it, if any."""
        tally = self.tallies[fault]
        tally.times += 1
        if problem:
            tally.problems.append(problem)
        self.progress.update()

    def wait_for_a_moment(self, run: Run, process: subprocess.Popen) -> bool:
        """Waits for a random moment; says whether the process still runs."""
        if self.rng.random() < _SHARE_AT_START:
            # Not in the first second, in which the interpreter itself starts.
            wait = self.rng.uniform(1.0, max(1.5, self._seconds_to_start))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
        elif run.wait_for_training(process):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.rng.uniform(0.0, _SECONDS_OF_TRAINING))
        return process.poll() is None

    def settle(self, fault: str, run: Run) -> None:
        """Resumes a run to its end, and compares it with the reference run."""
        problem = run.finish()
        self.compare(fault, run, problem)

    def problems(self) -> list[str]:
        """Returns all problems."""
        return [
            f"{fault}: {problem}"
            for fault, tally in self.tallies.items()
            for problem in tally.problems
        ]

    def compare(self, fault: str, run: Run, problem: str | None = None) -> None:
        """Compares a run that has ended with the reference run."""
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
      The number of rows of the first run's metrics.csv that the second run lacks or has
      with other values, and the name of the first difference, or None.
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
    """Returns the state of the loop without the measured speeds."""
    state = json.loads(text)
    state["loop"]["last_row"].pop("steps_per_second")
    rows = state["loop"].pop("metrics")
    state["loop"]["metrics"] = [row.rsplit(",", 1)[0] for row in rows]
    return json.dumps(state, sort_keys=True)


def kill(soak: Soak, times: int) -> None:
    """Sends SIGKILL at random moments, while the process holds the run's lock."""
    fault = "SIGKILL"
    while soak.tallies[fault].times < times:
        run = soak.run(fault)
        share = -(-times // len(soak._seeds))
        killed = 0
        while killed < share and soak.tallies[fault].times < times:
            process = run.start()
            running = soak.wait_for_a_moment(run, process)
            process.kill()
            status = process.wait()
            if running and status == -signal.SIGKILL:
                killed += 1
                soak.count(fault, run.damage())
            elif run.is_done():
                break
            elif status != -signal.SIGKILL:
                soak.count(fault, f"exit status {status}: {run.errors()[-1:]}")
                break
        soak.settle(fault, run)


def ask_to_stop(soak: Soak, times: int, number: signal.Signals, fault: str) -> None:
    """Sends SIGTERM or SIGINT at random moments.

    Expected are a checkpoint, one sentence, and exit status 130.
    """
    while soak.tallies[fault].times < times:
        run = soak.run(fault)
        while soak.tallies[fault].times < times:
            process = run.start()
            running = soak.wait_for_a_moment(run, process)
            process.send_signal(number)
            status = process.wait(_MAX_WAIT_SECONDS)
            if running and status != 0:
                said = run.errors()
                problem = run.damage()
                # If a step takes more than half a second, the run first says so.
                if said and said[0].startswith("Stopping: waiting for "):
                    del said[0]
                if status != 130 or len(said) != 1 or not said[0].startswith("Stopped"):
                    problem = f"exit status {status}: {said[-3:]}"
                soak.count(fault, problem)
            elif run.is_done():
                break
        soak.settle(fault, run)


def fill(soak: Soak, times: int, fault: str, limit: Callable) -> None:
    """Limits the space for files at a random moment, until the process ends.

    `limit` takes the run, its process and the remaining bytes, and returns a function
    that removes the limit.
    """
    injected = 0
    with _directory_for(soak, fault) as directory:
        while injected < times:
            run = soak.run(fault, directory)
            while injected < times:
                process = run.start()
                # Wait for a checkpoint that the fault could damage.
                while process.poll() is None and not run.checkpoint():
                    time.sleep(0.02)
                if not run.wait_for_training(process):
                    break
                left = soak.rng.choice([0, None])
                if left is None:
                    # Less than a checkpoint needs, so that writing any part may fail.
                    left = soak.rng.randrange(run.largest_file())
                remove_limit = limit(run, process, left)
                status = process.wait(_MAX_WAIT_SECONDS)
                remove_limit()
                if status == 0:
                    break
                said = run.errors()
                problem = run.damage()
                if status != 1 or len(said) != 1 or "cannot be written" not in said[0]:
                    problem = f"{left} bytes left, exit status {status}: {said[-3:]}"
                soak.count(fault, problem)
                injected += 1
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
    """Fills the disk of a run, except `left` bytes."""
    del process
    filler = run.directory.parent / "filler"
    with open(filler, "wb") as file:
        while (free := shutil.disk_usage(filler.parent).free) > left:
            try:
                os.posix_fallocate(file.fileno(), 0, free - left)
                break
            except OSError as error:
                # The run may have written since `disk_usage`: try again.
                if error.errno != errno.ENOSPC:
                    raise
    return filler.unlink


def small_quota(run: Run, process: subprocess.Popen, left: int) -> Callable[[], None]:
    """Limits the files of a process to `left` bytes each, as a quota would."""
    del run
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (left, left))
    return lambda: None


def run_twice(soak: Soak, times: int) -> None:
    """Starts a second process on a run; it must be refused and name the first."""
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
                soak.count(fault, problem)
        status = process.wait(_MAX_WAIT_SECONDS)
        soak.compare(fault, run, f"exit status {status}" if status else None)


def damage_checkpoint(soak: Soak, times: int) -> None:
    """Truncates the newest checkpoint at a random byte, or flips a random bit.

    The file is one of the checkpoint, or the replay file, after the rows that the
    earlier checkpoint needs. The run must resume from the earlier checkpoint.
    """
    fault = "newest checkpoint cut or altered"
    rng = soak.rng
    for source in _sources(soak, fault, times):
        run = soak.run(fault)
        run.seed = source.seed
        run.command = soak.task.command(source.seed, run.directory)
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
        soak.count(fault, problem)
        soak.compare(fault, run, wrong_end)


def damage_both(soak: Soak, times: int) -> None:
    """Damages replay that both checkpoints need; the run must be refused, unchanged."""
    fault = "replay damaged where both checkpoints need it"
    for source in _sources(soak, fault, times):
        run = soak.run(fault)
        run.command = soak.task.command(source.seed, run.directory)
        shutil.copytree(source.directory, run.directory)
        replay = run.directory / "checkpoints" / "replay.f32"
        content = bytearray(replay.read_bytes())
        content[soak.rng.randrange(_shared_bytes(run))] ^= 1
        replay.write_bytes(content)
        before = _snapshot(run.directory)
        status = run.start().wait(_MAX_WAIT_SECONDS)
        said = run.errors()
        problem = None
        if status != 2 or len(said) != 1 or "same seed gives the same" not in said[0]:
            problem = f"exit status {status}: {said[-3:]}"
        elif _snapshot(run.directory) != before:
            problem = "a file was changed"
        soak.count(fault, problem)


def _sources(soak, fault, times):
    """Yields a run with two checkpoints that was stopped late, once for each fault."""
    source = soak.run(f"source of {fault}")
    process = source.start()
    late = 0.8 * soak.task.num_steps
    while process.poll() is None and source.checkpoint() < late:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    if process.wait(_MAX_WAIT_SECONDS) != 130:
        raise RuntimeError(f"A run did not stop: {source.errors()[-1:]}")
    for _ in range(times):
        yield source


def _newest_files(run):
    """Returns pairs of a file of the newest checkpoint and its first byte to damage."""
    checkpoints = run.directory / "checkpoints"
    newest = sorted(checkpoints.glob(f"ckpt-{run.checkpoint()}.*"))
    return [
        *((file, 0) for file in newest),
        (checkpoints / "replay.f32", _shared_bytes(run)),
    ]


def _shared_bytes(run):
    """Returns the bytes of replay that the checkpoint before the newest needs."""
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
    """Kills a worker of a launcher, which must restart the run itself."""
    fault = f"worker killed, launcher: {launcher}"
    while soak.tallies[fault].times < times:
        number, seed = soak.next(fault)
        root = soak._out_dir / f"launcher-{launcher}-{number}"
        entry = soak.task.of_grid(seed, root)
        run = Run(soak.task, seed, entry.directory)
        killed = threading.Event()
        killer = threading.Thread(target=_kill_holder, args=(run, soak, killed))
        killer.start()
        (outcome,) = LAUNCHERS[launcher]([entry], 1, stream=io.StringIO())
        killer.join()
        problem = _not_done(outcome)
        if killed.is_set():
            soak.count(fault, problem)
        soak.compare(fault, run, problem)


def _not_done(outcome):
    if outcome.status is Status.DONE:
        return None
    return f"{outcome.status}: {outcome.reason}"


def kill_node(soak: Soak, times: int) -> None:
    """Kills one of two nodes of a Ray cluster while both train runs."""
    fault = "node killed, launcher: ray"
    while soak.tallies[fault].times < times:
        number, _ = soak.next(fault)
        root, seeds = soak._out_dir / f"node-ray-{number}", soak._seeds[:2]
        for seed in seeds:
            soak.whole(seed)
        entries = [soak.task.of_grid(seed, root) for seed in seeds]
        runs = [Run(soak.task, each.seed, each.directory) for each in entries]
        cluster, nodes = start_cluster(0, 1, 1)
        killed = threading.Event()
        killer = threading.Thread(
            target=_kill_node, args=(cluster, nodes[-1], runs, soak, killed)
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
        if killed.is_set():
            soak.count(fault, problem)
        for outcome, run in zip(outcomes, runs, strict=True):
            soak.compare(fault, run, _not_done(outcome))


def _kill_node(cluster, node, runs, soak, killed):
    """Kills a node some time after both runs have begun to train."""
    if _are_training(runs, soak):
        cluster.remove_node(node, allow_graceful=False)
        killed.set()


def _kill_holder(run, soak, killed):
    """Kills the process with a run's lock, some time after it has begun to train."""
    if not _are_training([run], soak):
        return
    if holder := (run.directory / ".lock").read_text(encoding="utf-8").split():
        os.kill(int(holder[0]), signal.SIGKILL)
        killed.set()


def _are_training(runs, soak):
    """Waits for a moment in which all runs train; returns False if one is done."""
    for run in runs:
        while not (run.directory / "progress.json").exists():
            if any(each.is_done() for each in runs):
                return False
            time.sleep(0.01)
    time.sleep(soak.rng.uniform(0, _SECONDS_OF_TRAINING))
    return not any(run.is_done() for run in runs)


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


#: Faults by name: how often each is injected by default, and the function for it.
FAULTS: dict[str, tuple[int, Callable[[Soak, int], None]]] = {
    "kill": (50, kill),
    "terminate": (
        5,
        functools.partial(ask_to_stop, number=signal.SIGTERM, fault="SIGTERM"),
    ),
    "interrupt": (
        5,
        functools.partial(ask_to_stop, number=signal.SIGINT, fault="Ctrl-C"),
    ),
    "disk": (5, functools.partial(fill, fault="disk full", limit=small_disk)),
    "quota": (5, functools.partial(fill, fault="quota used up", limit=small_quota)),
    "twice": (2, run_twice),
    "damage": (10, damage_checkpoint),
    "damage-both": (2, damage_both),
    **{
        f"worker-{name}": (2, functools.partial(kill_worker, launcher=name))
        for name in LAUNCHERS
    },
    **({"node": (2, kill_node)} if "ray" in LAUNCHERS else {}),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Injects faults and prints the table; exit status 1 if there was a problem."""
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
        help="reference runs of an earlier soak; default <out_dir>/whole",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the moments of faults and of damaged bytes",
    )
    parser.add_argument(
        "--faults",
        nargs="+",
        choices=FAULTS,
        default=list(FAULTS),
        help="default all; disk requires permission to mount a tmpfs",
    )
    parser.add_argument(
        "--times",
        action=command_line.AtLeast,
        help="number of each fault; default: its own number",
    )
    parser.add_argument(
        "--gin_bindings", action="append", default=[], help="additional bindings"
    )
    flags = parser.parse_args(arguments)
    times = {name: flags.times or FAULTS[name][0] for name in flags.faults}
    if flags.out_dir.exists() and any(flags.out_dir.iterdir()):
        parser.error(f"--out_dir {flags.out_dir} must be a new or an empty directory")
    quiet.silence_imports()
    bindings = (*_SHORT_INTERVALS, *flags.gin_bindings)
    task = Task(flags.agent, flags.env, flags.num_steps, bindings)
    rng = random.Random(flags.seed)
    started = time.monotonic()
    soak = Soak(task, flags.out_dir.resolve(), flags.seeds, rng, flags.whole_dir)
    soak.progress.total = sum(times.values())
    path = flags.out_dir / "faults.md"
    for name, number in times.items():
        soak.progress.set_postfix_str(name)
        FAULTS[name][1](soak, number)
        # Written after each fault, so that a stopped soak leaves a table.
        text, problems = table(soak), soak.problems()
        path.write_text("\n".join([text, *problems]), encoding="utf-8")
    soak.progress.close()
    print("\n".join([text, *problems]))
    minutes = (time.monotonic() - started) / 60
    print(f"After {minutes:.0f} minutes, the table is in {path}.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(program.run(main))
