"""Workers of a Dask cluster: one that is there, or one on this machine."""

import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from distributed import Client, LocalCluster

from elbax._errors import InputError

_CONNECT_SECONDS = 10


class Workers(Executor):
    """An executor on Dask, in which a worker does one piece of work at a time.

    Dask gives the work of a worker that died to another by itself, three times; what then still
    fails comes back as its `KilledWorker`.

    Args:
        address: of the scheduler; without one a cluster of processes is started here.
        workers: how many processes that cluster has.

    Raises:
        InputError: nobody answers at the address.
    """

    def __init__(self, address: str | None, workers: int):
        self._cluster = None
        if address is None:
            quiet: dict[str, Any] = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
            # One thread, as a piece of work takes all that a worker has.
            self._cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, **quiet
            )
        try:
            self._client = Client(self._cluster or address, timeout=_CONNECT_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(
                f"cannot reach a Dask scheduler at '{address}' within {_CONNECT_SECONDS} s "
                f"({type(error).__name__}); check that `dask scheduler` runs there, or leave out "
                "--address to start a cluster here."
            ) from error
        self._executor = self._client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Call a function on a worker."""
        return self._executor.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; one that was started here ends, in the middle of work if cancelled."""
        if not cancel_futures:
            self._executor.shutdown(wait=wait)
        with contextlib.suppress(TimeoutError, OSError):
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()
