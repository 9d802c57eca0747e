"""Trains the runs of a comparison on the two-Gaussians task in the package's own loop.

Importing TensorFlow takes as long as a run. Each process therefore trains many runs.
"""

import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import process
from multiprocessing import sharedctypes, synchronize
from typing import Any

import numpy as np
import pandas as pd

from smoothie_tf import progress_bar, quiet, validation
from smoothie_tf.environments import two_gaussians
from smoothie_tf.experiments.theory.escape import (
    AGENTS,
    ALL_AGENTS,
    BETTER,
    ENVIRONMENT,
    WORSE,
    FinishedRun,
    near,
)
from smoothie_tf.runs.workers import usable_cores

#: Environment steps between records.
RECORD_INTERVAL = 50
_MIXTURE = two_gaussians.MIXTURE
_POLL_SECONDS = 0.3

# Only in a process that trains: `_start_worker` sets them. Shared with its parent.
# Steps of all runs so far, and the length of a run.
_steps: "sharedctypes.Synchronized[int]"
_num_steps: "sharedctypes.Synchronized[int]"
# Set once the runs are not needed.
_stop: "synchronize.Event"


class RunFailedError(validation.FailedError):
    """A run failed; the message is one sentence."""


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
        seeds: Seeds of the runs, at least 0.
        num_workers: Number of processes; None for one per usable core.
        gin_bindings: Bindings that override the gin files in all runs.
        agents: Names of the agents.
        environments: Gymnasium ids of versions of the two-Gaussians task.
        title: Title of the progress bar.

    Returns:
        The runs, ordered by environment, agent and seed.

    Raises:
        RunFailedError: If a run failed.
        ValueError: If gin refuses a binding.
        KeyboardInterrupt: On Ctrl-C or SIGTERM.
    """
    tasks = list(itertools.product(environments, agents, seeds))
    num_workers = min(num_workers or usable_cores(), len(tasks))
    # A forked process would inherit locks that other threads hold.
    context = multiprocessing.get_context("spawn")
    steps, num_steps = context.Value("q", 0), context.Value("q", 0)
    stop = context.Event()
    pool = concurrent.futures.ProcessPoolExecutor(
        num_workers, context, _start_worker, (steps, num_steps, stop)
    )
    try:
        with (
            _terminated_as_interrupted(),
            progress_bar.create(title, " steps", unit_scale=True) as bar,
        ):
            bindings = tuple(gin_bindings)
            # A terminal sends Ctrl-C also to workers that do not ignore it yet.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            try:
                futures = [pool.submit(_train, *task, bindings) for task in tasks]
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            waiting = set(futures)
            while waiting:
                _, waiting = concurrent.futures.wait(
                    waiting, _POLL_SECONDS, concurrent.futures.FIRST_EXCEPTION
                )
                if num_steps.value:
                    bar.total = num_steps.value * len(tasks)
                bar.update(steps.value - bar.n)
                for future in futures:
                    if future.done() and (failure := future.exception()):
                        raise failure
    except process.BrokenProcessPool as error:
        raise RunFailedError("A training process ended unexpectedly.") from error
    finally:
        # Either all runs are done, or one failed and the others are not needed.
        stop.set()
        pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


@contextlib.contextmanager
def _terminated_as_interrupted():
    """Lets SIGTERM raise `KeyboardInterrupt`, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _end_with_parent():
    """Ends this process when its parent has ended, in whatever way."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _start_worker(steps, num_steps, stop):
    """Prepares a process that trains one run after another."""
    global _steps, _num_steps, _stop
    _steps, _num_steps, _stop = steps, num_steps, stop
    # A terminal sends Ctrl-C to all processes; only the parent process handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    quiet.silence_imports()
    import tensorflow as tf

    from smoothie_tf import threads

    # Each run traces new functions, and TensorFlow would warn about retracing.
    tf.get_logger().setLevel("ERROR")
    threads.limit(1)


def _train(
    environment: str, agent: str, seed: int, gin_bindings: tuple[str, ...]
) -> FinishedRun:
    """Trains one agent with one seed in a temporary directory."""
    import gin

    from smoothie_tf.training import config, stopping, train
    from smoothie_tf.training import process as training_process

    try:
        config.parse(agent, environment, bindings=gin_bindings)
        num_steps = gin.query_parameter("train.num_steps")
        validation.check("train", "count", num_steps=num_steps)
        if num_steps < RECORD_INTERVAL:
            raise ValueError(
                f"train.num_steps must be at least {RECORD_INTERVAL}, the steps until "
                f"the first record, but is {num_steps}."
            )
        _num_steps.value = int(num_steps)
        recorder = _Recorder(
            environment, agent, seed, int(num_steps), stopping.Interrupted
        )
        with tempfile.TemporaryDirectory() as run_dir:
            training_process.run(
                agent, environment, seed, run_dir, quiet=True, on_step=recorder
            )
    except stopping.Interrupted:
        raise RunFailedError("A run was asked to stop.") from None
    except train.NumericalError as error:
        raise RunFailedError(f"{ALL_AGENTS[agent]}, seed {seed}: {error}") from None
    except ValueError as error:
        # A gin error may be a subclass of ValueError that the parent process could only
        # unpickle after importing TensorFlow.
        raise ValueError(validation.first_line(error)) from None
    return recorder.finished_run()


class _Recorder:
    """Hook of the training loop that records the policy and the critic."""

    def __init__(
        self,
        environment: str,
        agent: str,
        seed: int,
        num_steps: int,
        interrupted: type[Exception],
    ):
        self._num_steps = num_steps
        self._interrupted = interrupted
        self._run = {"environment": environment, "agent": agent, "seed": seed}
        self._read: Callable[[], Any] | None = None
        self._rows: list[tuple] = []
        self._actions = np.zeros(0)

    def __call__(self, trainer) -> None:
        """Adds a record every `RECORD_INTERVAL` steps, and at the last step."""
        since_record = trainer.step % RECORD_INTERVAL
        if since_record and trainer.step != self._num_steps:
            return
        if _stop.is_set():
            raise self._interrupted
        with _steps.get_lock():
            _steps.value += since_record or RECORD_INTERVAL
        update = int(trainer.agent.train_step_counter)
        if not update and self._rows:
            return  # Before the first update all records are the same.
        if self._read is None:
            self._read = _reader(trainer.agent)
        self._rows.append((trainer.step, update, *self._read().numpy().tolist()))
        rows = trainer.replay.rows_since(0)
        # A row with a negative discount holds only the last observation of an episode.
        self._actions = rows[rows[:, -1] >= 0, 1]

    def finished_run(self) -> FinishedRun:
        """Returns what was recorded."""
        columns = ["step", "update", "mean", "stddev"]
        columns += ["value_at_worse", "value_at_better"]
        records = pd.DataFrame(self._rows, columns=columns)
        for place, (column, value) in enumerate(self._run.items()):
            records.insert(place, column, value)
        return FinishedRun(records, float(near(self._actions, BETTER).mean()))


def _reader(agent):
    """Returns a function that returns μ, σ and the critic's two values, shape [4]."""
    import gin
    import tensorflow as tf
    from tf_agents.trajectories import time_step as ts

    time_step = ts.restart(tf.zeros([1, 1]), batch_size=1)
    modes = tf.constant([[_MIXTURE.centres[mode]] for mode in (WORSE, BETTER)])

    @tf.function(autograph=False)
    def read():
        mean = agent.policy.action(time_step).action[0]
        if hasattr(agent, "policy_stddev"):
            stddev = tf.reshape(agent.policy_stddev(time_step.observation), [1])
        else:
            # In episodes of one step, Ornstein–Uhlenbeck noise is a single draw.
            value = gin.query_parameter("DdpgAgent.ou_stddev")
            stddev = tf.constant([value], tf.float32)  # It may be a whole number.
        values, _ = agent.critic_network((tf.zeros([2, 1]), modes))
        return tf.concat([mean, stddev, values], axis=0)

    return read
