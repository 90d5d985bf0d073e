"""Workers of this machine: one that dies is replaced, and none outlives who started it."""

import os
import signal
import subprocess
import sys
import time

import pytest

import elbax
from elbax.launch.processes import Processes, WorkerLostError

ORPHAN = """
import os, time
from elbax.launch.processes import Processes
if __name__ == "__main__":
    with Processes(1) as workers:
        print(workers.submit(os.getpid).result(), flush=True)
        workers.submit(time.sleep, 600)
        time.sleep(600)
"""


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_a_killed_worker_loses_its_own_work_and_no_other():
    with Processes(2) as workers:
        sleeping = [workers.submit(time.sleep, 4) for _ in range(2)]
        while len(workers.processes) < 2:
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(workers.processes[0], signal.SIGKILL)
        errors = [future.exception() for future in sleeping]
        assert [type(error) for error in errors if error] == [WorkerLostError]
        after = workers.submit(os.getpid).result()
        assert is_alive(after)
    assert not is_alive(after)


def test_workers_share_the_cores():
    cores = os.sched_getaffinity(0)
    with Processes(1) as workers:
        assert workers.submit(os.sched_getaffinity, 0).result() == cores
        assert workers.submit(os.getenv, "ELBAX_WORKER").result() == "worker 1"


def test_told_to_end_at_once_the_rest_is_not_begun():
    workers = Processes(1)
    begun, never = workers.submit(time.sleep, 1), workers.submit(time.sleep, 600)
    while not workers.processes:
        time.sleep(0.05)
    workers.shutdown(cancel_futures=True)
    assert begun.done()
    assert never.cancelled()


def test_a_worker_ends_with_who_started_it(tmp_path, monkeypatch):
    program = tmp_path / "orphan.py"
    program.write_text(ORPHAN.replace("import os, time", "import os, time\n"
        "from elbax.launch import processes\nprocesses._GRACE_SECONDS = 0.5"))  # fmt: skip
    parent = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE)
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not is_alive(worker):
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker outlived its parent")


@pytest.mark.parametrize("number", [0, -1])
def test_at_least_one_worker(number):
    with pytest.raises(elbax.InputError, match="workers"):
        Processes(number)
