"""Sinks of one's own: what they are told, and that nothing they do touches a run."""

import json
import re
import threading
import time
import warnings

import numpy as np
import pytest

import elbax
from elbax.sinks import known
from elbax.sinks.pictures import pictures, shown
from elbax.sinks.protocol import flat
from elbax.sinks.sinks import Sinks
from elbax.sinks.worker import Worker
from tests.conftest import REPOSITORY
from tests.unit.training.runs import grey_dataset, model_bits, slow_machine

from .runs import (
    IMAGES,
    PER_EPOCH,
    RUNS,
    expected,
    gone_on_with,
    interrupted,
    is_picture,
    logged,
    same,
)


class Notes:
    """A sink that remembers every call."""

    def __init__(self):
        self.runs, self.calls, self.points = {}, [], {}
        self.images, self.files, self.ended = {}, [], {}
        self.threads = set()

    def start(self, run):
        self.calls.append("start")
        self.runs[run.name] = run
        self.threads.add(threading.current_thread())
        return {"place": run.name}

    def metrics(self, run, step, values):
        self.calls.append("metrics")
        for name, value in values.items():
            assert step not in self.points.setdefault(run, {}).setdefault(name, {}), "twice"
            self.points[run][name][step] = value

    def image(self, run, step, name, pixels):
        self.calls.append("image")
        self.images[run, name] = (step, pixels)

    def artifact(self, run, path):
        self.files.append((run, path.name, path.read_bytes()))

    def finish(self, run, status):
        self.calls.append("finish")
        self.ended[run] = status
        self.threads.add(threading.current_thread())


class Failing(Notes):
    """Raises in one of its methods, and counts how often it is asked."""

    def __init__(self, where, error=OSError):
        super().__init__()
        self.asked = 0

        def fail(*arguments):
            self.asked += 1
            raise error("the server is gone\nand more")

        setattr(self, where, fail)


class Hanging(Notes):
    """Never returns from its first metrics, until the test lets it go."""

    def __init__(self):
        super().__init__()
        self.free = threading.Event()

    def metrics(self, run, step, values):
        self.free.wait()


@pytest.fixture(scope="module")
def plain():
    return logged(())


def test_a_sink_hears_all_that_metrics_jsonl_says(tmp_path):
    notes = Notes()
    result = logged(notes, directory=tmp_path / "trial")
    assert same(notes.points, expected(tmp_path / "trial"))
    assert notes.ended == dict.fromkeys(RUNS, "ok")
    assert notes.calls == ["start"] * 2 + ["metrics"] * 8 + ["image"] * 4 + ["finish"] * 2
    [thread] = notes.threads
    assert thread is not threading.main_thread()
    assert not thread.is_alive()
    for name in ("config.json", "metrics.jsonl"):
        content = (tmp_path / "trial" / name).read_bytes()
        assert [(run, name, content) for run in RUNS] == [f for f in notes.files if f[1] == name]
    run = notes.runs[RUNS[1]]
    assert (run.group, run.step, run.resumes) == ("trial", 0, False)
    hyper, config = run.hyperparameters, json.loads((run.folder / "config.json").read_text())
    assert (hyper["method"], hyper["seed"]) == ("iwae(k=4)", 1)
    assert hyper["learning_rate"] == config["train"]["learning_rate"]
    assert [hyper[part] == config[part] for part in ("model", "train", "data")] == [True] * 3
    assert flat(hyper)["data.fingerprint"] == config["data"]["fingerprint"]
    assert flat(hyper)["model.hidden"] == "[8]"
    for model, name in zip(result.models, RUNS, strict=True):
        wanted = pictures(model, IMAGES[:8])
        for what, pixels in wanted.items():
            assert notes.images[name, what][0] == 4 * PER_EPOCH
            assert is_picture(notes.images[name, what][1], 8)
            np.testing.assert_array_equal(notes.images[name, what][1], pixels)


@pytest.mark.parametrize("where", ["start", "metrics", "image", "artifact", "finish"])
def test_a_sink_that_fails_is_warned_of_once_and_changes_no_bit(where, plain, tmp_path):
    failing, notes = Failing(where), Notes()
    with pytest.warns(elbax.ElbaxWarning) as told:
        result = logged([failing, notes], directory=tmp_path / "run")
    [warning] = told
    assert str(warning.message) == (
        "logging to Failing has ended (OSError: the server is gone); the training is not "
        "affected, and metrics.jsonl has every metric."
    )
    assert failing.asked == 1
    assert notes.ended == dict.fromkeys(RUNS, "ok")  # the other heard all
    assert [*map(model_bits, result.models)] == [*map(model_bits, plain.models)]
    assert result.metrics == plain.metrics


def test_runs_with_and_without_a_sink_share_their_program():
    logged([])
    assert logged([Notes()]).num_compilations == 0


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError])
def test_nor_does_one_that_would_end_the_process(error, plain):
    with pytest.warns(elbax.ElbaxWarning, match=error.__name__):
        result = logged(Failing("metrics", error))
    assert [*map(model_bits, result.models)] == [*map(model_bits, plain.models)]


def test_a_sink_that_hangs_is_left_after_a_while(plain, monkeypatch):
    monkeypatch.setattr("elbax.sinks.sinks.PATIENCE", 1.0)
    hanging, notes = Hanging(), Notes()
    begun = time.monotonic()
    with pytest.warns(elbax.ElbaxWarning, match=r"Hanging .*; the training is not affected\.$"):
        result = logged([hanging, notes])
    assert time.monotonic() - begun < 20
    assert notes.ended == dict.fromkeys(RUNS, "ok")
    assert [*map(model_bits, result.models)] == [*map(model_bits, plain.models)]
    hanging.free.set()


def test_calls_do_not_wait_and_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("elbax.sinks.worker._MOST_WAITING", 3)
    free, done = threading.Event(), []
    worker = Worker("slow", Notes())
    worker.call(lambda sink: free.wait())
    begun = time.monotonic()
    for n in range(10):
        worker.call(lambda sink, n=n: done.append(n))
    assert time.monotonic() - begun < 0.5
    assert "does not answer" in str(worker.failure)
    free.set()


def test_what_a_resumed_run_tells_is_told_once(tmp_path):
    """A sink keeps what it heard; one that comes later, or had failed, is told what it missed."""
    folder, first = tmp_path / "run", Notes()
    interrupted(folder, first)
    assert first.ended == dict.fromkeys(RUNS, "failed")
    assert sorted(first.points[RUNS[0]]["epoch"]) == [5, 10, 15]
    second, late = Notes(), type("Late", (Notes,), {})()
    gone_on_with(folder, [second, late])
    run = second.runs[RUNS[1]]
    assert (run.step, run.logged, dict(run.memory)) == (10, 15, {"place": RUNS[1]})
    assert sorted(second.points[RUNS[0]]["epoch"]) == [15, 20]
    assert first.points[RUNS[0]]["bound"][15] == second.points[RUNS[0]]["bound"][15]
    assert late.runs[RUNS[1]].memory is None
    assert same(late.points, expected(folder))
    assert second.ended == dict.fromkeys(RUNS, "ok")
    # One that asks for all is told all.
    forgetful = Notes()
    forgetful.needs_all = True
    gone_on_with(folder, forgetful)
    assert same(forgetful.points, expected(folder))
    # Nothing is left to do, and nothing is told again.
    third = Notes()
    gone_on_with(folder, third)
    assert (third.points, third.images) == ({}, {})
    # Begun again, the runs are new ones.
    fourth = Notes()
    logged(fourth, directory=folder, overwrite=True)
    assert fourth.runs[RUNS[0]].memory is None
    assert sorted(fourth.points[RUNS[0]]["epoch"]) == [5, 10, 15, 20]


def test_runs_that_are_stopped_or_diverge_are_told_of_as_such(monkeypatch, tmp_path):
    slow_machine(monkeypatch)
    notes, asked = Notes(), []
    result = logged(notes, stop=lambda: bool(asked.append(1)) or len(asked) > 1)
    assert not result.finished
    assert notes.ended == dict.fromkeys(RUNS, "stopped")
    assert notes.images == {}
    assert notes.runs[RUNS[0]].group.startswith("20")  # the time: there is no folder
    monkeypatch.undo()
    notes = Notes()
    result = logged(notes, learning_rates=(None, 1e30))
    assert result.status == ("ok", "ok", "diverged", "diverged")
    assert [*notes.ended.values()] == [*result.status]
    wild = result.runs[2].name
    assert notes.runs[wild].hyperparameters["learning_rate"] == 1e30
    assert all(np.isfinite([*v.values()]).all() for v in notes.points[wild].values())


@pytest.mark.parametrize("content", [b"{", b'{"Notes": {"iwae-k4-seed0": {"memory": {}}}}', b"[1]"])
def test_a_damaged_sinks_json_is_said_to_be_and_costs_no_run(content, tmp_path):
    interrupted(tmp_path, Notes())
    (tmp_path / "sinks.json").write_bytes(content)
    notes = Notes()
    with pytest.warns(elbax.ElbaxWarning, match=r"cannot read .*sinks\.json"):
        assert gone_on_with(tmp_path, notes).finished
    assert same(notes.points, expected(tmp_path))


def test_pictures_are_of_images_alone_as_the_model_sees_them():
    grey = grey_dataset()
    assert shown(grey, binary=True) is None  # rows of six values
    images = elbax.Dataset(
        name="grey", train=grey.train.reshape(-1, 3, 2), test=grey.test.reshape(-1, 3, 2),
        levels=255.0, binarise="dynamic",
    )  # fmt: skip
    assert set(np.unique(shown(images, binary=True))) == {0.0, 1.0}
    assert len(np.unique(shown(images, binary=False))) > 40


def test_pictures_have_the_data_above_what_the_model_makes_of_them():
    """One of a single bright pixel, by a model that returns its data: two equal rows."""
    from elbax.sinks.pictures import _tiled

    rows = np.zeros((2, 3, 4, 5, 3), np.float32)
    rows[:, 1, 2, 3] = (1.0, 0.5, 2.0)
    pixels = _tiled(rows)
    assert pixels.shape == (2 * 34, 3 * 42, 3)
    np.testing.assert_array_equal(pixels[:34], pixels[34:])
    assert pixels[1 + 2 * 8, 42 + 1 + 3 * 8].tolist() == [255, 127, 255]
    assert pixels[0, 0].tolist() == [128] * 3
    assert (pixels[1:33, 1:41] == 0).all()


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("tensorbord", "unknown sink 'tensorbord'; did you mean 'tensorboard'? Known: tensorb"),
        ("wandb,nothing", "unknown sink 'nothing'. Known: tensorboard, wandb, mlflow, trackio."),
        (["tensorboard", "tensorboard"], "expected each sink once; got tensorboard 2 times."),
        ([Notes], "expected log as names of sinks or objects with the methods start, metrics, "),
        ([object()], "which has no start."),
    ],
)  # fmt: skip
def test_what_is_no_sink_is_refused_before_anything_is_made(log, said, monkeypatch, tmp_path):
    monkeypatch.setattr(known, "is_installed", lambda name: True)
    with pytest.raises(elbax.InputError) as refused:
        Sinks(log)
    assert said in str(refused.value)
    if not isinstance(log, str):
        return
    with pytest.raises(elbax.InputError):
        logged(log, directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_tool_that_is_not_installed_or_broken_is_one_sentence(monkeypatch):
    monkeypatch.setattr(known, "is_installed", lambda name: False)
    with pytest.raises(elbax.InputError) as refused:
        Sinks("wandb")
    assert str(refused.value) == (
        'expected wandb to be installed, to log there; it is not. Run `pip install "elbax[wandb]"`.'
    )

    def broken(name):
        raise TypeError("Descriptors cannot be created directly.\nIf this call ..")

    refusal = elbax.InputError  # which old releases of lazy_loader import at each look
    monkeypatch.setattr(known.importlib, "import_module", broken)
    with pytest.raises(refusal, match=r"failed \(TypeError: Desc.* directly\.\)\. Inst"):
        known.library("mlflow")


def test_no_tool_is_imported_that_was_not_asked_for():
    """Each is by `library`, when its sink is made."""
    sources = [path.read_text() for path in (REPOSITORY / "src").rglob("*.py")]
    statement = rf"^\s*(import|from) ({'|'.join(known.KNOWN)})\b"
    assert re.search(statement, "\nimport wandb", flags=re.MULTILINE)
    assert not re.search(statement, "\n".join(sources), flags=re.MULTILINE)


def test_no_sinks_are_no_threads_and_no_files(tmp_path):
    before = threading.active_count()
    with warnings.catch_warnings():
        logged((), directory=tmp_path)
    assert threading.active_count() == before
    assert not (tmp_path / "sinks.json").exists()
