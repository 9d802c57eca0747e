"""A run from its first step to its exported policy, in odd folders and locales."""

import ast
import json
import os
import pathlib
import re
import subprocess
import sys

import pandas as pd
import pytest

from smoothie_tf.export import export_command, saved_run
from smoothie_tf.training import main
from tests import slow

ROOT = pathlib.Path(__file__).parents[1]


def arguments(run_dir, steps):
    flags = ["--agent", "ddpg", "--env", "InvertedPendulum-v5", "--quiet"]
    flags += ["--run_dir", str(run_dir), "--num_steps", str(steps)]
    for binding in ("train.use_xla=False", "train.evaluation_episodes=2"):
        flags += ["--gin_bindings", binding]
    return flags


def test_a_run_in_a_folder_that_means_something_to_patterns(
    tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "[seed=0]" / "a\\b" / "ü *?"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert main.main(arguments("run", 30)) == 0
    # Goes on, from a path that has the name in it.
    assert main.main(arguments(folder / "run", 60)) == 0
    assert list(pd.read_csv("run/metrics.csv")["step"]) == [30, 60]
    assert capsys.readouterr().err.count("the agent is not trained.") == 2
    assert saved_run.SavedRun(folder / "run").checkpoint_steps() == [30, 60]
    out = folder / "policies [1]" / "policy"
    flags = ["--run_dir", str(folder / "run"), "--out", str(out), "--tflite"]
    assert export_command.export_main([*flags, "--no_gif"]) == 0
    assert (out / "policy.tflite").exists() and (out / "tf_agents").is_dir()
    assert capsys.readouterr().err == ""
    flags = ["--policy", str(out), "--episodes", "2", "--record"]
    assert export_command.evaluate_main(flags) == 0
    assert capsys.readouterr().out.startswith("InvertedPendulum-v5: return ")
    assert len(json.loads((out / "policy.json").read_text())["evaluations"]) == 1


ASCII = {"PYTHONIOENCODING": "ascii"}
C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("locale", slow.all_but([], [ASCII, C]), ids=["ascii", "C"])
def test_a_result_is_printed_and_recorded_in_any_locale(tmp_path, locale):
    def script(name, *flags):
        done = subprocess.run(
            [sys.executable, ROOT / "reproduce" / f"{name}.py", *flags],
            env={**os.environ, **locale},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("ascii")

    run, out = tmp_path / "λ run", tmp_path / "policy"
    script("train", *arguments(run, 30)[:-4], "--gin_bindings", "train.use_xla=False")
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    script("export", "--run_dir", run, "--out", out, "--no_gif", "--no_tf_agents")
    said = script("evaluate", "--policy", out, "--episodes", "1", "--record")
    assert re.search(r" \\xb1 0\.0+ over 1 episode of ", said)
    # What is written is UTF-8 whatever the terminal can show.
    card = (out / "README.md").read_text(encoding="utf-8")
    assert re.search(r" ± 0\.0+ over 1 episode of ", card)


def test_text_is_read_and_written_in_one_encoding():
    for folder in ("smoothie_tf", "benchmarks", "reproduce"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
                assert not _in_the_locales_encoding(call), (path, call.lineno)


def _in_the_locales_encoding(call):
    """Whether a call opens a file as text, in whatever encoding the locale has."""
    if any(word.arg == "encoding" for word in call.keywords):
        return False
    if isinstance(call.func, ast.Name) and call.func.id == "open":
        parts = [part for mode in call.args[1:2] for part in ast.walk(mode)]
        modes = [part.value for part in parts if isinstance(part, ast.Constant)]
        return not any("b" in mode for mode in modes if isinstance(mode, str))
    if not isinstance(call.func, ast.Attribute):
        return False
    # The encoding may also be given by its place.
    places = {"read_text": 1, "write_text": 2}
    return len(call.args) < places.get(call.func.attr, 0)
