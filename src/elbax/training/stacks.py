"""The states of a fleet as one: side by side on a device, or on several."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from elbax._devices import AXIS, everywhere
from elbax._types import PyTree


def stack(states: Sequence[PyTree]) -> PyTree:
    """Put a leading axis `[R]` on every leaf."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def unstack(stacked: PyTree) -> list[PyTree]:
    """Take the leading axis `[R]` apart again.

    >>> unstack(stack([jnp.zeros(2), jnp.ones(2)]))[1].tolist()
    [1.0, 1.0]
    """
    num_runs = jax.tree.leaves(stacked)[0].shape[0]
    return [jax.tree.map(lambda leaf: leaf[i], stacked) for i in range(num_runs)]  # noqa: B023


class SideBySide:
    """All states on one device."""

    stacked = staticmethod(stack)
    apart = staticmethod(unstack)

    @staticmethod
    def at_home(tree: PyTree) -> PyTree:
        """Arrays that may be combined with any others."""
        return tree


class OverDevices:
    """So many states on each device of a mesh, where they stay.

    Where the devices do not divide the runs, the last run is there more than once.
    """

    def __init__(self, mesh: Mesh, num_runs: int):
        self._mesh, self._num_runs = mesh, num_runs
        self._devices = list(mesh.devices.flat)
        self._each = -(-num_runs // mesh.size)
        self._sharding = NamedSharding(mesh, PartitionSpec(AXIS))

    def stacked(self, states: Sequence[PyTree]) -> PyTree:
        """A leading axis `[R]` on every leaf, spread over the devices."""
        missing = self._each * len(self._devices) - self._num_runs
        filled, each = [*states, *[states[-1]] * missing], self._each

        def spread(*leaves):
            if leaves[0].size == 0:  # of which the program's result is everywhere
                shape = (len(filled), *leaves[0].shape)
                return everywhere(jnp.zeros(shape, leaves[0].dtype), self._mesh)
            parts = [
                jnp.stack(jax.device_put(leaves[at * each : (at + 1) * each], device))
                for at, device in enumerate(self._devices)
            ]
            shape = (len(filled), *parts[0].shape[1:])
            return jax.make_array_from_single_device_arrays(shape, self._sharding, parts)

        return jax.tree.map(spread, *filled)

    def apart(self, stacked: PyTree) -> list[PyTree]:
        """The states again, each on its own device."""

        def own(leaf, index: int):
            shards = {shard.device: shard.data for shard in leaf.addressable_shards}
            return shards[self._devices[index // self._each]][index % self._each]

        return [
            jax.tree.map(lambda leaf: own(leaf, index), stacked)  # noqa: B023
            for index in range(self._num_runs)
        ]

    @staticmethod
    def at_home(tree: PyTree) -> PyTree:
        """Arrays that may be combined with any others: those of a device stay on it otherwise."""
        return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), tree)
