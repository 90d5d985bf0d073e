"""`--launch`: the same runs and the same numbers as in one process, whoever trains them."""

import contextlib
import json
import math

import msgspec
import pytest

from elbax._errors import RunFailedError
from elbax.cli import launching
from elbax.cli import options as o
from elbax.cli.main import main
from elbax.launch.work import perform
from elbax.studies.papers.catalogue import STUDIES
from elbax.studies.perform import chosen

from ..launch.test_work import Inline

TINY = ["--hidden", "4", "--latents", "2", "--epochs", "2", "--batch-size", "400"]
METHODS = ["--methods", "vae(4)", "iwae(4)", "--seeds", "0", "1"]
EVALUATED = ["--ks", "1", "8", "--num-data", "20", "--json"]
LAUNCHED = ["--launch", "local", "--runs-per-job", "2"]


@pytest.fixture
def inline(monkeypatch):
    """Workers that are this process: what a real one adds is tested with the engines."""
    executor = Inline()
    executor.shutdown = lambda *_, **__: None
    monkeypatch.setattr("elbax.launch.processes.Processes", lambda workers: executor)
    return executor


def test_compare_shares_out_its_methods_and_finds_the_same(tmp_path, capsys, inline):
    here, there = tmp_path / "here", tmp_path / "there"
    words = ["compare", *METHODS, *TINY, *EVALUATED]
    assert main([*words, "--out", str(here)]) == 0
    alone = json.loads(capsys.readouterr().out)["results"]["runs"]
    assert main([*words, *LAUNCHED, "--out", str(there)]) == 0
    launched = json.loads(capsys.readouterr().out)
    assert inline.calls == 2
    assert [path.rpartition("/")[2] for path in launched["folders"]] == ["vae-4", "iwae-4"]
    assert [run["name"] for run in launched["results"]["runs"]] == [run["name"] for run in alone]
    for one, other in zip(launched["results"]["runs"], alone, strict=True):
        assert one["metrics"] == other["metrics"]
    assert (there / "report.html").exists()

    assert main([*words, *LAUNCHED, "--out", str(there)]) == 2
    assert "already holds runs; add --resume" in capsys.readouterr().err
    assert inline.calls == 2
    assert main([*words, *LAUNCHED, "--out", str(there), "--resume"]) == 0
    again = json.loads(capsys.readouterr().out)["results"]
    assert again["runs"] == launched["results"]["runs"]


def test_reproduce_hands_its_runs_to_the_engine_before_it_concludes(tmp_path, capsys, monkeypatch):
    handed, opened = [], []

    def train_on(executor, runs, store, budget, *, most, watch):
        handed.append((executor, [run.name for run in runs], budget, most))
        watch([])
        raise RunFailedError("a node burns")

    @contextlib.contextmanager
    def engine(name, **options):
        opened.append((name, options["workers"], options["logs"]))
        yield "executor"

    monkeypatch.setattr("elbax.studies.launched.train_on", train_on)
    monkeypatch.setattr("elbax.cli.launching.engine", engine)
    words = ["reproduce", "log-expectation", "--epochs", "2", "--seeds", "0", "--out"]
    assert main([*words, str(tmp_path / "out"), "--launch", "local", "--workers", "3"]) == 1
    assert "elbax: a node burns" in capsys.readouterr().err
    assert opened == [("local", 3, str(tmp_path / "out" / "launch"))]
    study = STUDIES["log-expectation"]
    preset = chosen(study, "quick", epochs=2, seeds=(0,))
    names = [run.name for run in study.runs(preset)]
    assert handed == [("executor", names, preset.budget, math.ceil(len(names) / 3))]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--partition", "gpu"], "expected --launch slurm with --partition; got none"),
        (["--launch", "dask", "--gpus", "1"], "expected --launch slurm with --gpus; got --launch"),
        (["--launch", "slurm", "--address", "tcp://a:1"], "expected --launch dask with --address"),
        (["--workers", "2"], "expected --launch local with --workers; got none"),
        (["--launch", "dask", "--address", "tcp://a:1", "--workers", "2"], "got both"),
        (["--launch", "local", "--overwrite"], "expected --overwrite without --launch; got both"),
        (["--launch", "local", "--methods", "vae(4)", "iwae(8)"], "equally many samples"),
        (["--launch", "nowhere"], "unknown --launch 'nowhere'. Known: local, slurm, dask"),
    ],
)
def test_what_cannot_be_launched_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, capsys, words, said
):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_error_on_a_worker_is_said_as_if_it_were_here(tmp_path, capsys, inline):
    words = ["compare", *METHODS, *TINY, *EVALUATED, *LAUNCHED, "--learning-rate", "1e30"]
    assert main([*words, "--out", str(tmp_path / "there")]) == 1
    assert "elbax: every run diverged (vae-m4-seed0, vae-m4-seed1)" in capsys.readouterr().err


def test_a_part_travels_as_plain_values(tmp_path):
    options = o.Compare(methods=("vae(4)", "iwae(4)"), launch=o.LaunchOptions(launch="local"))
    for folder, part in launching._parts(options, tmp_path).items():
        sent = json.loads(json.dumps(msgspec.to_builtins(part)))
        assert msgspec.convert(sent, o.Compare) == part
        assert part.run.out == str(folder)
        assert part.launch == o.LaunchOptions()
    assert perform.__module__ == "elbax.launch.work"


def test_a_part_that_somebody_else_trains_is_left_to_them(tmp_path):
    from elbax.training.claims import claimed

    options = o.Compare(run=o.RunOptions(out=str(tmp_path / "part")))
    with claimed(tmp_path / "part"):
        found = launching.compare_part(msgspec.to_builtins(options))
    assert "is in use by process" in found["held"]
