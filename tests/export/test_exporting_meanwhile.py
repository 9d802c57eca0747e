"""Exports of a run that is being trained: each policy is the one that it says it is."""

import json
import os
import pathlib
import subprocess
import sys
import time
import zlib

import pytest
import tensorflow as tf

from smoothie_tf.export import exporting, saved_run

ROOT = pathlib.Path(__file__).parents[2]
# Notes the weights of every step that has a checkpoint or an evaluation.
TRAIN = """
import sys, zlib
from smoothie_tf import quiet
quiet.silence_imports()
from smoothie_tf.training import config, process, stopping

bindings = sys.argv[2:]
config.parse("smoothie", "Pendulum-v1", "quick", bindings=bindings)
weights = open(sys.argv[1] + "-weights", "w", buffering=1)

def note(trainer):
    if trainer.step % 20 == 0:
        crc = 0
        for variable in trainer.agent.policy.variables():
            crc = zlib.crc32(variable.numpy().tobytes(), crc)
        print(trainer.step, crc, file=weights)

try:
    process.run("smoothie", "Pendulum-v1", 0, sys.argv[1], quiet=True, on_step=note)
except stopping.Interrupted:
    pass
"""
BINDINGS = (
    "MeanNetwork.hidden_units=(8,)",
    "smoothie_tf.CriticNetwork.observation_units=(8,)",
    "smoothie_tf.CriticNetwork.joint_units=(8,)",
    "train.batch_size=8",
    "train.use_xla=False",
    "train.num_steps=1000000",
    "train.initial_collect_steps=20",
    "train.evaluation_interval=200",
    "train.evaluation_episodes=1",
    # Twenty steps take tens of milliseconds: less than an export.
    "train.checkpoint_interval=20",
    "create_agent.actor_learning_rate=1e-3",
    "create_agent.critic_learning_rate=1e-3",
)
EXPORTS = 4
# On a machine that is busy with much else an export takes the better part of a minute.
ENOUGH = 3
SECONDS = 240


@pytest.mark.slow
def test_step_and_weights_belong_together(tmp_path):
    run_dir = tmp_path / "run"
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(run_dir), *BINDINGS],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    exported, refusals = {}, []
    deadline = time.monotonic() + SECONDS
    try:
        while len(exported) < EXPORTS and time.monotonic() < deadline:
            assert trainer.poll() is None, trainer.stderr.read()
            try:
                kept = saved_run.SavedRun(run_dir)._kept_steps()
            except saved_run.SavedRunError:
                kept = []
            if not kept:  # It has not begun.
                time.sleep(0.2)
                continue
            # The oldest, often the best policy's or the next to go, and the next one.
            step = kept[len(exported) % 2 if len(kept) > 1 else 0]
            out = tmp_path / f"policy-{len(exported)}"
            try:
                exporting.export_run(
                    run_dir, out, checkpoint=step, tf_agents=False, gif=False
                )
            except saved_run.SavedRunError as error:
                refusals.append(str(error))
                assert "no longer kept" in str(error) or "is not kept" in str(error)
                assert not out.exists()
                continue
            described = json.loads((out / "policy.json").read_text())
            assert described["training"]["step"] == step
            exported[out] = step
    finally:
        trainer.terminate()
        trainer.wait()
    assert len(exported) >= ENOUGH, refusals
    lines = (tmp_path / "run-weights").read_text().splitlines()
    expected = dict(map(int, line.split()) for line in lines)
    for out, step in exported.items():
        crc = 0
        for variable in tf.saved_model.load(str(out))._weights:
            crc = zlib.crc32(variable.numpy().tobytes(), crc)
        assert crc == expected[step], f"{out.name}, of step {step}"
    # Many different ones, or it was no race.
    assert len(set(exported.values())) >= ENOUGH
