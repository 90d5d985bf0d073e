"""Many runs at once: their states side by side, advanced by one compiled program."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp

from elbax._errors import InputError, unknown
from elbax._types import PyTree
from elbax.models.interface import Model
from elbax.objectives import Needs
from elbax.training.origin import copied
from elbax.training.state import RunState
from elbax.training.step import Program

MAPS = ("auto", "sequential", "vmap")
_KEPT_PROGRAMS = 16  # compiled ones that wait for another fleet of the same kind


class _Tracings(threading.local):
    """How often this thread has traced a training program, which is before each compilation."""

    count = 0


_tracings = _Tracings()


@lru_cache(maxsize=_KEPT_PROGRAMS)
def compiled(program: Program, batched: bool) -> Callable[..., RunState]:
    """The chunk function of a program, one for all fleets with an equal program.

    It compiles when called with states and images of new shapes, or with new needs.
    """

    def chunk(state: RunState, images, num_steps, needs: Needs) -> RunState:
        return program.chunk(state, images, num_steps, needs)

    mapped = jax.vmap(chunk, in_axes=(0, None, None, None)) if batched else chunk

    def counted(state: RunState, images, num_steps, needs: Needs) -> RunState:
        _tracings.count += 1  # this line runs only when JAX traces
        return mapped(state, images, num_steps, needs)

    return jax.jit(counted, donate_argnums=0, static_argnums=3)


@dataclass
class Fleet:
    """R runs of one program.

    `map` is "sequential" (each run by itself, as many at a time as there are cores; bit for bit
    the same as that run alone), "vmap" (all runs in one batched program, the same within
    rounding) or "auto": vmap on an accelerator, sequential on a CPU, where it is faster
    (`benchmarks/fleet.py`). A program that an earlier fleet has compiled is used again, and
    `num_compilations` counts what this fleet had to compile itself.
    """

    program: Program
    images: jax.Array
    states: list[RunState]
    map: str = "auto"
    num_compilations: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Choose the map and make the chunk function; nothing is compiled yet."""
        if self.map not in MAPS:
            raise InputError(unknown("fleet map", self.map, MAPS))
        if self.map == "auto":
            self.map = "sequential" if jax.default_backend() == "cpu" else "vmap"
        self._chunk = compiled(self.program, self.map == "vmap")
        self._has_advanced = False

    def advance(self, num_steps: int) -> None:
        """Take `num_steps` steps in every run; all must lie within the current epoch.

        Runs one by one are each compiled for what their own objective needs, so that a run is the
        same in any company; one batched program does what any of them needs.
        """
        count = jnp.asarray(num_steps, jnp.int32)

        def run(state: RunState, needs: Needs) -> RunState:
            before = _tracings.count
            state = jax.block_until_ready(self._chunk(state, self.images, count, needs))
            if _tracings.count > before:
                self.num_compilations += _tracings.count - before
            return state

        table = self.program.objectives
        if self.map == "vmap":
            self.states = unstack(run(stack(self.states), table.all_needs))
            return
        # The first of each program goes ahead alone where it may not be compiled yet: two threads
        # would compile it twice.
        ahead = {needs: index for index, needs in reversed(list(enumerate(table.needs)))}
        first = set() if self._has_advanced else set(ahead.values())
        advanced = {index: run(self.states[index], table.needs[index]) for index in sorted(first)}
        rest = [index for index in range(len(self.states)) if index not in first]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            others = pool.map(lambda i: run(self.states[i], table.needs[i]), rest)
            advanced |= dict(zip(rest, others, strict=True))
        self.states = [advanced[index] for index in range(len(self.states))]
        self._has_advanced = True

    def model(self, index: int) -> Model:
        """The model of one run as it stands, with arrays of its own: whoever has it may keep it."""
        return copied(eqx.combine(self.states[index].params, self.program.static_model))


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
