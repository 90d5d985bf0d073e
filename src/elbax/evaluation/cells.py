"""Weighted draws of a row made into filled cells, with their errors, in a user's units."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from elbax._errors import InputError
from elbax.tables.schema import Column, Schema
from elbax.tables.units import to_user

Limits = float | int | Mapping[str, float | int] | None


def limits_of(schema: Schema, limits: Limits) -> np.ndarray:
    """A limit `[C]` as a model sees it, NaN where there is none.

    Raises:
        InputError: a name that is no column of numbers.

    >>> from elbax.tables.schema import Column
    >>> limits_of(Schema((Column("a", "gaussian", center=1.0), Column("b", "poisson"))), 0.0)
    array([-1.,  0.])
    """
    by_name = limits if isinstance(limits, Mapping) else {}
    numbers = {column.name for column in schema.columns if not column.is_category}
    if wrong := [name for name in by_name if name not in numbers]:
        raise InputError(f"expected limits for columns of numbers; got '{wrong[0]}'. Leave it out.")
    found = np.full(len(schema.columns), np.nan)
    for index, column in enumerate(schema.columns):
        limit = by_name.get(column.name) if isinstance(limits, Mapping) else limits
        if limit is None or column.is_category:
            continue
        found[index] = _to_model(float(limit), column)
    return found


def _to_model(value: Any, column: Column) -> Any:
    """Numbers in the user's units as a model sees them; below what is positive, minus infinity."""
    if column.is_count:
        return value
    if column.kind == "log-normal":
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.log(np.maximum(value, 0))
    return (value - column.center) / column.scale


def clipped(values: np.ndarray, lowest: np.ndarray, highest: np.ndarray) -> np.ndarray:
    """Values `[.., C]` within limits, of which NaN is none."""
    return np.fmin(np.fmax(values, lowest), highest)


def filled_cells(
    schema: Schema,
    found: dict[str, Any],
    statistic: str | float,
    quantile: float | None,
    lowest: np.ndarray,
    highest: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values `[B, C]` as a model sees them, their Monte Carlo errors, and sd of the cells.

    Args:
        schema: of the columns.
        found: of a block of B rows: `weights [B, K]`, `means [B, K, C]`, `drawn [B, n, C]` with
            `drawn_weights [B, n]`, and `probabilities` by kind.
        statistic: "mean", "median", "mode" or a quantile.
        quantile: the quantile that this is, if it is one.
        lowest: limits `[C]`.
        highest: limits `[C]`.
    """
    weights = found["weights"].astype(np.float64)
    of_drawn = found["drawn_weights"].astype(np.float64)
    shape = found["drawn"].shape[0], len(schema.columns)
    values, error, sd = np.empty(shape), np.empty(shape), np.empty(shape)
    for index, column in enumerate(schema.columns):
        if column.is_category:
            place = schema.places(column.kind).index(index)
            mean, own = (part[:, place] for part in found["probabilities"][column.kind])
            best = mean.argmax(axis=1)
            rows = np.arange(len(best))
            values[:, index], error[:, index] = best, own[rows, best]
            sd[:, index] = 1 - mean[rows, best]
            continue
        drawn = found["drawn"][:, :, index].astype(np.float64)
        in_units = _numbers(drawn, column)
        center = (of_drawn * in_units).sum(axis=1)
        squares = (of_drawn * (in_units - center[:, None]) ** 2).sum(axis=1)
        sd[:, index] = np.sqrt(squares)
        if quantile is not None:
            one, own = _quantiles(of_drawn, drawn, quantile, column)
        elif statistic == "mode" and column.is_count:
            one, own = _mode(of_drawn, drawn)
        else:
            means = found["means"][:, :, index].astype(np.float64)
            one, own = _mean(weights, means, column)
        values[:, index], error[:, index] = one, own
    return clipped(values, lowest, highest), error, sd


def _numbers(values: np.ndarray, column: Column) -> np.ndarray:
    """In the user's units, unrounded."""
    return values if column.is_count else to_user(values, column)


def _mean(weights, means, column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Of E[x | z] in units that the user's are linear in: the value as a model sees it, and error.

    By the delta method, `sum_k w_k^2 (h_k - mean)^2` for weights that sum to 1.
    """
    mean = (weights * means).sum(axis=1)
    error = np.sqrt((weights**2 * (means - mean[:, None]) ** 2).sum(axis=1))
    if column.is_count:
        return np.rint(mean), error
    if column.kind == "log-normal":  # relative to exp(center)
        return np.log(mean) / column.scale, error * np.exp(column.center)
    return mean, error * column.scale


def _quantiles(weights, drawn, quantile: float, column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Of draws under weights; the error is half the quantiles' distance at one error of the CDF."""
    order = np.argsort(drawn, axis=1)
    ordered = np.take_along_axis(drawn, order, axis=1)
    own = np.take_along_axis(weights, order, axis=1)
    cumulated = np.cumsum(own, axis=1)

    def at(level) -> np.ndarray:
        place = (cumulated < np.minimum(level, cumulated[:, -1:])).sum(axis=1)
        return ordered[np.arange(len(ordered)), np.minimum(place, ordered.shape[1] - 1)]

    middle = at(np.full((len(drawn), 1), quantile))
    below = (ordered <= middle[:, None]) - quantile
    spread = np.sqrt((own**2 * below**2).sum(axis=1))[:, None]
    low, high = (at(np.clip(quantile + sign * spread, 0, 1)) for sign in (-1, 1))
    return middle, (_numbers(high, column) - _numbers(low, column)) / 2


def _mode(weights, drawn) -> tuple[np.ndarray, np.ndarray]:
    """The most probable of the draws, whole numbers; the error is that of its probability."""
    value, error = np.empty(len(drawn)), np.empty(len(drawn))
    for row, (own, counts) in enumerate(zip(weights, drawn, strict=True)):
        names, inverse = np.unique(counts, return_inverse=True)
        share = np.bincount(inverse, own)
        best = share.argmax()
        value[row] = names[best]
        error[row] = np.sqrt((own**2 * ((inverse == best) - share[best]) ** 2).sum())
    return value, error
