"""The median rule is Optuna's."""

import numpy as np
import optuna
import pytest

from elbax.search.pruning import STARTUP, falls_behind, medians

EPOCHS, AFTER = 6, 2


def theirs(finished, curve, epoch) -> bool:
    """What Optuna's pruner says of a trial that has come as far as an epoch."""
    study = optuna.create_study(direction="maximize")
    states = optuna.trial.TrialState
    for values in finished:
        value = values[max(values)]
        study.add_trial(
            optuna.trial.create_trial(
                state=states.COMPLETE, value=value, intermediate_values=values
            )
        )
    so_far = {at: value for at, value in curve.items() if at <= epoch}
    trial = optuna.trial.create_trial(state=states.PRUNED, value=0.0, intermediate_values=so_far)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=AFTER)
    return bool(pruner.prune(study, trial))


@pytest.fixture(autouse=True)
def _quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def test_who_falls_behind_is_whom_optuna_prunes():
    rng = np.random.default_rng(0)
    said = []
    for _ in range(60):
        finished = [
            dict(enumerate(rng.normal(size=EPOCHS).tolist(), 1)) for _ in range(rng.integers(3, 9))
        ]
        curve = dict(enumerate(rng.normal(size=EPOCHS).tolist(), 1))
        epoch = int(rng.integers(1, EPOCHS))
        ours = falls_behind(curve, epoch, medians(finished, AFTER, EPOCHS))
        assert ours == theirs(finished, curve, epoch)
        said.append(ours)
    assert 5 < sum(said) < 55  # both answers were asked for


def test_nobody_is_pruned_at_the_end_or_too_early_or_beside_too_few():
    curves = [dict.fromkeys(range(1, EPOCHS + 1), 1.0)] * STARTUP
    assert set(medians(curves, AFTER, EPOCHS)) == set(range(AFTER, EPOCHS))
    assert medians(curves[1:], AFTER, EPOCHS) == {}


def test_who_was_never_finite_falls_behind():
    assert falls_behind({1: float("nan")}, 1, {1: -5.0})
    assert not falls_behind({1: -9.0}, 1, {2: -5.0})
