"""`elbax train`: where its runs lie, what it says of them, and how it is stopped and goes on."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from elbax.cli import training
from elbax.cli.main import main
from elbax.cli.options import Train
from elbax.cli.parse import parse
from elbax.cli.signals import Signals, continued
from elbax.training.claims import claimed
from elbax.training.config import RunSpec
from elbax.training.fit import FitResult
from elbax.training.folder import newest_checkpoint

REPOSITORY = Path(__file__).resolve().parents[3]
PER_EPOCH, EPOCHS = 14, 3
WORDS = ["train", "--k", "4", "--hidden", "8", "--latents", "2", "--batch-size", "100"]
WORDS += ["--epochs", str(EPOCHS), "--monitor-every", "3"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert main([*WORDS, "--out", str(folder)]) == 0
    return folder


def bits(folder: Path) -> list[bytes]:
    files = ("config.json", "metrics.jsonl")
    return [newest_checkpoint(folder).read_bytes(), *((folder / f).read_bytes() for f in files)]


# ------------------------------------------------------------------ signals


@pytest.mark.parametrize(
    ("name", "at", "saved", "code"),
    [("SIGTERM", PER_EPOCH + 6, PER_EPOCH + 6, 143), ("SIGINT", 0, 8, 130)],
)
def test_a_signal_saves_within_the_epoch_and_the_run_goes_on_bit_for_bit(
    undisturbed, tmp_path, name, at, saved, code
):
    folder = tmp_path / "a run"
    command = [sys.executable, "-m", "tests.unit.cli.signalled", name, str(at)]
    done = subprocess.run(
        [*command, *WORDS, "--out", str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert f"elbax: {name}: saving after this step" in done.stderr
    assert f"saved at step {saved} of {EPOCHS * PER_EPOCH}" in done.stderr
    assert newest_checkpoint(folder).stem == f"step-{saved:010d}"
    again = shlex.split(re.search(r"Go on with: elbax (.*)", done.stderr)[1])
    assert again == [*WORDS, "--out", str(folder), "--resume"]
    assert main(again) == 0
    assert bits(folder) == bits(undisturbed)


STUCK = """
import sys, time
from elbax.cli.signals import SIGNALS
with SIGNALS.heard(), SIGNALS.training():
    print("ready", flush=True)
    time.sleep(600)  # stands for a step that does not end
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(number):
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert "once more ends at once" in process.stderr.readline()
    assert process.poll() is None
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "what was saved before is whole" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_where_nothing_is_trained_one_signal_ends_the_command(number, monkeypatch, capsys):
    from elbax.cli import data

    def interrupted(_):
        signal.raise_signal(number)
        raise AssertionError("went on")

    monkeypatch.setattr(data, "data_list", interrupted)
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    assert main(["data", "list"]) == 128 + number
    assert "elbax: interrupted" in capsys.readouterr().err
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_heard_late_is_not_of_the_next_command():
    class Slow(Signals):
        def _listen(self, read):
            time.sleep(0.2)
            super()._listen(read)

    signals = Slow()
    with signals.heard(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    with signals.heard():
        time.sleep(0.5)
        assert not signals.stop()


def test_the_command_that_goes_on_is_whole():
    words = ["train", "--out=my runs", "--overwrite", "--k", "4"]
    assert continued(words, "my runs").endswith("elbax train '--out=my runs' --k 4 --resume")
    assert continued(["reproduce", "table1"], None).endswith("elbax reproduce table1")


# ------------------------------------------------------------------ what is said


def test_a_finished_run_that_is_resumed_still_has_its_bound(undisturbed, capsys):
    lines = (undisturbed / "metrics.jsonl").read_text().splitlines()
    bound = json.loads(lines[-1])["bound"]
    assert main([*WORDS, "--out", str(undisturbed), "--resume"]) == 0
    assert f"iwae-k4-seed0: ok, bound {bound:.2f} nats per datum" in capsys.readouterr().out


def test_a_run_trained_until_an_epoch_says_so_and_goes_on(undisturbed, tmp_path, capsys):
    words = [*WORDS, "--out", str(tmp_path / "run")]
    assert main([*words, "--until", "2"]) == 0
    told = capsys.readouterr()
    assert f"Stopped after epoch 2 of {EPOCHS}, as asked" in told.out
    assert f"epoch 2 of {EPOCHS}, until 2" in told.err
    assert main(["evaluate", str(tmp_path / "run"), "--ks", "1", "4"]) == 0
    assert f"After 2 of the {EPOCHS} epochs of the schedule." in capsys.readouterr().out
    assert main([*words, "--resume"]) == 0
    assert "Stopped" not in capsys.readouterr().out
    assert bits(tmp_path / "run")[:2] == bits(undisturbed)[:2]


def test_a_folder_in_use_is_refused(undisturbed, capsys):
    with claimed(undisturbed):
        assert main([*WORDS, "--out", str(undisturbed), "--resume"]) == 2
    assert "is in use by process" in capsys.readouterr().err


def test_runs_that_all_diverge_are_a_failure_and_are_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*WORDS, "--learning-rate", "1e30"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "elbax: every run diverged (iwae-k4-seed0)" in printed.err
    latest = tmp_path / "runs" / "latest"
    assert latest.is_symlink()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}-iwae-k4", latest.resolve().name)
    records = [json.loads(line) for line in (latest / "metrics.jsonl").read_text().splitlines()]
    assert [record["status"] for record in records] == ["diverged"] * EPOCHS
    assert newest_checkpoint(latest) is not None


def test_one_run_of_two_that_diverges_is_said(tmp_path):
    runs = (RunSpec("vae(m=4)", 0), RunSpec("iwae(k=4)", 0))
    result = FitResult(runs, (), ("diverged", "ok"), (), 1.0, 1)
    lines = [
        {"run": runs[0].name, "step": 1, "bound": -3.25},
        {"run": runs[0].name, "step": 2, "bound": None},
        {"run": runs[1].name, "step": 2, "bound": -2.5},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    training.check_trained(result, tmp_path)
    assert training.trained_lines(result, tmp_path) == [
        "vae-m4-seed0: diverged, last finite bound -3.25 nats per datum",
        "iwae-k4-seed0: ok, bound -2.50 nats per datum",
        "1 of 2 runs diverged.",
    ]


# ------------------------------------------------------------------ where it lies


def folder_of(*words: str) -> Path:
    options = parse(["train", *words])
    assert isinstance(options, Train)
    return training.run_folder(options, "piwae(m=8, k=8, gradient=dreg)")


def test_a_run_without_a_folder_gets_one_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda _: "2026-11-25-143000")
    first = folder_of()
    assert first == Path("runs/2026-11-25-143000-piwae-m8-k8-gradientdreg")
    first.mkdir(parents=True)
    second = folder_of()
    assert second != first
    assert second.name.startswith(first.name)
    training._link_latest(first)
    assert folder_of("--resume") == first
    second.mkdir()
    training._link_latest(second)
    assert folder_of("--resume") == second
    assert folder_of("--out", "mine", "--resume") == Path("mine")


def test_a_folder_called_latest_of_an_earlier_version_stays_and_resumes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "latest").mkdir(parents=True)
    (tmp_path / "runs" / "new").mkdir()
    training._link_latest(Path("runs/new"))
    assert not (tmp_path / "runs" / "latest").is_symlink()
    assert folder_of("--resume") == Path("runs/latest")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resume"], "there is no 'runs/latest' to resume"),
        (["--resume", "--overwrite"], "one of --resume and --overwrite"),
    ],
)
def test_what_cannot_be_resumed_is_refused(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
