import pathlib

import pytest

from smoothie_tf import command_line
from smoothie_tf.experiments.commands.collect import collect_command
from smoothie_tf.experiments.commands.figure import figure_command
from smoothie_tf.experiments.commands.report import report_command
from smoothie_tf.experiments.commands.theory import (
    figure1_command,
    figure2_command,
    identities_command,
)
from smoothie_tf.experiments.figures.continuous_control import FIGURE_3
from smoothie_tf.export.export_command import evaluate_main, export_main
from smoothie_tf.training import main


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (main.main, ["--agent", "ddpg", "--env", "Hopper-v5", "--run_dir", ""]),
        (export_main, ["--run_dir", "x", "--out", ""]),
        (export_main, ["--out", "x", "--run_dir", ""]),
        (evaluate_main, ["--policy", ""]),
        (evaluate_main, ["--policy", "x", "--video", ""]),
        (figure1_command, ["--out_dir", ""]),
        (figure2_command, ["--out_dir", ""]),
        (identities_command, ["--out_dir", ""]),
        (report_command, ["--results_dir", ""]),
        (collect_command, ["--runs_dir", ""]),
        (lambda argv: figure_command(FIGURE_3, argv), ["--out_dir", ""]),
        (lambda argv: figure_command(FIGURE_3, argv), ["--runs_dir", ""]),
    ],
)
def test_an_empty_path_is_not_the_working_folder(
    tmp_path, monkeypatch, capsys, command, arguments
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        command(arguments)
    assert caught.value.code == command_line.BAD_INPUT
    (flag,) = (a for a, b in zip(arguments, arguments[1:], strict=False) if b == "")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"argument {flag}: it must be a path, but is empty.")
    assert not list(tmp_path.iterdir())


def test_paths_stay_as_they_are_given():
    parser = command_line.Parser()
    parser.add_argument("--path", type=pathlib.Path, default=pathlib.Path("x"))
    assert parser.parse_args([]).path == pathlib.Path("x")
    assert parser.parse_args(["--path", "[a]\\b"]).path == pathlib.Path("[a]\\b")
