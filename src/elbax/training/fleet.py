"""Many runs at once: their states side by side, advanced by one compiled program."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from elbax._checks import num_cores
from elbax._devices import everywhere, mesh_for, spread
from elbax._errors import InputError, unknown
from elbax.models.interface import Model
from elbax.objectives import Needs
from elbax.training.origin import copied
from elbax.training.stacks import OverDevices, SideBySide
from elbax.training.state import OK, RunState
from elbax.training.step import Program

MAPS = ("auto", "sequential", "vmap")
_KEPT_PROGRAMS = 16  # compiled ones that wait for another fleet of the same kind


class _Tracings(threading.local):
    """How often this thread has traced a training program, which is before each compilation."""

    count = 0


_tracings = _Tracings()


@lru_cache(maxsize=_KEPT_PROGRAMS)
def compiled(program: Program, batched: bool, mesh: Mesh | None = None) -> Callable[..., RunState]:
    """The chunk function of a program, one for all fleets with an equal program.

    It compiles when called with states and images of new shapes, or with new needs. On the devices
    of a mesh each advances its own runs, none of which waits for those of another.
    """

    def chunk(state: RunState, images, num_steps, needs: Needs) -> RunState:
        return program.chunk(state, images, num_steps, needs)

    mapped = jax.vmap(chunk, in_axes=(0, None, None, None)) if batched else chunk

    def counted(state: RunState, images, num_steps, needs: Needs) -> RunState:
        _tracings.count += 1  # this line runs only when JAX traces
        if mesh is None:
            return mapped(state, images, num_steps, needs)

        def own(state: RunState, images, num_steps) -> RunState:
            return mapped(state, images, num_steps, needs)

        return spread(own, mesh, split=(True, False, False))(state, images, num_steps)

    return jax.jit(counted, donate_argnums=0, static_argnums=3)


class Fleet:
    """R runs of one program.

    Args:
        program: what is compiled.
        images: the training data.
        states: of the runs.
        map: "sequential" (each run by itself, as many at a time as there are cores; bit for bit
            the same as that run alone), "vmap" (all runs in one batched program, the same within
            rounding) or "auto": vmap on an accelerator, sequential on a CPU, where it is faster
            (`benchmarks/fleet.py`). Under "vmap" the runs are spread over the devices of this
            process (`elbax.limit_devices`), each of which batches its own; sequential runs use one.

    A program that an earlier fleet has compiled is used again, and `num_compilations` counts what
    this fleet had to compile itself.
    """

    def __init__(
        self, program: Program, images: jax.Array, states: Sequence[RunState], map: str = "auto"
    ):
        if map not in MAPS:
            raise InputError(unknown("fleet map", map, MAPS))
        if map == "auto":
            map = "sequential" if jax.default_backend() == "cpu" else "vmap"
        self.program, self.images, self.map, self.num_compilations = program, images, map, 0
        self.states = list(states)
        mesh = mesh_for(len(states)) if map == "vmap" else None
        self._side_by_side = SideBySide() if mesh is None else OverDevices(mesh, len(states))
        self._images = images if mesh is None else everywhere(images, mesh)
        self._chunk = compiled(program, map == "vmap", mesh)
        self._has_advanced = False

    @property
    def states(self) -> list[RunState]:
        """Of each run by itself."""
        if self._stacked is not None:  # taken apart only when somebody looks
            self.states = self._side_by_side.apart(self._stacked)
        return self._states

    @states.setter
    def states(self, states: list[RunState]) -> None:
        self._states, self._stacked = states, None

    def advance(self, num_steps: int) -> None:
        """Take `num_steps` steps in every run; all must lie within the current epoch.

        A run that was ended only has them counted; in a batched program it is computed with the
        others and keeps its parameters, as one that diverged does.

        Runs one by one are each compiled for what their own objective needs, so that a run is the
        same in any company; one batched program does what any of them needs.
        """
        count = jnp.asarray(num_steps, jnp.int32)

        def run(state: RunState, needs: Needs) -> RunState:
            before = _tracings.count
            state = jax.block_until_ready(self._chunk(state, self._images, count, needs))
            if _tracings.count > before:
                self.num_compilations += _tracings.count - before
            return state

        table = self.program.objectives
        if self.map == "vmap":
            stacked, self._stacked = self._stacked, None
            if stacked is None:
                stacked = self._side_by_side.stacked(self.states)
            self._states, self._stacked = [], run(stacked, table.all_needs)
            return
        before = self.states
        going = [index for index, state in enumerate(before) if int(state.status) >= OK]
        # The first of each program goes ahead alone where it may not be compiled yet: two threads
        # would compile it twice.
        ahead = {table.needs[index]: index for index in reversed(going)}
        first = set() if self._has_advanced else set(ahead.values())
        advanced = {index: run(self.states[index], table.needs[index]) for index in sorted(first)}
        rest = [index for index in going if index not in first]
        with ThreadPoolExecutor(num_cores()) as pool:
            others = pool.map(lambda i: run(self.states[i], table.needs[i]), rest)
            advanced |= dict(zip(rest, others, strict=True))
        self.states = [
            advanced[index] if index in advanced else state._replace(step=state.step + num_steps)
            for index, state in enumerate(before)
        ]
        self._has_advanced = True

    def end(self, index: int) -> None:
        """End a run where it stands: it keeps its parameters, and costs nothing from now on.

        In a batched program it is still computed, with the others.
        """
        state = self.states[index]
        if int(state.status) == OK:
            self.states[index] = state._replace(status=jnp.asarray(-int(state.step), jnp.int32))

    def model(self, index: int) -> Model:
        """The model of one run as it stands, with arrays of its own: whoever has it may keep it."""
        params = self._side_by_side.at_home(self.states[index].params)
        return copied(eqx.combine(params, self.program.static_model))
