"""What travels comes back as it would have been here, errors too."""

import json
from concurrent.futures import Executor, Future

import pytest

import elbax
from elbax._errors import StoppedError
from elbax.launch import work
from elbax.launch.loop import perform_all
from elbax.launch.work import opened, perform, task
from elbax.training.claims import FolderInUseError


def test_work_is_json_and_so_is_what_comes_back():
    sent = json.loads(json.dumps(task("elbax.launch.work:echo", text="a")))
    assert json.loads(json.dumps(perform(sent))) == {"result": "a"}


@pytest.mark.parametrize(
    ("raised", "kind", "expected"),
    [
        (elbax.DataError("no data"), "DataError", elbax.DataError),
        (FolderInUseError("taken"), "CheckpointError", elbax.CheckpointError),
        (elbax.RunFailedError("lost"), "RunFailedError", elbax.RunFailedError),
        (ZeroDivisionError("by zero"), "", elbax.RunFailedError),
    ],
)
def test_an_error_is_raised_here_as_it_was_there(monkeypatch, raised, kind, expected):
    def fail(text):
        raise raised

    monkeypatch.setattr(work, "echo", fail)
    envelope = perform(task("elbax.launch.work:echo", text="a"))
    assert envelope["kind"] == kind
    with pytest.raises(expected, match=str(raised)) as caught:
        opened(json.loads(json.dumps(envelope)))
    assert type(caught.value) is expected


def test_a_worker_of_another_version_refuses():
    sent = task("elbax.launch.work:echo", text="a") | {"elbax": "9.9"}
    with pytest.raises(elbax.InputError, match=r"expected elbax 9\.9 on every machine.*Install"):
        opened(perform(sent))


def test_only_functions_of_elbax_are_work():
    with pytest.raises(elbax.InputError, match="expected a function of elbax as work"):
        opened(perform(task("os:system", command="true")))


class Inline(Executor):
    """An executor that calls at once, and whose workers die as it is told."""

    def __init__(self, *deaths):
        self.deaths, self.calls = list(deaths), 0

    def submit(self, fn, /, *args):
        future = Future()
        self.calls += 1
        death = self.deaths.pop(0) if self.deaths else None
        if isinstance(death, Exception):
            future.set_exception(death)
        else:
            future.set_result(death or fn(*args))
        return future


TASKS = {"a": task("elbax.launch.work:echo", text="a")}


def test_the_work_of_a_worker_that_died_is_done_by_another():
    executor = Inline(OSError("gone"), {"stopped": "told to end"}, OSError("gone"))
    assert perform_all(executor, TASKS) == {"a": "a"}
    assert executor.calls == 4


def test_work_that_kills_its_workers_is_given_up():
    executor = Inline(*[OSError("out of memory")] * 9)
    with pytest.raises(elbax.RunFailedError, match=r"^a: its worker died 3 times .*out of memory"):
        perform_all(executor, TASKS)
    assert executor.calls == 3


def test_deaths_do_not_count_while_the_work_gets_further():
    steps = iter(range(100))
    executor = Inline(*[OSError("preempted")] * 9)
    assert perform_all(executor, TASKS, position=lambda name: next(steps)) == {"a": "a"}
    assert executor.calls == 10


def test_what_somebody_else_holds_is_tried_again(monkeypatch):
    monkeypatch.setattr("elbax.launch.loop._HELD_SECONDS", 0.01)
    monkeypatch.setattr("elbax.launch.loop._LOOK_SECONDS", 0.01)
    executor = Inline({"result": {"held": "somebody has it"}}, {"result": {"held": "still"}})
    assert perform_all(executor, TASKS) == {"a": "a"}
    assert executor.calls == 3


def test_an_error_of_the_work_ends_everything():
    executor = Inline({"error": "no such data", "kind": "DataError"})
    with pytest.raises(elbax.DataError, match="no such data"):
        perform_all(executor, TASKS)


def test_nothing_more_is_begun_once_told_to_stop():
    executor = Inline()
    with pytest.raises(StoppedError, match="what was trained is saved"):
        perform_all(executor, TASKS, stop=lambda: True)
    assert executor.calls == 0
