"""A run folder belongs to one configuration, and its files survive interruptions."""

import json
import pathlib
import shutil
import socket
import subprocess
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax.training.folder import RunFolder, newest_checkpoint
from elbax.training.recorded import identity_of, read_account, read_config

from .runs import MODEL, binary_images, bits, build, grey_dataset, train

CONFIG = {"train": {"epochs": 3}, "runs": ["a"]}


class State(NamedTuple):
    """A run's state, as far as a folder looks at it."""

    params: jax.Array
    step: jax.Array


def state(step: int) -> State:
    return State(jnp.arange(3.0) * step, jnp.asarray(step))


def opened(path, *, resume: bool = False, **config) -> RunFolder:
    return RunFolder(path, CONFIG | config, resume=resume)


def records(*steps: int) -> list[dict]:
    return [{"run": "a", "step": step, "bound": -1.5 * step} for step in steps]


def steps_in(path) -> list[int]:
    return [json.loads(line)["step"] for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_a_new_folder_holds_its_configuration_and_no_metrics(tmp_path):
    path = tmp_path / "deep" / "run"
    opened(path)
    assert json.loads((path / "config.json").read_text()) == CONFIG
    assert (path / "metrics.jsonl").read_bytes() == b""
    assert newest_checkpoint(path) is None


def test_the_same_configuration_is_opened_only_to_resume(tmp_path):
    opened(tmp_path).append_metrics(records(1))
    with pytest.raises(elbax.CheckpointError, match="already holds these runs; add --resume"):
        opened(tmp_path)
    opened(tmp_path, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_another_configuration_is_refused_and_nothing_is_touched(tmp_path, resume):
    opened(tmp_path).append_metrics(records(1))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        elbax.CheckpointError, match=r"another configuration .*choose another folder"
    ):
        opened(tmp_path, resume=resume, runs=["b"])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b'{"train": '])
def test_a_damaged_configuration_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(elbax.CheckpointError, match=r"cannot read '.*config\.json'"):
        opened(tmp_path, resume=True)
    with pytest.raises(elbax.CheckpointError, match=r"cannot read '.*' \(.*\); it is damaged"):
        read_config(tmp_path)


def test_reading_the_configuration_of_a_folder_without_runs_says_what_to_do(tmp_path):
    with pytest.raises(elbax.CheckpointError, match=r"folder with a config\.json; found none"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(elbax.CheckpointError, match="Expected `object`, got `array`"):
        read_config(tmp_path)


@pytest.mark.parametrize("below", ["", "run", "runs/first"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, below):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(elbax.OutputError, match=r"cannot write '.*\.claim'.* A file is in the way"):
        train(directory=file / below)
    assert file.read_text() == "mine"


def test_metrics_that_cannot_be_written_are_reported(tmp_path):
    folder = opened(tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(elbax.OutputError, match=r"cannot write '.*metrics.jsonl' .*then resume"):
        folder.append_metrics(records(1))


def test_numbers_that_are_not_finite_become_null(tmp_path):
    bounds = (np.nan, np.inf, -np.inf, -1.25, 0.0)
    opened(tmp_path).append_metrics([{"step": 1, "bound": float(bound)} for bound in bounds])
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["bound"] for line in lines] == [None, None, None, -1.25, 0.0]
    assert all(json.loads(line)["step"] == 1 for line in lines)


def test_two_checkpoints_are_kept_the_newest(tmp_path):
    folder = opened(tmp_path)
    for step in (5, 10, 100, 95_000, 1_000_000):
        folder.checkpoint([state(step)])
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-0000095000.safetensors", "step-0001000000.safetensors"]
    assert newest_checkpoint(tmp_path).name == kept[-1]


def test_restoring_gives_the_newest_states_and_cuts_later_metrics(tmp_path):
    folder = opened(tmp_path)
    folder.append_metrics(records(5))
    folder.checkpoint([state(5)])
    folder.append_metrics(records(10))
    folder.checkpoint([state(10), state(10)])
    kept = (tmp_path / "metrics.jsonl").read_bytes()
    folder.append_metrics(records(15, 20))
    restored = opened(tmp_path, resume=True).restore(state(0))
    assert [bits(found) for found in restored] == [bits(state(10))] * 2
    assert (tmp_path / "metrics.jsonl").read_bytes() == kept


def test_without_a_checkpoint_the_runs_begin_again_and_so_do_their_metrics(tmp_path):
    opened(tmp_path).append_metrics(records(5))
    assert opened(tmp_path, resume=True).restore(state(0)) is None
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def test_a_folder_that_does_not_say_what_its_own_model_was_resumes_with_a_word(tmp_path):
    def own(key):
        return elbax.linear_gaussian(6, 2, key=key)

    _, _, identity = build({"mine": elbax.iwae(4)}, model=own)
    older = json.loads(json.dumps(identity))
    del older["model"]["code"], older["runs"][0]["objective"]
    RunFolder(tmp_path, older, resume=False).checkpoint([state(4)])
    with pytest.warns(UserWarning, match="does not say what its own model or objective was"):
        RunFolder(tmp_path, identity, resume=True).restore(state(0))


def test_what_an_interrupted_write_left_is_no_checkpoint(tmp_path):
    folder = opened(tmp_path)
    folder.checkpoint([state(5)])
    (tmp_path / "checkpoints" / ".step-0000000010.safetensors.123.part").write_bytes(b"half")
    restored = opened(tmp_path, resume=True).restore(state(0))
    assert bits(restored[0]) == bits(state(5))


def test_a_damaged_newest_checkpoint_is_passed_over_and_set_aside(tmp_path):
    folder = opened(tmp_path)
    folder.append_metrics(records(5))
    folder.checkpoint([state(5)])
    folder.append_metrics(records(10))
    folder.checkpoint([state(10)])
    newest = newest_checkpoint(tmp_path)
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=rf"{newest.name}' is truncated .* Using 'step-0000000005"):
        restored = opened(tmp_path, resume=True).restore(state(0))
    assert bits(restored[0]) == bits(state(5))
    assert steps_in(tmp_path) == [5]
    assert newest.with_name(f"{newest.name}.damaged").exists()
    assert newest_checkpoint(tmp_path).stem == "step-0000000005"


def contents(path) -> dict:
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def lose_checkpoints(path):
    shutil.rmtree(path / "checkpoints")


def hide_checkpoints(path):
    (path / "checkpoints").rename(path / "kept")
    (path / "checkpoints").write_text("a folder that cannot be listed")


def damage_checkpoints(path):
    for file in (path / "checkpoints").iterdir():
        file.write_bytes(file.read_bytes()[:-1])


def lose_config(path):
    (path / "config.json").unlink()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lose_checkpoints, "the checkpoints of '.*' are gone. Put them back"),
        (hide_checkpoints, r"cannot read '.*checkpoints' \(Not a directory\)"),
        (damage_checkpoints, "is truncated or damaged"),
        (lose_config, r"holds metrics.jsonl and .* but no config.json.* put config.json back"),
    ],
)
def test_no_history_is_lost_on_a_guess(tmp_path, harm, message):
    folder = opened(tmp_path)
    folder.append_metrics(records(5))
    folder.checkpoint([state(5)])
    harm(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(elbax.CheckpointError, match=message):
        opened(tmp_path, resume=True).restore(state(0))
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "training.json", "results.json", "per_datum.npz", "images.npz"]
)
def test_a_folder_with_somebodys_own_files_is_refused(tmp_path, name):
    (tmp_path / name).write_text("mine")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(elbax.CheckpointError, match=f"holds {name} but no config.json"):
            RunFolder(tmp_path, CONFIG, **{"resume": False, **options})
    assert contents(tmp_path) == {tmp_path / name: b"mine"}


def test_somebodys_own_config_is_refused_too(tmp_path):
    (tmp_path / "config.json").write_text('{"theme": "dark"}')
    with pytest.raises(elbax.CheckpointError, match="missing required field `train`"):
        RunFolder(tmp_path, CONFIG, resume=False, overwrite=True)
    assert json.loads((tmp_path / "config.json").read_text()) == {"theme": "dark"}


def test_runs_that_got_nowhere_leave_the_folder_to_others(tmp_path):
    opened(tmp_path)
    opened(tmp_path, runs=["b"])
    assert json.loads((tmp_path / "config.json").read_text())["runs"] == ["b"]
    opened(tmp_path, resume=True, runs=["c"]).append_metrics(records(1))
    with pytest.raises(elbax.CheckpointError, match="already holds another"):
        opened(tmp_path, runs=["b"])


def test_overwriting_begins_again_and_keeps_what_is_not_of_runs(tmp_path):
    folder = opened(tmp_path)
    folder.append_metrics(records(5))
    folder.checkpoint([state(5)])
    for name in ("results.json", "results-k1-n5-seed0.json", "notes.txt"):
        (tmp_path / name).write_text("kept?")
    RunFolder(tmp_path, CONFIG | {"runs": ["b"]}, resume=False, overwrite=True)
    found = {str(path.relative_to(tmp_path)) for path in contents(tmp_path)}
    assert found == {"config.json", "metrics.jsonl", "notes.txt"}
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def test_a_refusal_names_what_differs_and_that_a_run_cannot_be_lengthened(tmp_path):
    opened(tmp_path).append_metrics(records(1))
    message = r"\(train.epochs: 3 there, 4 now\).* cannot be lengthened; a new one .*--from"
    with pytest.raises(elbax.CheckpointError, match=message):
        opened(tmp_path, resume=True, train={"epochs": 4})
    message = r"\(runs.0: a there, b now; train.epochs: 3 there, 4 now\); choose"
    with pytest.raises(elbax.CheckpointError, match=message) as caught:
        opened(tmp_path, resume=True, train={"epochs": 4}, runs=["b"])
    assert "lengthened" not in str(caught.value)


def test_a_folder_from_before_a_setting_was_there_resumes(tmp_path):
    _, _, identity = build(seeds=(0,))
    older = json.loads(json.dumps(identity))
    del older["train"]["clip_norm"], older["model"]["channels"]
    RunFolder(tmp_path, older, resume=False).checkpoint([state(4)])
    for part, name, value in (("model", "hidden", [9]), ("train", "clip_norm", 1.0)):
        changed = identity | {part: identity[part] | {name: value}}
        with pytest.raises(elbax.CheckpointError, match=f"{part}.{name}"):
            RunFolder(tmp_path, changed, resume=True)
    RunFolder(tmp_path, identity, resume=True).restore(state(0))


@pytest.mark.parametrize(
    "account",
    [
        *("[1]", "{", '{"seconds": [1]}', '{"seconds": "x"}', '{"seconds": null}'),
        *('{"seconds": NaN}', '{"seconds": -1}', '{"seconds": true, "versions": 3, "device": []}'),
    ],
)
def test_an_odd_account_of_the_training_is_passed_over(tmp_path, account):
    folder = opened(tmp_path)
    folder.checkpoint([state(5)])
    (tmp_path / "training.json").write_text(account)
    assert read_account(tmp_path) == {}
    opened(tmp_path, resume=True).checkpoint([state(10)])
    assert 0 <= read_account(tmp_path)["seconds"] < 600


def test_a_checkpoint_that_cannot_be_dropped_does_not_end_the_run(tmp_path, monkeypatch):
    def fail(self, **_options):
        raise PermissionError(13, "Permission denied")

    folder = opened(tmp_path)
    monkeypatch.setattr(pathlib.Path, "unlink", fail)
    for step in (5, 10, 15):
        folder.checkpoint([state(step)])
    assert len(list((tmp_path / "checkpoints").iterdir())) == 3


def test_opening_a_folder_clears_what_killed_writers_left(tmp_path):
    folder = opened(tmp_path)
    folder.checkpoint([state(5)])
    dead = subprocess.Popen(["true"])
    dead.wait()
    place = f"{socket.gethostname()}.{dead.pid}.part"
    for name in (f".metrics.jsonl.{place}", f"checkpoints/.step-1.safetensors.{place}"):
        (tmp_path / name).write_bytes(b"half")
    opened(tmp_path, resume=True)
    assert not list(tmp_path.rglob("*.part"))


def test_the_identity_does_not_depend_on_the_order_of_keys():
    assert identity_of({"a": 1, "b": 2}) == identity_of({"b": 2, "a": 1})
    assert identity_of({"a": 1, "b": [1, 2]}) != identity_of({"a": 1, "b": [2, 1]})


def changed_images() -> np.ndarray:
    images = binary_images()
    images[7, 2] = 1 - images[7, 2]
    return images


@pytest.mark.parametrize(
    "change",
    [
        {"data": changed_images()},
        {"data": binary_images()[:-1]},
        {"data": grey_dataset()},
        {"model": elbax.ModelConfig(hidden=(9,), latents=2)},
        {"model": elbax.ModelConfig(hidden=(8,), latents=2, scale="softplus")},
        {"model": lambda key: elbax.one_layer((6,), MODEL, key=key)},
        {"epochs": 3},
        {"batch_size": 7},
        {"learning_rate": 3e-3},
        {"schedule": "constant"},
        {"adam_b1": 0.8},
        {"adam_b2": 0.99},
        {"adam_eps": 1e-8},
        {"clip_norm": 1.0},
        {"learning_rates": (2e-3,)},
        {"seeds": (1,)},
        {"seeds": (0, 1)},
        {"objectives": "ciwae(k=4, beta=0.25)"},
        {"objectives": "ciwae(k=4, beta=0.5, gradient=stl)"},
        {"objectives": ["ciwae(k=4, beta=0.5)", "vae(m=4)"]},
    ],
    ids=lambda change: ", ".join(change),
)
def test_whatever_results_depend_on_is_part_of_the_identity(change):
    options = {"objectives": "ciwae(k=4, beta=0.5)"}
    _, _, identity = build(**options)
    assert identity_of(identity) == identity_of(build(**options)[2])
    assert identity_of(identity) != identity_of(build(**options | change)[2])


def test_the_identity_survives_being_written_and_read(tmp_path):
    _, _, identity = build(
        ["ciwae(k=4, beta=0.05)", "vae(m=4)"], clip_norm=0.1, data=grey_dataset()
    )
    RunFolder(tmp_path, identity, resume=False)
    assert read_config(tmp_path) == identity


def test_fit_opens_its_folder_before_it_trains(tmp_path):
    _, _, identity = build(seeds=(1,))
    RunFolder(tmp_path, identity, resume=False).append_metrics(records(1))
    with pytest.raises(elbax.CheckpointError, match="already holds another configuration"):
        train(seeds=(0,), directory=tmp_path, resume=True)
    with pytest.raises(elbax.CheckpointError, match="already holds these runs; add --resume"):
        train(seeds=(1,), directory=tmp_path)


def test_a_run_killed_before_its_account_was_written_gets_it_on_resume(tmp_path):
    opened(tmp_path).checkpoint([state(5)])
    (tmp_path / "training.json").unlink()
    opened(tmp_path, resume=True).restore(state(0))
    assert read_account(tmp_path)["versions"]
