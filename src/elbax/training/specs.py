"""Which runs a fleet has: from what a user gives `fit` to runs and objectives by name."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from elbax import _keys
from elbax._checks import check_real, is_whole
from elbax._errors import InputError
from elbax._identity import fingerprint
from elbax.objectives import Objective
from elbax.spelling import describe, is_described, parse
from elbax.training.config import RunSpec

Objectives = (
    Objective | str | Sequence[Objective | str] | Mapping[str, Objective] | Sequence[RunSpec]
)


def runs_of(
    objectives: Objectives, seeds: Sequence[int], learning_rates: Sequence[float | None]
) -> tuple[dict[str, Objective], tuple[RunSpec, ...]]:
    """The objectives by name, and the runs: those given, or objectives x learning rates x seeds.

    Raises:
        InputError: see `fit`.

    >>> runs_of("iwae(4)", (0, 1), (None,))[1][1].name
    'iwae-k4-seed1'
    >>> runs_of([RunSpec("iwae(4)", 3, 0.01)], (0,), (None,))[1][0].name
    'iwae-k4-lr0.01-seed3'
    """
    if isinstance(objectives, Sequence) and any(isinstance(one, RunSpec) for one in objectives):
        return _given(objectives, seeds, learning_rates)
    named = _named(objectives)
    _check_seeds(seeds)
    _check_rates(learning_rates)
    return named, tuple(
        RunSpec(name, int(seed), rate)
        for name in named
        for rate in learning_rates
        for seed in seeds
    )


def _given(
    specs: Sequence[Any], seeds: Sequence[int], learning_rates: Sequence[float | None]
) -> tuple[dict[str, Objective], tuple[RunSpec, ...]]:
    if (tuple(seeds), tuple(learning_rates)) != ((0,), (None,)):
        raise InputError("expected no seeds and no learning_rates beside runs, which have them.")
    if not all(isinstance(spec, RunSpec) for spec in specs):
        raise InputError("expected runs or objectives; got both in one list.")
    for spec in specs:
        _check_seeds((spec.seed,))
        _check_rates((spec.learning_rate,))
    # Spelled as files have them, which is what tells one run from another.
    objective_of = {spec.method: parse(spec.method) for spec in specs}
    runs = tuple(
        dataclasses.replace(spec, method=_name_of(objective_of[spec.method])) for spec in specs
    )
    if len({run.name for run in runs}) < len(runs):
        raise InputError("expected different runs; one of them is given twice.")
    return {
        run.method: objective_of[spec.method] for run, spec in zip(runs, specs, strict=True)
    }, runs


def _check_seeds(seeds: Sequence[int]) -> None:
    if is_whole(seeds):
        raise InputError(f"expected seeds in a list; got {seeds}. Write ({seeds},).")
    for seed in seeds:
        _keys.key_of(seed)
    whole = tuple(map(int, seeds))
    if not whole or len(set(whole)) < len(whole):
        raise InputError(f"expected one or more different seeds; got {whole}.")


def _check_rates(learning_rates: Sequence[float | None]) -> None:
    if len(set(learning_rates)) < len(learning_rates) or not all(
        rate is None or rate > 0 for rate in learning_rates
    ):
        raise InputError(f"expected different learning rates > 0; got {tuple(learning_rates)}.")
    for rate in learning_rates:
        check_real("a learning rate", rate or 0)


def _named(objectives) -> dict[str, Objective]:
    if isinstance(objectives, Mapping):
        return dict(objectives)
    if isinstance(objectives, Objective | str):
        objectives = [objectives]
    parsed = [parse(given) if isinstance(given, str) else given for given in objectives]
    named = {_name_of(objective): objective for objective in parsed}
    if not named or len(named) < len(parsed):
        raise InputError(
            f"expected one or more different objectives; got {len(parsed)}, of which {len(named)} "
            "differ. Name each once; repeat runs with seeds."
        )
    return named


def _name_of(objective: Objective) -> str:
    """Its text, which for one of the user's own ends in a hash: two that differ have two names."""
    text = describe(objective)
    if is_described(objective, text):
        return text
    return f"{text[:-1]}, id={fingerprint(objective)[:8]})"
