"""W&B's offline files: records of wandb's own protocol buffers, in the log that they lie in."""

import json
import time
from collections import defaultdict

import numpy as np
import pytest
from PIL import Image

import elbax
from elbax.sinks.wandb import WandB

from .runs import (
    ENDS,
    EPOCHS,
    PER_EPOCH,
    RUNS,
    expected,
    gone_on_with,
    interrupted,
    is_picture,
    same,
)

pytest.importorskip("wandb", reason="the extra wandb is not installed")
pytestmark = pytest.mark.filterwarnings("default")  # W&B's and protobuf's own

BLOCK = 32768  # bytes of a LevelDB log, which these files are
WHOLE, LAST = 1, 4


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    import wandb

    wandb.teardown()  # what this process knew of the environment
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_DIR", raising=False)
    yield
    wandb.teardown()


def records(path):
    """The records of a .wandb file."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, parts = path.read_bytes(), 7, b""
    assert content.startswith(b":W&B")
    while at < len(content):
        if (left := BLOCK - at % BLOCK) < 7:  # no place for a header
            at += left
            continue
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (WHOLE, LAST):
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def values(items) -> dict:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def read(folder) -> dict:
    """By run: points, and the other records by kind, of its newest file; and how many it has."""
    import wandb

    wandb.teardown()  # its process writes on for a moment after a run's `finish`
    newest: dict = {}
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        newest.setdefault(path.stem, []).append(path)  # by W&B's id
    found = {}
    for paths in newest.values():
        points, others, until = {}, defaultdict(list), time.monotonic() + 20
        while not others["exit"] and time.monotonic() < until:
            others.clear()
            for one in records(paths[-1]):
                kind = one.WhichOneof("record_type") or "none"
                others[kind].append(getattr(one, kind, None))
            time.sleep(0 if others["exit"] else 0.2)
        for row in (values(one.item) for one in others["history"]):
            for name in [name for name in row if not name.startswith("_") and "." not in name]:
                assert row["_step"] not in points.setdefault(name, {}), "twice"
                points[name][row["_step"]] = row[name]
        [begun] = others["run"]
        found[begun.display_name] = (points, others, len(paths))
    return found


@pytest.mark.parametrize("end", ENDS)
def test_offline_files_hold_what_metrics_jsonl_says_also_of_a_run_that_went_on(end, tmp_path):
    folder = tmp_path / "trial"
    end(folder, "wandb")
    if end is interrupted:  # a killed one may have written next to nothing
        assert [sorted(points["bound"]) for points, _, _ in read(folder).values()] == [
            [5, 10, 15]
        ] * 2
    gone_on_with(folder, "wandb")
    found = read(folder)
    assert same({run: points for run, (points, _, _) in found.items()}, expected(folder))
    for run, (_, others, count) in found.items():
        assert count == 2
        [begun], [exited] = others["run"], others["exit"]
        assert (begun.project, begun.run_group, exited.exit_code) == ("elbax", "trial", 0)
        told = {one.name for one in others["artifact"]}
        assert told == {f"{begun.run_id}-{name}" for name in ("config.json", "metrics.jsonl")}
        config = values(begun.config.update)
        assert (config["method"], config["seed"]) == ("iwae(k=4)", RUNS.index(run))
        assert config["train"]["epochs"] == EPOCHS
        assert len(config["data"]["fingerprint"]) == 16
    for name in ("reconstructions", "samples"):
        last = f"{name}_{EPOCHS * PER_EPOCH}_*.png"
        images = [*folder.glob(f"wandb/offline-run-*/files/media/images/{last}")]
        assert len(images) == 2
        assert all(is_picture(np.asarray(Image.open(path)), 8) for path in images)


def test_without_a_login_it_is_said_before_the_training(monkeypatch, tmp_path):
    import wandb

    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    wandb.teardown()
    with pytest.raises(elbax.InputError, match=r"expected a login to send to W&B; got none\. Run"):
        WandB()
