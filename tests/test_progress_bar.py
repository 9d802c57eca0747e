"""Progress bars in terminals and log files."""

import io
import sys

from smoothie_tf import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream, times):
    """How often a bar is written."""
    with progress_bar.create("runs", "step", times, stream, mininterval=0) as bar:
        for _ in range(times):
            bar.update()
    return stream.getvalue().count("runs:")


def test_a_terminal_sees_each_update_and_a_file_the_first_and_the_last():
    assert shown(Terminal(), 100) > 50
    assert shown(io.StringIO(), 100) == 2


def test_standard_error_is_looked_up_when_the_bar_is_made(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    progress_bar.create("runs", "step", 3).close()
    assert "runs:" in sys.stderr.getvalue()


def test_a_sentence_is_a_line_of_its_own(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar.create("runs", "step", 3) as bar:
        bar.update()
        progress_bar.say("The task did not end an episode.")
    lines = sys.stderr.getvalue().replace("\r", "\n").splitlines()
    assert "The task did not end an episode." in [line.strip() for line in lines]
