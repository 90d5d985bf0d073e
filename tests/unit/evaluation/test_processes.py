"""Two processes of this machine share an evaluation: the numbers of one, in both."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import elbax
from elbax.cli.main import main
from elbax.cli.options import Evaluate
from elbax.evaluation import processes

from . import two_processes

SCRIPT = Path(two_processes.__file__)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def run_both(command: list[str], **options) -> list[subprocess.CompletedProcess]:
    """Two processes, that differ in the number which follows the command."""
    both = [
        subprocess.Popen(
            [sys.executable, *command, str(index)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
        )
        for index in range(2)
    ]  # fmt: skip
    try:
        return [
            subprocess.CompletedProcess(one.args, 0, *one.communicate(timeout=180)) for one in both
        ]
    finally:
        for one in both:
            one.kill()


def test_two_processes_find_what_one_finds_and_refuse_two_models():
    address = f"127.0.0.1:{free_port()}"
    told = [json.loads(one.stderr.splitlines()[-1]) for one in run_both([str(SCRIPT), address])]
    alone = two_processes.found(two_processes.model())
    for one in told:
        # 45 data: 23 for one, and the same program; one more that the other fills up with.
        np.testing.assert_array_equal(one["found"][0], alone[0])
        np.testing.assert_array_equal(one["found"][1], alone[1])
        np.testing.assert_array_equal(one["found"][2], alone[2])
        assert "others in process 1 than in process 0" in one["refused"]


@pytest.mark.slow
def test_the_command_says_and_writes_what_it_does_alone(tmp_path):
    """Only the first process tells, and the folder is the same to the last bit."""
    for name in ("one", "two"):
        config = elbax.TrainConfig(epochs=1)
        elbax.fit("iwae(k=2)", elbax.load_data("digits"), model="small", config=config,
                  directory=tmp_path / name)  # fmt: skip
    words = ["-m", "elbax", "evaluate", "--ks", "1", "128", "--num-data", "61", "--json"]
    options = {"cwd": tmp_path, "env": os.environ | {"ELBAX_CACHE": str(tmp_path / "cache")}}
    alone = subprocess.run([sys.executable, *words, "one"], capture_output=True, **options)
    place = ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2", "--process-id"]
    first, second = run_both([*words, "two", *place], **options)
    assert second.stdout == ""
    metrics = [json.loads(text)["results"]["runs"][0] for text in (alone.stdout, first.stdout)]
    assert metrics[0] == metrics[1]
    with np.load(tmp_path / "one/per_datum.npz") as a, np.load(tmp_path / "two/per_datum.npz") as b:
        for name in ("bounds", "ess", "khat"):
            np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize(
    ("num_rows", "count"), [(45, 2), (5, 4), (2, 3)], ids=["even", "some", "few"]
)
def test_every_row_has_a_process_and_all_have_equally_many(monkeypatch, num_rows, count):
    monkeypatch.setattr(processes.jax, "process_count", lambda: count)
    shares = []
    for index in range(count):
        monkeypatch.setattr(processes.jax, "process_index", lambda index=index: index)
        shares.append(processes.own_rows(num_rows))
    assert len({len(share) for share in shares}) == 1
    assert np.concatenate(shares)[:num_rows].tolist() == list(range(num_rows))
    assert max(map(max, shares)) < num_rows


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num-processes", "2"], "expected --coordinator with"),
        (["--coordinator", "node1"], "as auto or HOST:PORT"),
        (["--coordinator", "node1:99999"], "as auto or HOST:PORT"),
        (["--coordinator", "a:1"], "expected --num-processes and a --process-id below it"),
        (
            ["--coordinator", "a:1", "--num-processes", "2", "--process-id", "2"],
            "expected --num-processes and a --process-id below it",
        ),
        (["--coordinator", "a:1", "--num-processes", "0", "--process-id", "0"], ">= 1; got 0"),
        (["--devices", "0"], "expected --devices >= 1; got 0"),
        (["--devices", "99"], "expected devices from 1 to"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_words_about_processes_are_refused(tmp_path, capsys, words, message):
    assert main(["evaluate", str(tmp_path), *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_without_a_cluster_auto_says_what_to_give(tmp_path):
    """In a process of its own: JAX has to be new."""
    words = [sys.executable, "-m", "elbax", "evaluate", str(tmp_path), "--coordinator", "auto"]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "found neither. Give --coordinator HOST:PORT" in ended.stderr


def test_an_address_where_nobody_is_ends_in_a_sentence(monkeypatch, capsys):
    from elbax.cli import machine

    monkeypatch.setattr(machine, "_SECONDS", 0)
    where = f"127.0.0.1:{free_port()}"
    options = Evaluate(folder="x", coordinator=where, num_processes=2, process_id=1)
    with pytest.raises(elbax.InputError, match=f"meet at {where} within 0 s; Connection refused"):
        machine._wait_for_first(where, options)
