"""A search trains what `fit` trains, shares its folder, survives kills, sees no test data."""

import json
import multiprocessing
import re
import subprocess
import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor

import jax
import numpy as np
import pytest

import elbax
from elbax.search.fleets import Common
from elbax.search.generations import Search
from elbax.search.journal import Journal
from elbax.search.settings import Setting
from elbax.search.space import parse_space
from elbax.training import metrics
from elbax.training.fit import fit
from tests.conftest import REPOSITORY
from tests.unit.training.runs import MODEL, binary_images, model_bits

from .searches import CONFIG, Posted, dataset, search, told


class Fits:
    """`fit`, with what it was called for and what came out."""

    def __init__(self, stop_after: int = 1 << 30):
        self.results, self._left = [], stop_after

    def __call__(self, *arguments, **options):
        self._left -= 1
        stop = (lambda: True) if self._left < 0 else None
        self.results.append(fit(*arguments, stop=stop, **options))
        return self.results[-1]

    @property
    def runs(self) -> list[str]:
        return [run.name for result in self.results for run in result.runs]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Twelve trials in three generations, of which the last may be pruned."""
    folder = tmp_path_factory.mktemp("search") / "tune"
    fits = Fits()
    return folder, search(folder, train=fits, trials=12), fits


def test_trials_asked_at_once_are_one_fleet_and_compile_once(searched):
    _, result, fits = searched
    assert [len(one.runs) for one in fits.results] == [4, 4, 4]
    # One program for all three generations, whatever their rates and betas.
    assert sum(one.num_compilations for one in fits.results) <= 1
    assert len({trial.fleet for trial in result.trials}) == 3


def test_a_trial_is_what_fit_trains_alone_and_is_judged_on_validation_data(searched):
    folder, result, _ = searched
    trial = result.best
    runs = elbax.load_runs(folder / "runs" / trial.fleet)
    alone = fit(
        trial.setting.method, dataset(), model=MODEL, config=CONFIG,
        learning_rates=(trial.setting.learning_rate,),
    )  # fmt: skip
    model = runs.models[runs.index_of(trial.runs[0])]
    assert model_bits(model) == model_bits(alone.models[0])
    found = elbax.evaluate(model, dataset().valid, key=jax.random.key(0), ks=(4,)).log_p_hat
    assert (trial.value, trial.error) == (found.mean, found.standard_error)


def test_a_pruned_trial_ends_early_and_says_so(searched):
    folder, result, _ = searched
    pruned = [trial for trial in result.trials if trial.status == "pruned"]
    assert pruned
    for trial in pruned:
        assert trial.number >= 8  # five have to have finished
        assert 1 <= trial.epochs < CONFIG.epochs
        lines = metrics.read(folder / "runs" / trial.fleet / "metrics.jsonl")
        mine = [line for line in lines if line["run"] in trial.runs]
        assert len(mine) == trial.epochs
        assert mine[-1]["status"] == "pruned"
        assert trial.value < result.best.value


def test_the_best_is_found(searched):
    """Rates from 1e-6 to 0.1, of which in four epochs only the fast ones get anywhere."""
    _, result, _ = searched
    values = [trial.value for trial in result.ranked]
    assert values == sorted(values, reverse=True)
    assert result.best.setting.learning_rate > 1e-3
    assert f"--learning-rate {result.best.setting.learning_rate}" in result.command
    slow = [t.value for t in result.ranked if t.setting.learning_rate < 1e-4]
    assert not slow or max(slow) < result.best.value - 0.3
    assert max(result.importances, key=result.importances.get) == "learning_rate"


def test_the_same_call_again_trains_nothing(searched):
    folder, result, _ = searched
    again = Fits()
    assert told(search(folder, train=again, trials=12)) == told(result)
    assert again.results == []


def test_test_data_change_nothing_and_are_not_looked_at(searched, tmp_path, monkeypatch):
    """Only the identity of the data knows of them: their hash."""
    _, result, _ = searched
    whole = elbax.Dataset.evaluation_split

    def no_test(self, split="test", *rest):
        assert split == "valid"
        return whole(self, split, *rest)

    monkeypatch.setattr(elbax.Dataset, "evaluation_split", no_test)
    other = dataset(test=np.ones((3, 6), np.float32))
    found = search(tmp_path, data=other, trials=4)
    assert told(found) == told(result)[:4]


def test_a_stopped_search_goes_on_to_the_same_end(searched, tmp_path):
    _, result, _ = searched
    fits = Fits(stop_after=1)
    with pytest.raises(elbax.ElbaxError, match=r"stopped; 4 trials are done in .* is saved"):
        search(tmp_path, train=fits, trials=12)
    more = Fits()
    assert told(search(tmp_path, train=more, trials=12)) == told(result)
    assert len(more.results) == 2  # the one that was stopped, and the last


def thrown_out(folder):
    """A search that leaves in the middle without a word, its locks with it."""

    class Gone(BaseException):
        pass

    told = []

    def train(*arguments, progress, **options):
        def count(now):
            told.append(now)
            if len(told) == 7:
                raise Gone
            progress(now)

        return fit(*arguments, progress=count, **options)

    with pytest.raises(Gone):
        search(folder, train=train, checkpoint_seconds=0.0)


def killed(folder):
    """A process of its own, killed in the same place."""
    words = [sys.executable, "-m", "tests.unit.search.killed", str(folder), "7"]
    ended = subprocess.run(words, cwd=REPOSITORY, check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr.decode()


@pytest.mark.parametrize("end", [thrown_out, pytest.param(killed, marks=pytest.mark.slow)])
def test_a_killed_search_goes_on_to_the_same_end(searched, tmp_path, end):
    """Ended in the second generation, between its first checkpoint and its end."""
    _, result, _ = searched
    end(tmp_path)
    journal = Journal(tmp_path, parse_space(["learning_rate=1e-6:1e-1:log", "beta=0:1"]), 0)
    assert journal.running() == [4, 5, 6, 7]
    fits = Fits()
    assert told(search(tmp_path, train=fits, trials=12)) == told(result)
    assert [run.name for run in fits.results[0].runs] == [
        run.name for run in searched[2].results[1].runs
    ]
    assert len(fits.results[0].metrics) < 4 * CONFIG.epochs  # not from the beginning


def test_two_at_one_folder_share_the_trials(tmp_path):
    """Nothing is trained twice, and there are as many trials as were asked for."""
    fits = [Fits(), Fits()]
    both = [
        threading.Thread(target=search, args=(tmp_path,), kwargs={"train": one, "at_once": 2})
        for one in fits
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    result = search(tmp_path, train=Fits())
    assert [trial.number for trial in result.trials] == list(range(8))
    assert {trial.status for trial in result.trials} <= {"finished", "pruned"}
    runs = fits[0].runs + fits[1].runs
    assert len(runs) == len(set(runs)) == 8


@pytest.mark.slow
def test_the_python_of_the_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (REPOSITORY / "docs" / "guides" / "search.md").read_text()
    [block] = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    few = block.replace("trials=32", "trials=2").replace("epochs=20", "epochs=1")
    exec(few, {"elbax": elbax})
    assert (tmp_path / "runs" / "tune" / "report.html").exists()


@pytest.mark.slow
def test_two_processes_share_a_search(tmp_path):
    words = [sys.executable, "-m", "tests.unit.search.killed", str(tmp_path), "0"]
    both = [subprocess.Popen(words, cwd=REPOSITORY) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    folders = list((tmp_path / "runs").iterdir())
    names = [run.name for folder in folders for run in elbax.load_runs(folder).specs]
    assert len(names) == len(set(names)) == 8


def test_sizes_are_fleets_of_their_own_that_an_executor_trains(tmp_path):
    """What travels is JSON both ways."""
    executor = Posted()
    np.savez(tmp_path / "tiny.npz", **dataset().splits())
    options = {"search": {"hidden": [8, 6], "beta": "0:1"}, "trials": 4}
    data = str(tmp_path / "tiny.npz")
    result = search(tmp_path / "tune", executor=executor, data=data, **options)
    sizes = {plan["folder"]: plan["model"]["hidden"] for plan in executor.plans}
    assert sorted(sizes.values()) == [[6], [8]]
    for trial in result.trials:
        assert trial.status == "finished"
        assert sizes[str(tmp_path / "tune" / "runs" / trial.fleet)] == [int(trial.point["hidden"])]
    with pytest.raises(elbax.InputError, match="expected data by name or path"):
        search(tmp_path, executor=executor)


@pytest.mark.slow
def test_processes_of_a_pool_train_what_this_one_trains(tmp_path):
    np.savez(tmp_path / "tiny.npz", **dataset().splits())
    options = {"search": {"hidden": [8, 6], "beta": "0:1"}, "trials": 4}
    options |= {"data": str(tmp_path / "tiny.npz")}
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        there = search(tmp_path / "there", executor=pool, **options)
    assert told(there) == told(search(tmp_path / "here", **options))


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError("out of memory"), elbax.RunFailedError),
        (elbax.OutputError("out of memory"), elbax.OutputError),
    ],
)
def test_trials_whose_workers_failed_are_taken_up(searched, tmp_path, error, raised):
    """The others of their generation are told; what failed is trained when it is asked again."""

    class Broken(Posted):
        def submit(self, fn, /, *args, **kwargs):
            future = super().submit(fn, *args, **kwargs)
            if self.plans[-1]["folder"] == self.plans[0]["folder"]:
                future = Future()
                future.set_exception(error)
            return future

    np.savez(tmp_path / "tiny.npz", **dataset().splits())
    options = {"search": {"hidden": [8, 6], "beta": "0:1"}, "trials": 4}
    options |= {"data": str(tmp_path / "tiny.npz")}
    with pytest.raises(raised, match="out of memory"):
        search(tmp_path / "tune", executor=Broken(), **options)
    executor = Posted()
    result = search(tmp_path / "tune", executor=executor, **options)
    assert [trial.status for trial in result.trials] == ["finished"] * 4
    assert len(executor.plans) == 1


def test_trials_of_several_seeds_are_worth_their_mean_and_repeated_ones_are_not_trained(tmp_path):
    fits = Fits()
    options = {"search": {"beta": [0.0, 1.0]}, "seeds": (0, 1), "trials": 6, "at_once": 3}
    result = search(tmp_path, train=fits, **options)
    assert len(fits.runs) == len(set(fits.runs)) == 4
    assert [trial.status for trial in result.trials] == ["finished"] * 6
    for trial in result.trials:
        last = [metric for fitted in fits.results for metric in fitted.metrics
                if metric["run"] in trial.runs and metric["epoch"] == CONFIG.epochs]  # fmt: skip
        assert trial.value == pytest.approx(np.mean([metric["iwae_4"] for metric in last]))


def test_a_diverged_trial_says_so_and_is_not_the_best(tmp_path):
    options = {"search": {"learning_rate": [1e30, 0.01]}, "trials": 3, "at_once": 3}
    result = search(tmp_path, **options)
    for trial in result.trials:
        expected = "diverged" if trial.point["learning_rate"] > 1 else "finished"
        assert trial.status == expected
    if result.best is not None:
        assert result.best.setting.learning_rate == 0.01


def test_a_point_that_cannot_be_trained_fails_alone(tmp_path, monkeypatch):
    """Each end was tried by itself; together they may still be refused."""
    ask = Journal.ask

    def refused(self, count):
        points = ask(self, count)
        return points | {0: points[0] | {"beta": 7.0}}

    monkeypatch.setattr(Journal, "ask", refused)
    result = search(tmp_path, trials=2, at_once=2)
    assert [trial.status for trial in result.trials] == ["failed", "finished"]
    assert "expected beta in [0, 1]" in result.trials[0].reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "expected trials >= 1"),
        ({"at_once": 0}, "expected at_once >= 1"),
        ({"search": {}}, "expected something to search"),
        ({"search": {"beta": "0:2"}}, r"expected beta in \[0, 1\]"),
        ({"search": {"gradient": ["vimcoo"]}}, "unknown gradient rule 'vimcoo'"),
        ({"search": {"batch_size": [8, 4000]}}, "expected batch_size <= 40"),
        ({"model": elbax.ModelConfig(latent="bernoulli", latents=2)}, "has discrete latents"),
        ({"model": "no_such_module:build"}, "no_such_module"),
        ({"seeds": (0, 0)}, "expected one or more different seeds"),
        ({"k": 0}, "k"),
        ({"num_valid": 60, "data": "digits", "config": elbax.TrainConfig(batch_size=2000)},
         "expected batch_size <= 1377"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused_and_nothing_written(tmp_path, options, message):
    with pytest.raises(elbax.InputError, match=message):
        search(tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_another_search_in_the_folder_is_refused(searched):
    folder, _, _ = searched
    with pytest.raises(elbax.CheckpointError, match=r"holds another search \(k: 4 there, 8 now\)"):
        search(folder, k=8)


def test_a_folder_of_runs_is_refused(searched):
    folder, _, _ = searched
    with pytest.raises(elbax.CheckpointError, match="which is of no search"):
        search(next((folder / "runs").iterdir()))


def test_data_without_validation_lend_some_of_their_training_data(tmp_path):
    images = binary_images(44)
    data = elbax.Dataset(name="tiny", train=images, test=images)
    search(tmp_path, data=data, trials=1)
    assert json.loads((tmp_path / "tune.json").read_text())["num_valid"] == 4


def test_without_optuna_a_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(elbax.InputError, match=r"pip install 'elbax\[tune\]'"):
        search(tmp_path)


def test_of_many_looks_the_journal_keeps_those_that_all_trials_have(tmp_path):
    one = Search(
        tmp_path,
        Setting("iwae(k=8)", MODEL, elbax.TrainConfig(epochs=1000)),
        {},
        Common(None, None, (0,), 4, 2),
        dataset(),
        0,
        None,
    )
    kept = one._thinned({epoch: float(epoch) for epoch in range(2, 1001, 2)})
    assert list(kept) == list(range(10, 1001, 10))
    assert list(one._thinned({2: 0.0, 10: 0.0, 16: 0.0})) == [10, 16]  # and the last of each
