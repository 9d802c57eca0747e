"""The soak of benchmarks/faults.py in short: two faults, a strike each."""

import importlib.util
import pathlib
import sys

BENCHMARK = pathlib.Path(__file__).parents[1] / "benchmarks" / "faults.py"
SMALL = (
    "MeanNetwork.hidden_units=(8,)",
    "smoothie_tf.CriticNetwork.observation_units=(8,)",
    "smoothie_tf.CriticNetwork.joint_units=(8,)",
    "train.batch_size=8",
    "train.use_xla=False",
)


def test_killed_and_out_of_room_and_equal_in_the_end(tmp_path, capsys, monkeypatch):
    spec = importlib.util.spec_from_file_location("faults", BENCHMARK)
    faults = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "faults", faults)  # Where dataclasses look.
    spec.loader.exec_module(faults)
    # In training, not while the interpreter imports.
    monkeypatch.setattr(faults, "_SHARE_AT_START", 0.0)
    monkeypatch.setattr(faults, "_SECONDS_OF_TRAINING", 0.5)
    flags = ["--out_dir", str(tmp_path / "soak"), "--env", "InvertedPendulum-v5"]
    flags += ["--faults", "kill", "quota", "--times", "1", "--seeds", "0"]
    flags += ["--num_steps", "4000"]
    for binding in SMALL:
        flags += ["--gin_bindings", binding]
    assert faults.main(flags) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "| SIGKILL | 1 | 1 | 0 | 1 of 1 runs |" in printed
    assert "| quota used up | 1 | 1 | 0 | 1 of 1 runs |" in printed
