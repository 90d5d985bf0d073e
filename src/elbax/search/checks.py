"""What a search is refused for, before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from elbax import _keys
from elbax._errors import InputError
from elbax.data.dataset import Dataset
from elbax.data.load import held_out, load_data
from elbax.gradients import check_latents
from elbax.models.config import ModelConfig
from elbax.models.own import imported
from elbax.search.settings import Setting
from elbax.search.space import Choice, Space, Value, default_space, space_of
from elbax.spelling import describe, parse
from elbax.training.setup import model_builder

_HELD_OUT, _MOST_HELD_OUT = 0.1, 5000  # of the training data, where there are no validation data


def with_validation(
    data: str | Path | Dataset,
    num_valid: int,
    model: ModelConfig | str,
    *,
    data_dir: str | None = None,
) -> Dataset:
    """Data with a validation part: their own, else some of the training data.

    Raises:
        DataError: they cannot be loaded, or nothing can be held out.

    >>> with_validation("digits", 0, ModelConfig()).split("valid").shape
    (144, 8, 8)
    """
    given = data if isinstance(data, Dataset) else load_data(data, data_dir=data_dir)
    if isinstance(model, ModelConfig):
        given = given.under(model.likelihood)
    if given.valid is not None and not num_valid:
        return given
    usual = max(1, min(round(_HELD_OUT * len(given.train)), _MOST_HELD_OUT))
    if given.request is not None:
        # Held out before anything is drawn, as whoever loads these data again does.
        request: dict[str, Any] = given.request | {"num_valid": num_valid or usual}
        return replace(load_data(**request, data_dir=data_dir), usual=given.usual)
    return held_out(given, num_valid or usual)


def checked_space(
    base: Setting,
    search: Mapping[str, Any] | None,
    seeds: Sequence[int],
    dataset: Dataset,
) -> tuple[Setting, Space]:
    """The base as files have it, and the space, of which every end was tried.

    Raises:
        InputError: a value cannot be used.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"expected one or more different seeds; got {tuple(seeds)}.")
    for seed in seeds:
        _keys.key_of(seed)
    model = base.model
    continuous = isinstance(model, str) or model.latent == "normal"
    if search is None:
        space = default_space(base.method, continuous=continuous)
    else:
        space = space_of(search)
    if not space:
        raise InputError("expected something to search, such as learning_rate=1e-4:1e-2:log.")
    base = Setting(describe(parse(base.method)), model, base.train, base.learning_rate)
    for point in _corners(space):
        _check(base.at(point), dataset)
    return base, space


def _corners(space: Space) -> list[dict[str, Value]]:
    """The first end of everything, and each other end alone."""
    first = {name: _as_drawn(one, one.ends[0]) for name, one in space.items()}
    others = [
        first | {name: _as_drawn(one, end)} for name, one in space.items() for end in one.ends[1:]
    ]
    return [first, *others]


def _as_drawn(dimension: Any, value: Value) -> Value:
    return value if isinstance(dimension, Choice) else dimension.rounded(value)


def _check(setting: Setting, dataset: Dataset) -> None:
    """Refuse a setting that no fleet would take, without allocating it."""
    if setting.train.batch_size > len(dataset.train):
        raise InputError(
            f"expected batch_size <= {len(dataset.train)}, the training data less those held out; "
            f"got {setting.train.batch_size}."
        )
    if isinstance(setting.model, str):
        imported(setting.model)
    else:
        make = model_builder(setting.model, dataset.event_shape)
        check_latents(parse(setting.method), jax.eval_shape(make, jax.random.key(0)))
