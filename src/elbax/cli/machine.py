"""The devices that a command uses, and the processes that share an evaluation."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

from elbax._errors import InputError
from elbax.cli.options.shared import AUTO

_SECONDS = 120  # that processes wait for each other at the start


@contextlib.contextmanager
def machine(options: Any) -> Iterator[None]:
    """While a command runs: together with the other processes, on no more devices than it may."""
    count = getattr(getattr(options, "run", None), "devices", getattr(options, "devices", None))
    with contextlib.ExitStack() as stack:
        if getattr(options, "coordinator", None) is not None:
            stack.enter_context(_joined(options))
        if count is not None:
            from elbax._devices import limit_devices

            stack.enter_context(limit_devices(count))
        yield


@contextlib.contextmanager
def _joined(options: Any) -> Iterator[None]:
    """One of the processes of `jax.distributed`.

    Raises:
        InputError: the others were not met, or nothing says who they are.
    """
    import jax

    where = options.coordinator
    if where != AUTO:
        _wait_for_first(where, options)
    given = {} if where == AUTO else {"coordinator_address": where}
    given |= {"num_processes": options.num_processes, "process_id": options.process_id}
    try:
        jax.distributed.initialize(**given, initialization_timeout=_SECONDS)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(_refused(where, reason)) from error
    with _stdout_to_stderr():
        yield
        # Not after an error: the others may wait in the middle of something, and both for ever.
        # They end when the heartbeat of this one stops.
        jax.distributed.shutdown()


def _wait_for_first(where: str, options: Any) -> None:
    """Say what is waited for, and see that process 0 is there: JAX would end without a sentence."""
    own, num = options.process_id, options.num_processes
    sys.stderr.write(f"process {own} of {num} waits for the others, {_SECONDS} s at most\n")
    host, _, port = where.rpartition(":")
    end = time.monotonic() + _SECONDS
    while own > 0:
        try:
            socket.create_connection((host.strip("[]"), int(port)), 5).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise InputError(_refused(where, f"{error.strerror or error}")) from error
            time.sleep(0.2)


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """What libraries print, such as that they are connected, is no part of a command's output."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _refused(where: str, reason: str) -> str:
    if where == AUTO and ("should be defined" in reason or "must be defined" in reason):
        return (
            "expected to run under SLURM or Open MPI with --coordinator auto; found neither. Give "
            "--coordinator HOST:PORT, --num-processes and --process-id."
        )
    return (
        f"expected all processes to meet at {where} within {_SECONDS} s; {reason}. Start every one "
        "with the same --coordinator and --num-processes, and see that process 0's port is open."
    )


def is_first() -> bool:
    """Whether this process is the one that writes and tells."""
    import jax

    return jax.process_index() == 0
