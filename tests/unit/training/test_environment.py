"""Every run says where it was trained; whoever goes on elsewhere is told what differs."""

import json

import jax
import pytest

import elbax
from elbax.training.environment import changes, environment

from .runs import train


@pytest.fixture
def folder(tmp_path):
    train(directory=tmp_path / "run", epochs=1)
    return tmp_path / "run"


def account(folder) -> dict:
    return json.loads((folder / "training.json").read_text())


def rewritten(folder, **changed) -> None:
    (folder / "training.json").write_text(json.dumps(account(folder) | changed))


def test_a_run_says_where_it_was_trained(folder):
    found = account(folder)
    assert found["versions"]["jax"] == jax.__version__
    assert found["versions"]["elbax"] == elbax.__version__
    assert found["processor"]
    assert found["threads"] >= 1
    assert found["device"] == jax.devices()[0].device_kind
    assert found["flags"].get("XLA_FLAGS") == environment()["flags"].get("XLA_FLAGS")
    assert found["earlier"] == []


def test_flags_that_may_change_numbers_are_kept(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    monkeypatch.setenv("JAX_DEFAULT_MATMUL_PRECISION", "bfloat16")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "somewhere")
    flags = environment()["flags"]
    assert flags["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=true"
    assert flags["JAX_DEFAULT_MATMUL_PRECISION"] == "bfloat16"
    assert "JAX_COMPILATION_CACHE_DIR" not in flags


def test_a_flag_that_is_gone_or_new_is_a_change():
    there, here = {"flags": {"XLA_FLAGS": "--a"}}, {"flags": {"JAX_ENABLE_X64": "1"}}
    assert changes(there, here) == [
        "XLA_FLAGS --a there, unset here",
        "JAX_ENABLE_X64 unset there, 1 here",
    ]
    assert changes({}, here) == []
    assert changes({"threads": 2}, {"threads": 64}) == []


def test_resuming_elsewhere_is_said_and_recorded(folder):
    rewritten(folder, processor="Abacus", versions=account(folder)["versions"] | {"jax": "0.0.1"})
    said = rf"processor Abacus there, .* here; jax 0\.0\.1 there, {jax.__version__} here"
    with pytest.warns(elbax.ElbaxWarning, match=said):
        train(directory=folder, epochs=1, resume=True)


def test_where_it_was_begun_is_not_forgotten(tmp_path):
    asked = iter([False, True])
    stopped = {"directory": tmp_path, "stop": lambda: next(asked)}
    train(**stopped)
    rewritten(tmp_path, processor="Abacus")
    with pytest.warns(elbax.ElbaxWarning, match="trained elsewhere until now"):
        train(directory=tmp_path, resume=True)
    assert [one["processor"] for one in account(tmp_path)["earlier"]] == ["Abacus"]
    assert account(tmp_path)["processor"] == environment()["processor"]


def test_loading_with_other_versions_is_said(folder):
    rewritten(folder, versions={"jax": "0.0.1"})
    with pytest.warns(elbax.ElbaxWarning, match=r"trained with other versions \(jax 0\.0\.1 there"):
        elbax.load_runs(folder)


def test_loading_on_another_processor_is_not(folder):
    rewritten(folder, processor="Abacus")
    assert elbax.load_runs(folder).status == ("ok",)
