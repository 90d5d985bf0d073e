"""A model's arrays by name, and arrays from elsewhere put into a model."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from elbax._arrays import Arrays, from_named, named_leaves, with_names
from elbax._errors import InputError
from elbax.models.interface import Model
from elbax.nn.linear import Linear


def arrays_of(model: Model) -> Arrays:
    """The arrays of a model by name, the matrices of its linear maps as `[in, out]`.

    >>> from elbax.models import linear_gaussian
    >>> list(arrays_of(linear_gaussian(3, 2, key=jax.random.key(0))))[:2]
    ['generative.prior_mean', 'generative.weight']
    """
    return named_leaves(eqx.filter(model, eqx.is_array))


def with_arrays(
    model: Model, arrays: Mapping[str, Any], *, transposed: bool | str = "auto"
) -> Model:
    """The model with these arrays in place of its own: weights from a file or another library.

    Elbax's linear maps are `x @ weight + bias` and hold `[in, out]`; PyTorch and `eqx.nn.Linear`
    hold `[out, in]`. A square matrix fits either way and would be wrong without a word, so its
    layout has to be said.

    Args:
        model: a model of the wanted structure; its values are not used.
        arrays: one array for each name of `arrays_of(model)`, of floats where the model's are;
            they are converted to the model's type.
        transposed: whether the matrices of elbax's linear maps come as `[out, in]`. "auto" sees it
            by their shapes, all of them alike, and refuses square ones. Arrays of any other
            layer are never transposed.

    Raises:
        InputError: names that are missing or too many (all are listed), an array of another
            shape or kind, or with values that are not finite, or `transposed` where nothing is.

    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> same = with_arrays(model, arrays_of(linear_gaussian(3, 2, key=jax.random.key(1))))
    """
    dynamic, static = eqx.partition(model, eqx.is_array)
    wanted = dict(with_names(dynamic))
    _check_names(wanted, arrays)
    given = {name: _as_numpy(name, arrays[name]) for name in wanted}
    matrices = _matrices(model)
    if transposed == "auto":
        transposed = _orientation({name: given[name] for name in matrices}, wanted)
    else:
        _check_transposed(transposed, matrices)
    if transposed:
        given |= {name: given[name].T for name in matrices}
    own = named_leaves(dynamic)
    fitted = {
        name: _fitted(name, array, own[name], name in matrices) for name, array in given.items()
    }
    return eqx.combine(from_named(fitted, dynamic), static)


def _check_transposed(transposed: Any, matrices: set[str]) -> None:
    if not isinstance(transposed, bool):
        raise InputError(f"expected transposed to be True, False or 'auto'; got {transposed!r}.")
    if transposed and not matrices:
        raise InputError(
            "expected transposed=False: this model has none of elbax's linear maps, and arrays of "
            "any other layer are never transposed. Bring them as the model holds them."
        )


def _matrices(model: Model) -> set[str]:
    """The names of the matrices of elbax's own linear maps."""
    marked = jax.tree.map(
        lambda part: eqx.tree_at(lambda m: m.weight, part, "matrix") if _is_linear(part) else part,
        model,
        is_leaf=_is_linear,
    )
    return {name for name, leaf in with_names(marked) if isinstance(leaf, str)}


def _is_linear(part: Any) -> bool:
    return isinstance(part, Linear)


def _check_names(wanted: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    missing = [name for name in wanted if name not in arrays]
    extra = [str(name) for name in arrays if name not in wanted]
    if missing or extra:
        said = f"missing: {', '.join(missing) or 'none'}; too many: {', '.join(extra) or 'none'}"
        raise InputError(
            f"expected one array for each name of `elbax.arrays_of(model)`; {said}. Rename or "
            "leave out what has no place in the model."
        )


def _as_numpy(name: str, array: Any) -> np.ndarray:
    """An array as NumPy has it; random keys as their data."""
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    try:
        found = np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"cannot read '{name}' as an array ({error}); give NumPy arrays, such as "
            "`tensor.detach().cpu().numpy()`."
        ) from None
    if found.dtype.kind in "OSUVcMm" and not jnp.issubdtype(found.dtype, jnp.floating):
        raise InputError(f"expected '{name}' as an array of real numbers; got {found.dtype}.")
    return found


def _orientation(given: Arrays, wanted: Mapping[str, Any]) -> bool:
    """Whether matrices come as [out, in], where their shapes say so."""
    square = [name for name in given if len(set(wanted[name].shape)) == 1]
    if square:
        raise InputError(
            f"the square matrix '{square[0]}' fits as [in, out] and as [out, in]; say "
            "transposed=True for [out, in], as PyTorch holds it, or transposed=False."
        )
    turned = {name for name, array in given.items() if array.shape == wanted[name].shape[::-1]}
    if turned and len(turned) < len(given):
        other = next(name for name in given if name not in turned)
        raise InputError(
            f"expected all matrices alike; '{min(turned)}' comes as [out, in], '{other}' does "
            "not. Transpose some, then say transposed=True or False."
        )
    return bool(turned)


def _fitted(name: str, array: np.ndarray, own: np.ndarray, matrix: bool) -> np.ndarray:
    """The array in the model's own type, if it has its shape and kind and is finite."""
    if array.shape != own.shape:
        turned = matrix and array.shape == own.shape[::-1]
        cure = " That is its transpose: check `transposed`." if turned else ""
        raise InputError(
            f"expected '{name}' of shape {list(own.shape)}; got {list(array.shape)}.{cure}"
        )
    floats = jnp.issubdtype(own.dtype, jnp.floating)
    same = jnp.issubdtype(array.dtype, jnp.floating) if floats else array.dtype == own.dtype
    if not same:
        raise InputError(f"expected '{name}' as {own.dtype}; got {array.dtype}.")
    with np.errstate(over="ignore"):
        converted = array.astype(own.dtype)
    if floats and not np.isfinite(converted.astype(np.float64)).all():
        raise InputError(
            f"expected '{name}' with values that are finite as {own.dtype}; got NaN or infinity "
            f"in {int((~np.isfinite(converted.astype(np.float64))).sum())} of {array.size}."
        )
    return converted
