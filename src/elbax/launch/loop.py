"""Every piece of work performed somewhere, again where its worker dies."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from typing import Any

from elbax._errors import ElbaxError, RunFailedError, StoppedError
from elbax.launch.work import Task, opened, perform

_TRIES = 3  # of work whose worker dies each time without getting any further
_LOOK_SECONDS = 1.0  # between two looks at what has been done
_HELD_SECONDS = 5.0  # before work that somebody else holds is tried again


@dataclass
class _Job:
    name: str
    task: Task
    future: Future | None = None
    position: Any = None
    lost: int = 0
    again: float = 0.0  # not before this time


def perform_all(executor: Executor, tasks: Mapping[str, Task], **options: Any) -> dict[str, Any]:
    """Perform all tasks on an executor; arguments and errors are those of `performed`.

    Returns:
        What each gave, by name; the first error is raised, and the others are not waited for.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from elbax.launch.work import task
    >>> with ThreadPoolExecutor(1) as threads:
    ...     perform_all(threads, {"a": task("elbax.launch.work:echo", text="here")})
    {'a': 'here'}
    """
    found = {name: result() for name, result in performed(executor, tasks, **options)}
    return {name: found[name] for name in tasks}


def performed(
    executor: Executor,
    tasks: Mapping[str, Task],
    *,
    position: Callable[[str], Any] = lambda name: None,
    watch: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Perform tasks on an executor, and tell of each as it ends.

    A task whose worker dies is given to another; so it must be one that can be taken up again. One
    that gives `{"held": why}` is tried again later: somebody else is doing it.

    Args:
        executor: any; what it is given is `elbax.launch.work.perform` and JSON values.
        tasks: by name.
        position: how far a task has got, as anything that changes when it gets further; a worker
            that died further on does not count among the three tries.
        watch: called about once a second.
        stop: asked as often; once it says yes, nothing more is begun and `StoppedError` is raised.

    Yields:
        A task's name, with a function that gives its result or raises its error: an `ElbaxError` as
        it was raised there, or `RunFailedError` where workers died three times over it.
    """
    jobs = {name: _Job(name, task, position=position(name)) for name, task in tasks.items()}
    while jobs:
        if stop():
            raise StoppedError("stopped; what was trained is saved.")
        now = time.monotonic()
        for job in jobs.values():
            if job.future is None and job.again <= now:
                job.future = executor.submit(perform, job.task)
        begun = [job.future for job in jobs.values() if job.future is not None]
        wait(begun, _LOOK_SECONDS, return_when="FIRST_COMPLETED")
        if not begun:
            time.sleep(_LOOK_SECONDS)
        watch()
        for job in list(jobs.values()):
            ended = None
            if job.future is not None and job.future.done():
                ended = _ended(job, position)
            if ended is not None:
                del jobs[job.name]
                yield job.name, ended.result


def _ended(job: _Job, position: Callable[[str], Any]) -> Future | None:
    """What came of a task: its result or error; None where it has to be tried again."""
    future, job.future, ended = job.future, None, Future()
    assert future is not None
    try:
        result = opened(future.result())
        if isinstance(result, dict) and result.get("held"):
            job.again = time.monotonic() + _HELD_SECONDS
            return None
        ended.set_result(result)
    except StoppedError:
        return None  # its worker was told to end, not we: the next goes on
    except ElbaxError as error:
        ended.set_exception(error)
    except Exception as error:  # noqa: BLE001 (every engine has its own for a worker that died)
        if (lost := _lost(job, error, position(job.name))) is None:
            return None
        ended.set_exception(lost)
    return ended


def _lost(job: _Job, error: Exception, position: Any) -> RunFailedError | None:
    """Count a worker that died, unless its work had got further; why no other is tried."""
    job.lost = job.lost + 1 if position == job.position else 0
    job.position = position
    if job.lost < _TRIES:
        return None
    reason = " ".join(str(error).split()) or type(error).__name__
    return RunFailedError(
        f"{job.name}: its worker died {_TRIES} times and got no further; the last time: "
        f"{reason[:300]}."
    )
