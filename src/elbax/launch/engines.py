"""The engines by name, opened for a `with` block."""

import contextlib
import importlib
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from elbax._checks import num_cores
from elbax._errors import InputError


@dataclass(frozen=True)
class Slurm:
    """What a job asks SLURM for; None leaves it to the cluster."""

    partition: str | None = None
    account: str | None = None
    minutes: int = 60
    memory: int | None = None
    gpus: int | None = None
    cores: int = 1


@contextlib.contextmanager
def engine(
    name: str,
    *,
    workers: int | None = None,
    logs: str = ".",
    slurm: Slurm = Slurm(),
    address: str | None = None,
) -> Iterator[Executor]:
    """An executor of an engine; left by an exception, it gives up what has not begun.

    Args:
        name: local, slurm or dask.
        workers: how many pieces of work at a time; see `elbax compare --help`.
        logs: where SLURM's own files go; every node has to see it.
        slurm: what jobs ask for.
        address: of Dask's scheduler; without one a cluster is started on this machine.

    Raises:
        InputError: the engine is not installed, or cannot be reached.

    >>> with engine("local", workers=1) as executor:
    ...     executor.submit(min, 2, 3).result()
    2
    """
    if name == "local":
        from elbax.launch.processes import Processes

        opened: Any = Processes(workers or num_cores())
    elif name == "slurm":
        needs("submitit", "slurm")
        from elbax.launch.slurm import Jobs

        opened = Jobs(slurm, logs, workers or 32)
    elif name == "dask":
        needs("distributed", "dask")
        from elbax.launch.dask import Workers

        opened = Workers(address, workers or num_cores())
    else:
        raise InputError(f"expected local, slurm or dask as an engine; got '{name}'.")
    try:
        yield opened
    except BaseException:
        opened.shutdown(wait=True, cancel_futures=True)
        raise
    opened.shutdown()


def needs(module: str, extra: str) -> None:
    """Refuse to go on without a package of an extra.

    Raises:
        InputError: saying what to install.

    >>> needs("json", "nothing")
    """
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"expected {module} to be installed for this; install it with `pip install "
            f'"elbax[{extra}]"` ({error}).'
        ) from None
