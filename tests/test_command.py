"""The command `smoothie`: every subcommand, and what it says where there is none."""

import importlib
import pathlib
import re
import subprocess
import sys

import pytest

import smoothie_tf
from smoothie_tf import __main__ as smoothie
from smoothie_tf import command_line

SCRIPTS = sorted((pathlib.Path(__file__).parents[1] / "reproduce").glob("*.py"))


def test_every_script_is_a_subcommand_and_the_other_way_round():
    scripts, commands = {path.stem for path in SCRIPTS}, set(smoothie.functions())
    missing = [f"reproduce/{name}.py is missing" for name in commands - scripts]
    missing += [
        f"{name} is missing in smoothie_tf/__main__.py" for name in scripts - commands
    ]
    assert not missing


def test_the_page_of_commands_names_every_subcommand():
    page = (SCRIPTS[0].parents[1] / "docs" / "commands.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:smoothie |`(?!smoothie ))(\w+)", page))
    missing = set(smoothie.functions()) - named
    assert not missing, "docs/commands.md needs a line for each of these"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_calls_the_function_of_its_subcommand(script):
    module, function = smoothie.functions()[script.stem].split(":")
    text = script.read_text()
    assert re.search(rf"^from {re.escape(module)} import {function}$", text, re.M)
    assert text.endswith(f"    sys.exit(program.run({function}))\n")
    assert callable(getattr(importlib.import_module(module), function))


def test_help_lists_all_subcommands_and_imports_no_library():
    code = (
        "import sys; from smoothie_tf import __main__ as m; m.main(['--help']);"
        "print({'tensorflow', 'numpy', 'gin', 'gymnasium'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert said.endswith("set()\n")
    for name in smoothie.functions():
        assert re.search(rf"^  {name} +\w", said, re.M)
    assert max(map(len, said.splitlines())) <= 80


def test_without_a_subcommand_it_says_which_there_are(capsys):
    assert smoothie.main([]) == command_line.BAD_INPUT
    assert "usage: smoothie COMMAND" in capsys.readouterr().out


def test_version(capsys):
    assert smoothie.main(["--version"]) == 0
    assert capsys.readouterr().out == f"smoothie_tf {smoothie_tf.__version__}\n"


@pytest.mark.parametrize(
    ("word", "near"), [("figur3", "figure3"), ("Train", "train"), ("?", "")]
)
def test_unknown_subcommand_is_one_sentence(word, near, capsys):
    assert smoothie.main([word]) == command_line.BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith(f"smoothie: there is no command {word!r}")
    assert (f"did you mean {near}?" in said) == bool(near)
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["behind_ddpg", "behind-ddpg"])
def test_flags_and_exit_status_are_the_functions_own(name, capsys):
    assert smoothie.main([name, "--preset", "quik"]) == command_line.BAD_INPUT
    assert "--preset 'quik' is not a preset" in capsys.readouterr().err


def test_as_a_module_it_calls_itself_by_its_subcommand():
    for flags, start in (
        (["train"], "smoothie train: the following arguments are required: --agent"),
        (["figure3", "--nonsense"], "smoothie figure3: unrecognized arguments"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "smoothie_tf", *flags],
            capture_output=True,
            text=True,
        )
        assert done.returncode == command_line.BAD_INPUT
        assert done.stderr.startswith(start)


def test_what_is_recorded_is_the_command_that_was_called(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["reproduce/train.py", "--agent", "ddpg"])
    assert command_line.called_as("train") == ["python", "reproduce/train.py"]
    assert command_line.program_name("train") == "train.py"
    monkeypatch.setattr(sys, "argv", ["smoothie train", "--agent", "ddpg"])
    assert command_line.called_as("train") == ["smoothie", "train"]
    assert command_line.program_name("train") == "smoothie train"
