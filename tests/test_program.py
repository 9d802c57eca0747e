import io
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "reproduce").glob("*.py"))
# Without the mode in which Python takes UTF-8 whatever the locale says.
ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


def run(code, **kwargs):
    code = f"import sys\nfrom smoothie_tf import program\n{code}"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, **kwargs
    )


def in_locale(name):
    return {**os.environ, **ENCODINGS[name]}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_starts_as_a_program(script):
    text = script.read_text(encoding="utf-8")
    assert text.count("sys.exit(program.run(") == text.count("sys.exit(") == 1


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("script", ["figure3", "table1", "evaluate", "section3"])
def test_help_in_any_encoding(script, name):
    done = subprocess.run(
        [sys.executable, ROOT / "reproduce" / f"{script}.py", "--help"],
        env=in_locale(name),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"usage: ")


@pytest.mark.parametrize("name", ENCODINGS)
def test_signs_that_a_terminal_does_not_have_are_escaped(name):
    code = "import os; program.run(lambda: print('\\u03c3', os.fsdecode(b'r\\xff')))"
    done = run(code, env=in_locale(name))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode("ascii") == "\\u03c3 r\\udcff\n"


def test_a_reader_that_goes_away_ends_nothing(tmp_path):
    code = (
        "def command():\n"
        "    for i in range(100_000): print('line', i)\n"
        f"    open({str(tmp_path / 'done')!r}, 'w').close()\n"
        "    return 0\n"
        "sys.exit(program.run(command))"
    )
    code = f"import sys\nfrom smoothie_tf import program\n{code}"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"line 0\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0
    assert (tmp_path / "done").exists()


def test_a_full_disk_is_said_and_ends_nothing(tmp_path):
    code = (
        "def command():\n"
        "    print('the result', flush=True)\n"
        f"    open({str(tmp_path / 'done')!r}, 'w').close()\n"
        "    return 0\n"
        "sys.exit(program.run(command))"
    )
    code = f"import sys\nfrom smoothie_tf import program\n{code}"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert done.stderr == (
        b"The output could not be written: No space left on device.\n"
    )
    assert (tmp_path / "done").exists()


def test_a_file_that_cannot_be_written_is_said():
    """With its name where the system's error has one."""
    code = "sys.exit(program.run(lambda: open('/dev/full', 'w', 1).write('line\\n')))"
    message = b"A file cannot be opened or written: No space left on device.\n"
    done = run(code)
    assert (done.returncode, done.stderr) == (1, message)
    code = (
        "def command(): raise PermissionError(13, 'Permission denied', 'there.csv')\n"
        "sys.exit(program.run(command))"
    )
    message = b"there.csv cannot be opened or written: Permission denied.\n"
    done = run(code)
    assert (done.returncode, done.stderr) == (1, message)


def test_closed_streams_end_nothing():
    code = "import sys; from smoothie_tf import program\n" + (
        "sys.exit(program.run(lambda: print('x') or print('y', file=sys.stderr) or 7))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(["sh", "-c", '"$@" >&- 2>&-', "sh", *command], check=False)
    assert done.returncode == 7


def test_the_status_is_the_commands_own():
    assert run("sys.exit(program.run(lambda: 3))").returncode == 3
    assert run("program.run(lambda: sys.exit(4))").returncode == 4


def test_streams_that_somebody_catches_stay(monkeypatch):
    from smoothie_tf import program

    monkeypatch.setenv("MPLBACKEND", "svg")
    caught = io.StringIO()
    monkeypatch.setattr(sys, "stdout", caught)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert program.run(lambda: print("σ")) == 0
    assert sys.stdout is caught
    assert caught.getvalue() == "σ\n"
    assert os.environ["MPLBACKEND"] == "agg"


def test_modules_in_the_working_directory_can_be_imported_after_installed_ones(
    tmp_path,
):
    (tmp_path / "my_task.py").write_text("WHERE = 'here'\n")
    (tmp_path / "json.py").write_text("raise RuntimeError\n")
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(
        "from smoothie_tf import program\n"
        "def command():\n"
        "    import json, my_task\n"
        "    print(my_task.WHERE)\n"
        "    return 0\n"
        "raise SystemExit(program.run(command))\n"
    )
    root = str(pathlib.Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.returncode) == ("here\n", 0), done.stderr


def test_a_path_that_is_none_is_said():
    done = run("sys.exit(program.run(lambda: open(sys.executable + '/x')))")
    (line,) = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert line.endswith("/x cannot be opened or written: Not a directory.")


def test_an_interruption_is_said():
    done = run("def stop(): raise KeyboardInterrupt\nsys.exit(program.run(stop))")
    assert (done.returncode, done.stderr) == (130, b"Stopped.\n")


def test_a_working_directory_that_was_removed(tmp_path):
    code = f"import os\nos.chdir({str(tmp_path / 'here')!r})\nos.rmdir(os.getcwd())\n"
    (tmp_path / "here").mkdir()
    done = run(f"{code}sys.exit(program.run(print))")
    assert done.returncode == 2
    assert done.stderr == b"The working directory does not exist any more.\n"
