"""What submitit and a real SLURM do: an array, a requeue, a time limit, a cancel, wrong settings.

    eval "$(benchmarks/slurm/cluster.sh start)"
    python benchmarks/slurm/smoke.py FOLDER [--only array,requeue] [--sacct]

Prints JSON for each: results, exceptions, states, seconds (five minutes for all). FOLDER is new,
and one that every node sees. Without slurmdbd there is no `sacct`, by which submitit learns that a
job died; so `squeue` is asked here, unless `--sacct` says to leave submitit as it is.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import submitit
from submitit.slurm.slurm import SlurmInfoWatcher

from elbax.launch.slurm import Squeue


class Counting:
    """Counts to `steps` in a file, one a `pause`, and goes on from there when started again."""

    def __init__(self, file: Path, steps: int, pause: float):
        self.file, self.steps, self.pause = file, steps, pause

    def __call__(self) -> dict:
        file = Path(self.file)
        lines = file.read_text().splitlines() if file.exists() else []
        restarts = os.environ.get("SLURM_RESTART_COUNT", "unset")
        for step in range(len(lines), self.steps):
            with file.open("a") as out:
                out.write(f"{step} {restarts} {time.time():.2f}\n")
            time.sleep(self.pause)
        return {"steps": self.steps, "restarts": restarts, "job": os.environ["SLURM_JOB_ID"]}

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Called by submitit at SIGUSR2: the same again, as the file says how far it went."""
        with Path(self.file).with_suffix(".checkpoint").open("a") as out:
            out.write(f"{time.time():.2f}\n")
        return submitit.helpers.DelayedSubmission(self)


class Smoke:
    """The cases; each takes a fresh folder and returns what is to be printed."""

    def __init__(self, folder: Path, watcher: SlurmInfoWatcher | None):
        self.folder, self.watcher = folder, watcher

    def executor(self, **settings) -> submitit.SlurmExecutor:
        """With the least that a job needs: a partition and a time; submitit asks for no more."""
        made = submitit.SlurmExecutor(self.folder / "jobs", max_num_timeout=5)
        made.update_parameters(**{"partition": "debug", "time": 5, "signal_delay_s": 30} | settings)
        return made

    def watch(self, job: submitit.Job) -> submitit.Job:
        """An array's jobs are made by submitit itself, so the watcher is changed on each."""
        if self.watcher is not None:
            job.watcher = self.watcher
            self.watcher.register_job(job.job_id)
        return job

    def array(self) -> dict:
        """Four at once, in one submission."""
        works = [Counting(self.folder / f"array{i}", 3 + i, 0.5) for i in range(4)]
        begun = time.time()
        jobs = [self.watch(j) for j in self.executor().map_array(lambda work: work(), works)]
        found = [outcome(job) for job in jobs]
        starts = [float(work.file.read_text().split()[2]) for work in works]
        return {
            "jobs": [job.job_id for job in jobs],
            "found": found,
            "first_start_s": round(min(starts) - begun, 2),
            "starts_apart_s": round(max(starts) - min(starts), 2),
        }

    def again(self) -> dict:
        """Four at once; one is cancelled in the middle, and requeued once it has ended."""
        works = [Counting(self.folder / f"again{i}", 16, 0.5) for i in range(4)]
        jobs = [self.watch(j) for j in self.executor().map_array(lambda work: work(), works)]
        wait_for(lambda: lines(works[2].file) >= 4)
        jobs[2].cancel()
        wait_for(lambda: state(jobs[2]) == "CANCELLED")
        ended = lines(works[2].file)
        subprocess.run(["scontrol", "requeue", jobs[2].job_id], check=True)
        found = [outcome(job) for job in jobs]
        return {"found": found, "steps before the end": ended} | trace(works[2])

    def requeue(self) -> dict:
        """`scontrol requeue` in the middle, as an administrator or a lost node does."""
        work = Counting(self.folder / "requeue", 24, 0.5)
        job = self.watch(self.executor().submit(work))
        wait_for(lambda: lines(work.file) >= 4)
        subprocess.run(["scontrol", "requeue", job.job_id], check=True)
        return {"found": outcome(job)} | trace(work)

    def interrupt(self) -> dict:
        """SIGUSR2 in the middle, as preemption does: checkpoint, requeue, the rest."""
        work = Counting(self.folder / "interrupt", 24, 0.5)
        job = self.watch(self.executor(time=30).submit(work))
        wait_for(lambda: lines(work.file) >= 4)
        job._interrupt()  # submitit's own, for tests: SIGTERM, then SIGUSR2
        return {"found": outcome(job)} | trace(work)

    def timeout(self) -> dict:
        """More work than one minute holds; SLURM signals 30 s before the limit, or earlier."""
        work = Counting(self.folder / "timeout", 70, 1.0)
        job = self.watch(self.executor(time=1).submit(work))
        return {"found": outcome(job)} | trace(work)

    def cancel(self) -> dict:
        """`scancel` in the middle."""
        work = Counting(self.folder / "cancel", 600, 0.5)
        job = self.watch(self.executor().submit(work))
        wait_for(lambda: lines(work.file) >= 4)
        begun = time.time()
        job.cancel()
        found = outcome(job, limit=90)
        # MinJobAge keeps the record for a while.
        said = spoken("scontrol", "show", "job", job.job_id)
        words = [word for word in said.split() if word.startswith(("JobState", "ExitCode"))]
        last = float(work.file.read_text().split()[-1])
        return {"found": found, "scontrol": words, "last_step_s": round(last - begun, 2)}

    def killed(self) -> dict:
        """The process dies of SIGKILL (memory, say): no result, and nothing requeues it."""
        job = self.watch(self.executor().submit(os.kill, 0, signal.SIGKILL))
        return {"found": outcome(job, limit=90)}

    def raised(self) -> dict:
        """An exception inside the job."""
        return {"found": outcome(self.watch(self.executor().submit(int, "x")))}

    def refused(self) -> dict:
        """Settings which cannot work, and what each raises."""
        settings = Path(os.environ["SLURM_CONF"]).read_text()
        away = self.folder / "away.conf"
        away.write_text(settings + "SlurmctldPort=6999\n")
        mute = self.folder / "mute.conf"
        mute.write_text(settings.replace("munge.socket", "nosuch.socket"))
        bare = self.folder / "bare"
        bare.mkdir()
        (bare / "srun").symlink_to(shutil.which("srun"))
        return {
            "no such partition": self.attempt(partition="nosuch"),
            "too many cpus": self.attempt(cpus_per_task=1000),
            "too much memory": self.attempt(mem="100000GB"),
            "gpus where none are": self.attempt(gpus_per_node=1),
            "wrong time": self.attempt(time="long"),
            "unknown setting": self.attempt(colour="red"),
            "controller away": self.attempt({"SLURM_CONF": str(away)}),
            "munge away": self.attempt({"SLURM_CONF": str(mute)}),
            "no slurm.conf": self.attempt({"SLURM_CONF": "/nonexistent/slurm.conf"}),
            "no sbatch": self.attempt({"PATH": str(bare)}),
            "no programs": self.attempt({"PATH": "/nonexistent"}),
        }

    def attempt(self, environment: dict | None = None, **settings) -> dict:
        """Submits in a changed environment; a job that was taken is cancelled."""
        kept, begun = dict(os.environ), time.time()
        os.environ.update(environment or {})
        try:
            job = self.executor(**settings).submit(int, "1")
            found = {"taken": job.job_id}
        except Exception as error:  # noqa: BLE001  (to print whatever it is)
            found = described(error)
        finally:
            os.environ.clear()
            os.environ.update(kept)
        if "taken" in found:
            time.sleep(2)
            found["state"] = state(job, "%T %r")
            job.cancel()
        return found | {"after_s": round(time.time() - begun, 2)}


def state(job: submitit.Job, form: str = "%T") -> str:
    """As `squeue` says it now."""
    words = ("--noheader", "--array", "--states=all", f"--format={form}", f"--jobs={job.job_id}")
    return spoken("squeue", *words)


def spoken(*words: str) -> str:
    """What a command prints."""
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def outcome(job: submitit.Job, limit: float = 240) -> dict:
    """The job's result or its exception, the state and the seconds it took to be known."""
    begun = time.time()
    while not job.done():
        if time.time() - begun > limit:
            return {"still unknown after_s": limit, "state": job.state}
        time.sleep(0.5)
    try:
        found = {"result": job.result()}
    except Exception as error:  # noqa: BLE001  (to print whatever it is)
        found = described(error)
    return found | {"state": job.state, "after_s": round(time.time() - begun, 2)}


def described(error: Exception) -> dict:
    """Type and text, and those of its cause."""
    found = {"raised": type(error).__name__, "text": str(error)[:600]}
    return found | ({"cause": repr(error.__cause__)[:300]} if error.__cause__ else {})


def trace(work: Counting) -> dict:
    """Was every step done once, how often was it started, and how long was each gap."""
    rows = [line.split() for line in work.file.read_text().splitlines()]
    breaks = [k for k in range(1, len(rows)) if rows[k][1] != rows[k - 1][1]]
    return {
        "every step once": [int(row[0]) for row in rows] == list(range(work.steps)),
        "SLURM_RESTART_COUNT": [rows[k][1] for k in [0, *breaks]],
        "steps before each gap": breaks,
        "gaps_s": [round(float(rows[k][2]) - float(rows[k - 1][2]), 2) for k in breaks],
        "checkpoints": lines(work.file.with_suffix(".checkpoint")),
    }


def lines(file: Path) -> int:
    """How many the file has; none if there is no file."""
    return len(file.read_text().splitlines()) if file.exists() else 0


def wait_for(what, limit: float = 60) -> None:
    """Until it is true."""
    begun = time.time()
    while not what():
        if time.time() - begun > limit:
            raise TimeoutError(f"not within {limit} s")
        time.sleep(0.2)


CASES = (
    "array",
    "again",
    "requeue",
    "interrupt",
    "timeout",
    "cancel",
    "killed",
    "raised",
    "refused",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--sacct", action="store_true")
    wanted = parser.parse_args()
    folder = wanted.folder.resolve()
    folder.mkdir(parents=True)
    smoke = Smoke(folder, None if wanted.sacct else Squeue(delay_s=30))
    for name in wanted.only.split(","):
        begun = time.time()
        found = getattr(smoke, name)()
        sys.stdout.write(json.dumps({name: found, "s": round(time.time() - begun, 1)}, indent=1))
        sys.stdout.write("\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
