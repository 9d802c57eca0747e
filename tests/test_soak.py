"""A short form of the soak in benchmarks/faults.py: two faults, once each."""

import importlib.util
import pathlib
import sys
import types

import pytest

BENCHMARK = pathlib.Path(__file__).parents[1] / "benchmarks" / "faults.py"
SMALL = (
    "MeanNetwork.hidden_units=(8,)",
    "smoothie_tf.CriticNetwork.observation_units=(8,)",
    "smoothie_tf.CriticNetwork.joint_units=(8,)",
    "train.batch_size=8",
    "train.evaluation_episodes=1",
    "train.use_xla=False",
)


@pytest.fixture
def faults(monkeypatch):
    spec = importlib.util.spec_from_file_location("faults", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "faults", module)  # Where dataclasses look.
    spec.loader.exec_module(module)
    return module


def test_a_ray_cluster_whose_nodes_were_late_is_started_again(faults, monkeypatch):
    made = []

    class Cluster:
        def __init__(self):
            made.append(self)
            self.nodes, self.is_down = [], False

        def add_node(self, num_cpus):
            if len(made) < 3 and len(self.nodes) == len(made):
                raise Exception("The current node timed out during startup.")
            self.nodes.append(num_cpus)
            return num_cpus

        def shutdown(self):
            self.is_down = True

    # Ray itself need not be here.
    utils = types.SimpleNamespace(Cluster=Cluster)
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(cluster_utils=utils))
    monkeypatch.setenv("RAY_gcs_server_port_wait_time_s", "300")
    assert faults.start_cluster(0, 1, 2) == (made[2], [1, 2])
    assert [each.is_down for each in made] == [True, True, False]
    monkeypatch.setattr(faults, "_CLUSTER_ATTEMPTS", 1)
    made.clear()
    with pytest.raises(Exception, match="timed out"):
        faults.start_cluster(0, 1, 2)


def test_times_must_be_at_least_1(faults, capsys):
    with pytest.raises(SystemExit) as stop:
        faults.main(["--times", "0"])
    assert stop.value.code == 2
    assert "--times must be at least 1, but is 0" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "said"),
    [("kill", "SIGKILL"), ("quota", "quota used up")],
)
def test_killed_or_out_of_room_and_equal_in_the_end(
    tmp_path, capsys, monkeypatch, faults, fault, said
):
    # In training, not while the interpreter imports.
    monkeypatch.setattr(faults, "_SHARE_AT_START", 0.0)
    monkeypatch.setattr(faults, "_SECONDS_OF_TRAINING", 0.5)
    flags = ["--out_dir", str(tmp_path / "soak"), "--env", "InvertedPendulum-v5"]
    flags += ["--faults", fault, "--times", "1", "--seeds", "0"]
    flags += ["--num_steps", "2000"]
    for binding in SMALL:
        flags += ["--gin_bindings", binding]
    assert faults.main(flags) == 0
    printed = capsys.readouterr().out.splitlines()
    assert f"| {said} | 1 | 1 | 0 | 1 of 1 runs |" in printed
