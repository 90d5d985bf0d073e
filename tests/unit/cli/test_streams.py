"""stdout and stderr that are full, closed, left by their reader, or in an encoding of few signs."""

import io
import os
import subprocess
import sys

import pytest

from elbax.cli import streams
from elbax.cli.progress import Reporter


@pytest.mark.parametrize("words", [["data", "list"], ["train", "--help"]], ids=" ".join)
def test_a_stdout_that_cannot_be_written_is_an_exit_code_and_a_sentence(words):
    """By the shell: full, closed, and with a reader that has gone."""
    command = f"{sys.executable} -m elbax {' '.join(words)}"
    full, closed, left = (
        subprocess.run(["bash", "-c", text], capture_output=True, check=False, text=True)
        for text in (
            f"{command} > /dev/full",
            f"{command} >&-",
            f"{command} | true; exit ${{PIPESTATUS[0]}}",
        )
    )
    assert (full.returncode, closed.returncode, left.returncode) == (1, 1, 141)
    assert full.stderr.startswith("elbax: cannot write to stdout: No space left on device.")
    assert closed.stderr.startswith("elbax: cannot write to stdout: Bad file descriptor.")
    assert left.stderr == ""
    assert full.stderr.count("\n") == closed.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=str
)
def test_help_is_printed_in_any_locale(environment):
    done = subprocess.run(
        [sys.executable, "-m", "elbax", "train", "--help"],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_a_stderr_that_cannot_be_written_changes_nothing():
    for text in ("2>&-", "2>/dev/full"):
        command = f"{sys.executable} -m elbax trian {text}; echo $?"
        done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, text=True)
        assert done.stdout == "2\n"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("-24.50 \N{PLUS-MINUS SIGN} 0.05  next", "-24.50 +-0.05  next"),
        ("a\N{HORIZONTAL ELLIPSIS} 3 \N{MULTIPLICATION SIGN} 4", "a~ 3 x 4"),
        ("runs/M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller", "runs/Muller"),
        ("runs/\u8def and \udcff", "runs/\\u8def and \\udcff"),
    ],
)
def test_what_an_encoding_lacks_is_written_in_ascii(text, plain, monkeypatch):
    bytes_written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_written, encoding="ascii"))
    with streams.prepared():
        assert streams.deliver(text) == 0
    assert bytes_written.getvalue().decode() == plain


def test_progress_that_nobody_can_read_stops_nothing(monkeypatch):
    class Gone(io.StringIO):
        def write(self, text, /):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    with streams.prepared(), Reporter() as reporter:
        reporter.update("training", 0.5, "epoch 1 of 2")
        reporter.say("note: it goes on")


def test_the_time_left_is_that_of_the_speed_after_compiling(monkeypatch, capsys):
    # 100 s until the first tenth was done, all but 10 s of them compiling; then 10 s for each.
    times = iter([0.0, 100.0, 110.0, 120.0, 190.0])
    monkeypatch.setattr("elbax.cli.progress.time.monotonic", lambda: next(times))
    monkeypatch.setattr("elbax.cli.progress._QUIET_SECONDS", 0.0)
    with Reporter() as reporter:
        for fraction in (0.0, 0.1, 0.2, 0.3, 1.0):
            reporter.update("training", fraction, "epoch")
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(", ")[2] for line in lines[2:4]] == ["80 s left", "70 s left"]
    assert [line for line in lines if "left" in line] == lines[2:4]
