"""What benchmarks refuse before they measure anything."""

import importlib.util
import json
import pathlib

import pytest

BENCHMARKS = pathlib.Path(__file__).parents[1] / "benchmarks"


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "flags", "sentence"),
    [
        ("throughput", ["--rounds", "0"], "--rounds must be at least 1, but is 0."),
        ("throughput", ["--steps", "3"], "--steps must be at least 4, but is 3."),
        ("activations", ["--rounds", "0"], "--rounds must be at least 1, but is 0."),
    ],
)
def test_a_contest_has_rounds_and_steps(name, flags, sentence, monkeypatch, capsys):
    monkeypatch.syspath_prepend(BENCHMARKS)
    with pytest.raises(SystemExit) as stop:
        load(name).main(flags)
    assert stop.value.code == 2
    assert capsys.readouterr().err.endswith(f"{sentence}\n")


def test_a_table_of_memory_is_of_one_command(tmp_path, monkeypatch, capsys):
    memory = load("memory")
    watched = []

    def watch(command, run_dir, every, table):
        watched.append(run_dir)
        head = "step,resident_megabytes,peak_megabytes,seconds\n"
        table.write_text(f"{head}50000,600.0,610.0,100\n")
        return 0

    monkeypatch.setattr(memory, "watch", watch)
    out_dir = tmp_path / "out"

    def run(run_dir="a", *flags):
        given = ["--out_dir", str(out_dir), "--run_dir", run_dir, *flags]
        return memory.main(given)

    assert run() == 0
    assert json.loads((out_dir / "memory.json").read_text()) == {
        "agent": "smoothie",
        "env": "Hopper-v5",
        "run_dir": "a",
        "every": 50000,
        "gin_bindings": [],
    }
    # The run may become longer.
    assert run("a", "--num_steps", "2000000") == 0
    for flags, other in (
        (["b"], "it is of --run_dir a, not b"),
        (["a", "--env", "Ant-v5"], "it is of --env Hopper-v5, not Ant-v5"),
    ):
        with pytest.raises(SystemExit) as stop:
            run(*flags)
        assert stop.value.code == 2
        told = f"memory.csv cannot be continued: {other}; choose another --out_dir.\n"
        assert capsys.readouterr().err.endswith(told)
    (out_dir / "memory.json").unlink()
    with pytest.raises(SystemExit):
        run()
    assert "there is no memory.json that says of what run" in capsys.readouterr().err
    assert len(watched) == 2
