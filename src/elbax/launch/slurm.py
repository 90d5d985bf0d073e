"""Jobs of SLURM, by submitit: in arrays, and queued again where a limit or preemption cuts them."""

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Executor, Future
from typing import Any

import submitit
from submitit.helpers import DelayedSubmission
from submitit.slurm.slurm import SlurmInfoWatcher

from elbax._errors import InputError
from elbax.launch.engines import Slurm

_GATHER_SECONDS = 1.0  # what is submitted within it becomes one array
_LOOK_SECONDS = 2.0  # between two looks at the jobs
_MOST_LIMITS = 1000  # times that a job may reach its time limit and go on
_ANSWER_SECONDS = 20.0  # in which the scheduler has to answer
_WARNING_SECONDS = 90  # before a time limit, in which a job is queued again
_ENDS = frozenset(
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED GONE NODE_FAIL OUT_OF_MEMORY TIMEOUT".split()
)


class Squeue(SlurmInfoWatcher):
    """States of jobs as `squeue` has them, which unlike submitit's `sacct` needs no accounting.

    A job that SLURM has forgotten, minutes after its end, is `GONE`. Done is what cannot go on:
    states of the living that submitit does not know (CONFIGURING, SUSPENDED) are none of its ends.
    """

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """Whether a job has ended, however that was."""
        return self.get_state(job_id, mode=mode) in _ENDS

    def _make_command(self) -> list[str] | None:
        if not self._registered - self._finished:
            return None
        return ["squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i|%T|%N"]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """The states of all registered jobs: one that is not listed is gone."""
        words = string.decode() if isinstance(string, bytes) else string
        rows = (line.strip().split("|") for line in words.splitlines())
        known = {name: {"JobID": name, "State": state, "NodeList": at} for name, state, at in rows}
        return {name: known.get(name, {"State": "GONE"}) for name in self._registered}


class Again:
    """A function as a job calls it; it is called again after a preemption or a time limit."""

    def __init__(self, fn: Callable[..., Any]):
        self.fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, as the worker that SLURM's environment names."""
        job = submitit.JobEnvironment()
        os.environ["ELBAX_WORKER"] = f"job {job.job_id}"
        return self.fn(*args, **kwargs)

    def checkpoint(self, *args: Any, **kwargs: Any) -> DelayedSubmission:
        """What is queued in place of a job that has to leave: the same, which resumes."""
        return DelayedSubmission(Again(self.fn), *args, **kwargs)


class Jobs(Executor):
    """An executor whose work are jobs.

    What is submitted at about the same time becomes one job array. A job that is preempted or
    reaches its time limit is queued again by submitit, and goes on from its last checkpoint.

    Args:
        asked: what each job asks SLURM for.
        logs: folder for submitit's files and the jobs' output, seen by every node.
        parallelism: most jobs of an array that run at a time.
        cluster: "slurm"; or "local", processes under the same protocol, for trying it out.

    Raises:
        InputError: SLURM cannot be reached, or would never run such jobs; nothing is queued.
    """

    def __init__(self, asked: Slurm, logs: str, parallelism: int, *, cluster: str = "slurm"):
        if cluster == "slurm":
            _check(asked)
        self._watcher = Squeue() if cluster == "slurm" else None
        self._executor = submitit.AutoExecutor(
            folder=f"{logs}/%j", cluster=cluster, slurm_max_num_timeout=_MOST_LIMITS
        )
        self._executor.update_parameters(**_parameters(asked, parallelism))
        self._new: list[tuple[Future, Callable[..., Any], tuple, dict]] = []
        self._jobs: list[tuple[Future, submitit.Job]] = []
        self._given: list[Future] = []
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Queue a call; its future raises submitit's `UncompletedJobError` where the job died."""
        future: Future = Future()
        with self._lock:
            self._new.append((future, fn, args, kwargs))
            self._given.append(future)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the jobs, or cancel them: what they saved is whole."""
        if wait and not cancel_futures:
            futures.wait(self._given)
        self._ended.set()
        self._thread.join()
        for future, *_ in self._new:
            future.cancel()
        for _, job in self._jobs:
            if not _is_done(job):
                with contextlib.suppress(Exception):  # the scheduler may be what has gone
                    job.cancel(check=False)

    def _watch(self) -> None:
        """In a thread: submit what was gathered, and hand on what has ended."""
        while not self._ended.wait(_GATHER_SECONDS if self._new else _LOOK_SECONDS / 2):
            self._submit()
            left = []
            for future, job in self._jobs:
                if _is_done(job):
                    _hand_on(future, job)
                else:
                    left.append((future, job))
            self._jobs = left

    def _submit(self) -> None:
        with self._lock:
            new, self._new = self._new, []
        new = [one for one in new if one[0].set_running_or_notify_cancel()]
        if not new:
            return
        try:
            with self._executor.batch():
                jobs = [self._executor.submit(Again(fn), *a, **k) for _, fn, a, k in new]
        except Exception as error:  # noqa: BLE001 (whatever sbatch or submitit makes of it)
            for future, *_ in new:
                future.set_exception(_refused(error))
            return
        for job in jobs:
            if self._watcher is not None:
                job.watcher = self._watcher
                self._watcher.register_job(job.job_id)
        self._jobs += [(one[0], job) for one, job in zip(new, jobs, strict=True)]


def _parameters(asked: Slurm, parallelism: int) -> dict[str, Any]:
    """What submitit is told."""
    parameters = {
        "name": "elbax",
        "timeout_min": asked.minutes,
        "cpus_per_task": asked.cores,
        "mem_gb": asked.memory,
        "gpus_per_node": asked.gpus,
        "slurm_partition": asked.partition,
        "slurm_account": asked.account,
        "slurm_array_parallelism": parallelism,
        # Not more than a third of a short job, which would else be queued again at once.
        "slurm_signal_delay_s": min(_WARNING_SECONDS, 20 * asked.minutes),
    }
    return {name: value for name, value in parameters.items() if value is not None}


def _is_done(job: submitit.Job) -> bool:
    """Whether a job has ended; not as far as is known, where the scheduler cannot be asked."""
    try:
        return job.done()
    except Exception:  # noqa: BLE001 (the thread that watches has to outlive whatever it meets)
        return False


def _hand_on(future: Future, job: submitit.Job) -> None:
    try:
        future.set_result(job.result())
    except Exception as error:  # noqa: BLE001 (it is the caller's to tell them apart)
        future.set_exception(error)


def _check(asked: Slurm) -> None:
    """Refuse before anything is written what SLURM would refuse, or never run."""
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise InputError(
            "expected SLURM's sbatch and srun on this machine; found none. Run this on a login "
            "node of the cluster, or take --launch local."
        )
    if said := _complaint(["scontrol", "ping"]):
        raise InputError(
            f"cannot reach the scheduler of SLURM (scontrol ping: {said}); check that slurmctld "
            "runs, and SLURM_CONF."
        )
    words = ["--time", str(asked.minutes), "--cpus-per-task", str(asked.cores)]
    words += ["--partition", asked.partition] if asked.partition is not None else []
    words += ["--account", asked.account] if asked.account is not None else []
    words += ["--mem", f"{asked.memory}G"] if asked.memory is not None else []
    words += ["--gpus-per-node", str(asked.gpus)] if asked.gpus is not None else []
    if said := _complaint(["sbatch", "--test-only", *words, "--wrap", "true"]):
        raise _refused(said)


def _complaint(words: list[str]) -> str:
    """What a command of SLURM says where it fails; "" where it does not."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        return f"no answer in {_ANSWER_SECONDS:.0f} s"
    if done.returncode == 0:
        return ""
    return " ".join((done.stderr or done.stdout).split())[:300] or f"exit code {done.returncode}"


def _refused(said: object) -> InputError:
    """Why no job could be queued, in a sentence."""
    text = " ".join(str(said).split())[:300] or type(said).__name__
    return InputError(
        f"SLURM does not take such jobs ({text}); check --partition, --account and what they ask "
        "for against `sinfo`."
    )
