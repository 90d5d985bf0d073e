"""Workers that are processes of this machine; one that dies is replaced."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue
from typing import Any

from elbax._checks import check_count
from elbax.launch.work import STOPPING

_GRACE_SECONDS = 30.0  # for saving, once a worker has lost who started it


class WorkerLostError(Exception):
    """A worker died before its work was done."""


class Processes(Executor):
    """Worker processes on this machine, each with its share of the cores.

    Where one is killed only its own work is lost, and the next piece gets a new process. (A
    `ProcessPoolExecutor` would be of no use after that.) Workers end with the process that
    started them; told to end, they save.

    Args:
        workers: how many, >= 1.

    >>> with Processes(1) as workers:
    ...     workers.submit(max, 2, 3).result()
    3
    """

    def __init__(self, workers: int):
        check_count("workers", workers)
        # For the workers: XLA prints a page for every program read from the cache. It looks before
        # anything of a worker's own runs.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        self._slots = [_Slot(cores, number) for number, cores in enumerate(_shares(workers))]
        self._free: SimpleQueue[_Slot] = SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._threads = ThreadPoolExecutor(workers)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Call a function in one of the processes; function and arguments must pickle.

        Its future raises `WorkerLostError` where the process died.
        """
        return self._threads.submit(self._run, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes; with `cancel_futures` at once, saving what they train."""
        if cancel_futures:
            for slot in self._slots:
                slot.stop()
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for slot in self._slots:
            slot.close(wait)

    @property
    def processes(self) -> list[int]:
        """The process numbers of the workers that have been started."""
        return [slot.pid for slot in self._slots if slot.pid is not None]

    def _run(self, fn: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
        slot = self._free.get()
        try:
            return slot.run(fn, args, kwargs)
        finally:
            self._free.put(slot)


class _Slot:
    """A place for one worker process."""

    def __init__(self, cores: set[int] | None, number: int):
        self._cores, self._number = cores, number
        self._pool: ProcessPoolExecutor | None = None
        self.pid: int | None = None

    def run(self, fn: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
        try:
            if self._pool is None:
                self._pool = self._started()
                self.pid = self._pool.submit(os.getpid).result()
            result = self._pool.submit(fn, *args, **kwargs).result()
        except BrokenProcessPool as error:
            self.close()
            raise WorkerLostError("its process was killed, or crashed") from error
        if isinstance(result, dict) and "stopped" in result:
            self.close()  # it was told to end, and would stop at whatever comes next
        return result

    def _started(self) -> ProcessPoolExecutor:
        # Started anew and not forked: threads of JAX do not survive a fork.
        context = multiprocessing.get_context("spawn")
        arguments = (os.getpid(), self._cores, f"worker {self._number + 1}")
        return ProcessPoolExecutor(1, context, _begin, arguments)

    def stop(self) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def close(self, wait: bool = True) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait)
        self._pool = self.pid = None


def _shares(workers: int) -> list[set[int] | None]:
    """The cores of each worker: equal shares while there is one for each, else all of them."""
    if not hasattr(os, "sched_getaffinity"):
        return [None] * workers
    cores = sorted(os.sched_getaffinity(0))
    if workers > len(cores):
        return [None] * workers
    return [set(cores[i::workers]) for i in range(workers)]


def _begin(parent: int, cores: set[int] | None, worker: str) -> None:
    """Before anything is imported in a worker: its cores, its name, and when to end."""
    if cores is not None:
        os.sched_setaffinity(0, cores)  # XLA makes as many threads as it finds cores
    os.environ["ELBAX_WORKER"] = worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it
    signal.signal(signal.SIGTERM, lambda *_: STOPPING.set())
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent has, however that ended."""
    while os.getppid() == parent and not STOPPING.is_set():
        time.sleep(1.0)
    STOPPING.set()
    time.sleep(_GRACE_SECONDS)  # in which what is trained is saved
    os._exit(1)
