"""metrics.jsonl survives what a crash, a disk or a hand does to it, or is refused."""

import errno

import pytest

import elbax

from .test_folder import contents, opened, records, state, steps_in

WHOLE = b'{"run": "a", "step": 5}\n'


@pytest.mark.parametrize(
    "line",
    [
        *(b"[1]", b'"a"', b"{}", b"nonsense", b"\xff\xfe", b"\0\0", b"", b'{"run": 1, "step": 5}'),
        *(b'{"run": "a", "step": "5"}', b'{"run": "a", "step": null}'),
        b'{"run": "a", "step": true}',
    ],
)
def test_a_line_that_is_no_record_is_refused_and_nothing_is_touched(tmp_path, line):
    opened(tmp_path).checkpoint([state(5)])
    (tmp_path / "metrics.jsonl").write_bytes(WHOLE + line + b"\n" + WHOLE)
    before = contents(tmp_path)
    with pytest.raises(elbax.CheckpointError, match=r"line 2 of '.*' is no record .* Remove that"):
        opened(tmp_path, resume=True).restore(state(0))
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kept", [b"", WHOLE, WHOLE * 2])
def test_lines_lost_from_before_the_checkpoint_are_told_of(tmp_path, kept):
    config = {"runs": [{"name": "a"}], "data": {"steps_per_epoch": 5}}
    folder = opened(tmp_path, **config)
    folder.checkpoint([state(12)])
    (tmp_path / "metrics.jsonl").write_bytes(kept)
    lost = 1 if kept else 2
    with pytest.warns(UserWarning, match=f"has lost {lost} of the 2 lines that led to step 12"):
        opened(tmp_path, resume=True, **config).restore(state(0))


@pytest.mark.parametrize("torn", ['{"run": "a", "st', '{"run": "a", "step": 5}', "{", "\0\0\0"])
def test_a_torn_last_line_is_cut_on_resume(tmp_path, torn):
    folder = opened(tmp_path)
    folder.append_metrics(records(5))
    folder.checkpoint([state(5)])
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(torn)
    resumed = opened(tmp_path, resume=True)
    resumed.restore(state(0))
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole
    resumed.append_metrics(records(10))
    assert steps_in(tmp_path) == [5, 10]


def test_a_folder_that_vanishes_is_not_made_anew(tmp_path):
    folder = opened(tmp_path / "run")
    folder.append_metrics(records(5))
    (tmp_path / "run").rename(tmp_path / "moved")
    for write in (
        lambda: folder.append_metrics(records(10)),
        lambda: folder.checkpoint([state(5)]),
    ):
        with pytest.raises(elbax.OutputError, match="somebody has moved or removed it"):
            write()
    assert not (tmp_path / "run").exists()
    (tmp_path / "moved").rename(tmp_path / "run")
    folder.append_metrics(records(10))
    assert steps_in(tmp_path / "run") == [5, 10]


def test_a_disk_that_fills_leaves_no_half_line(tmp_path, monkeypatch):
    folder = opened(tmp_path)
    folder.append_metrics(records(5))
    before = (tmp_path / "metrics.jsonl").read_bytes()

    def full(_file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(
            elbax.OutputError, match=r"No space left .* Free some space, then resume"
        ):
            folder.append_metrics(records(10))
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    folder.append_metrics(records(10))
    assert steps_in(tmp_path) == [5, 10]
