"""Who trains the fleets of a generation: this process, or an executor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elbax.data.dataset import Dataset
from elbax.launch.loop import performed
from elbax.launch.work import task
from elbax.runs.status import Watch, status_of
from elbax.search.fleets import Plan, train_fleet
from elbax.training.fit import FitResult
from elbax.training.loop import Progress

Told = Callable[[str, Progress | None], None]  # (what is trained, where that stands)


@dataclass(frozen=True)
class Trainer:
    """How fleets are trained: on an executor, or here, with whom to tell."""

    executor: Executor | None
    train: Callable[..., FitResult]
    progress: Told
    watch: Watch = lambda found: None

    def results(
        self, plans: Mapping[str, Plan], dataset: Dataset
    ) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
        """The fleets' names with what each gave, or how it failed, as they end."""
        if self.executor is None:
            for name, plan in plans.items():
                yield name, lambda plan=plan: self._here(plan, dataset)
            return
        self.progress(_titled([*plans.values()]), None)
        folders = {name: Path(plan["folder"]) for name, plan in plans.items()}
        yield from performed(
            self.executor,
            {name: task("elbax.search.fleets:train_planned", plan=p) for name, p in plans.items()},
            position=lambda name: status_of(folders[name]).fraction,
            watch=lambda: self.watch([status_of(folder) for folder in folders.values()]),
        )

    def _here(self, plan: Plan, dataset: Dataset) -> dict[str, Any]:
        title = _titled([plan])
        self.progress(title, None)
        return train_fleet(
            plan, dataset=dataset, train=self.train, told=lambda now: self.progress(title, now)
        )


def _titled(plans: Sequence[Plan]) -> str:
    """What is trained, in words: "trials 0 to 7"."""
    numbers = [trial["number"] for plan in plans for trial in plan["trials"]]
    first, last = min(numbers), max(numbers)
    return f"trial {first}" if first == last else f"trials {first} to {last}"
