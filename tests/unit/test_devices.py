"""Work spread over eight virtual devices: the numbers of one, whatever their number."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import elbax
from elbax._devices import mesh_for

SCRIPT = Path(__file__).with_name("eight_devices.py")


def eight_devices(*asked: str) -> dict:
    """What so many of eight devices find: "3 snr"."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    command, env = [sys.executable, SCRIPT, *asked], os.environ | {"XLA_FLAGS": flags}
    ended = subprocess.run(command, capture_output=True, text=True, env=env)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def assert_same_within_rounding(found: dict, what: str, count: int) -> None:
    several, one = found[f"{count} {what}"], found[f"1 {what}"]
    assert several.keys() == one.keys()
    for name in one:
        np.testing.assert_allclose(several[name], one[name], rtol=2e-5, atol=2e-6, err_msg=name)


SOME = {"many data": 8, "snr": 3, "fleet": 3}  # none divides 163 data, 8 bins or 5 runs


@pytest.fixture(scope="module")
def found() -> dict:
    """What one device and several find."""
    return eight_devices(*(f"{n} {what}" for what, count in SOME.items() for n in (1, count)))


@pytest.mark.parametrize("what", SOME)
def test_several_devices_find_what_one_finds(found, what):
    assert_same_within_rounding(found, what, SOME[what])


@pytest.mark.slow
def test_from_two_devices_on_their_number_changes_no_bit():
    whats, counts = ("many data", "snr", "few data"), (1, 2, 3, 8)
    found = eight_devices(*(f"{count} {what}" for what in whats for count in counts), "8 fleet")
    for what in whats:
        for count in counts[1:]:
            assert_same_within_rounding(found, what, count)
    for what in whats[:2]:
        assert found[f"2 {what}"] == found[f"3 {what}"] == found[f"8 {what}"]
    assert found["8 fleet, told"]["devices"] == 5


def test_a_fleet_is_compiled_once_and_lies_on_all_devices_that_it_needs(found):
    """Of five runs, two and two and one."""
    one, three = found["1 fleet, told"], found["3 fleet, told"]
    assert (one["compilations"], one["devices"]) == (1, 1)
    assert (three["compilations"], three["devices"]) == (1, 3)
    assert three["bytes"] < 0.5 * one["bytes"]


def test_all_devices_are_used_unless_fewer_are_asked_for(found):
    assert found["default"] == 8
    assert found["five on four"] == 3
    assert found["named"] is None


def test_more_devices_than_there_are_are_refused(found):
    assert found["refused"] == (
        "expected devices from 1 to 8, as many as JAX has in this process; got 9."
    )
    for count in (0, True):
        with pytest.raises(elbax.InputError, match="expected devices"), elbax.limit_devices(count):
            pass


def test_one_device_needs_no_mesh():
    with elbax.limit_devices(1):
        assert mesh_for(100) is None
    with elbax.limit_devices(None):
        assert mesh_for(1) is None
