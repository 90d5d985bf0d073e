"""The devices that work is spread over: all that this process has, unless it is told fewer.

Work is cut along an axis whose rows know nothing of each other (runs, data, bins of draws), so
that devices exchange nothing, and what is drawn for a row does not depend on where it lies. A
program for several devices is compiled otherwise than one for a single device (XLA partitions it,
and fuses in another order), so the two agree within rounding, not bit for bit.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from elbax._checks import check_count
from elbax._errors import InputError
from elbax._types import PyTree

AXIS = "devices"

_limit: ContextVar[int | None] = ContextVar("elbax devices", default=None)


@contextmanager
def limit_devices(count: int | None) -> Iterator[None]:
    """Use the first `count` devices of this process alone, within a `with`; None is all of them.

    Fleets under "vmap", `evaluate` and `snr` spread over all devices that JAX has in this process;
    one of them that `jax.default_device` names is used alone.

    Raises:
        InputError: fewer than one, or more than there are.

    >>> import elbax
    >>> model, x = elbax.linear_gaussian(3, 2, key=jax.random.key(0)), np.zeros((5, 3))
    >>> with limit_devices(1):
    ...     found = elbax.evaluate(model, x, key=jax.random.key(1), ks=(1, 8))
    >>> found.bounds.shape
    (2, 5)
    """
    if count is not None:
        check_count("devices", count)
        if count > (there := len(_all())):
            raise InputError(
                f"expected devices from 1 to {there}, as many as JAX has in this process; got "
                f"{count}."
            )
    token = _limit.set(count)
    try:
        yield
    finally:
        _limit.reset(token)


def _all() -> list:
    named = jax.config.jax_default_device  # type: ignore[attr-defined]
    if isinstance(named, jax.Device):
        return [named]
    return jax.local_devices(backend=named)


def mesh_for(num_rows: int) -> Mesh | None:
    """The devices that `num_rows` are spread over, no more than it takes; None for one alone.

    >>> mesh_for(1) is None
    True
    """
    num = min(len(_all()[: _limit.get()]), num_rows)
    num = -(-num_rows // -(-num_rows // num))  # 5 rows on 4 devices: two on each of 3
    return None if num == 1 else Mesh(np.array(_all()[:num]), (AXIS,))


def everywhere(tree: PyTree, mesh: Mesh) -> PyTree:
    """A copy of each array on every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def parted(tree: PyTree, mesh: Mesh) -> PyTree:
    """The rows of each array spread over the devices."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(AXIS)))


def spread(function: Callable, mesh: Mesh, *, split: Sequence[bool], axes: PyTree = 0) -> Callable:
    """A function that every device runs on its own rows.

    Args:
        function: what one device does.
        mesh: the devices.
        split: for each argument, whether its rows are spread; all of the others goes to each.
        axes: which axis of each result has the rows.
    """
    rows = [PartitionSpec(AXIS) if is_split else PartitionSpec() for is_split in split]
    results = jax.tree.map(lambda axis: PartitionSpec(*[None] * axis, AXIS), axes)
    # Nothing is exchanged between devices, which would have to be proved without check_vma.
    return jax.shard_map(
        function, mesh=mesh, in_specs=tuple(rows), out_specs=results, check_vma=False
    )
