"""Tiny searches for the tests of searching."""

import json
from concurrent.futures import Executor, Future

import elbax
from elbax.launch.work import perform
from tests.unit.training.runs import MODEL, binary_images

SPACE = {"learning_rate": "1e-6:1e-1:log", "beta": "0:1"}
CONFIG = elbax.TrainConfig(epochs=4, batch_size=8, schedule="constant")


def dataset(test=None) -> elbax.Dataset:
    """Train, validation and test data, easy to learn."""
    images = binary_images(60)
    return elbax.Dataset(
        name="tiny",
        train=images[:40],
        valid=images[40:52],
        test=images[52:] if test is None else test,
    )


def search(folder, **options):
    """`elbax.tune` of tiny runs."""
    given = {
        "search": SPACE, "model": MODEL, "config": CONFIG, "trials": 8, "at_once": 4, "k": 4,
        "data": dataset(), "method": "ciwae(k=4)",
    } | options  # fmt: skip
    return elbax.tune(directory=folder, **given)


def told(result) -> list[tuple]:
    """All that a search found of its trials, which another that is to be the same has too."""
    return [(t.number, t.status, t.value, t.epochs, t.point, t.runs) for t in result.trials]


class Posted(Executor):
    """An executor to which only JSON can be sent, and from which only JSON comes back."""

    def __init__(self):
        self.plans = []

    def submit(self, fn, /, *args, **kwargs):
        assert fn is perform
        assert not kwargs
        [task] = json.loads(json.dumps(args, allow_nan=False))
        self.plans.append(task["with"]["plan"])
        future = Future()
        try:
            future.set_result(json.loads(json.dumps(fn(task), allow_nan=False)))
        except Exception as error:  # noqa: BLE001 (as executors do)
            future.set_exception(error)
        return future
