"""The pass of an evaluation: blocks of data and samples, on one device or several."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from elbax._devices import everywhere, mesh_for, parted, spread
from elbax._log_weights import log_weights_of
from elbax._numerics import effective_sample_size
from elbax._types import LogWeights, PRNGKey
from elbax.bounds import MIWAE
from elbax.evaluation.reliability import tail_size
from elbax.models.interface import Model


class Pass(NamedTuple):
    """What is kept of each datum: bounds `[ks, N]`, ESS `[N]`, largest log-weights `[m, N]`."""

    bounds: np.ndarray
    ess: np.ndarray
    largest: np.ndarray


def evaluated(
    model: Model,
    x: np.ndarray,
    rows: np.ndarray,
    *,
    key: PRNGKey,
    ks: tuple[int, ...],
    block_rows: int,
    progress: Callable[[float], None] | None,
) -> Pass:
    """The given rows of the data; a datum's draws depend on the key and its row alone.

    Args:
        model: the model.
        x: all data, `[N, *event]`.
        rows: which of them, in this order.
        key: a random key.
        ks: sample counts, increasing.
        block_rows: decoder rows at a time on each device.
        progress: told the fraction done.
    """
    mesh = mesh_for(len(rows))
    num_devices = 1 if mesh is None else mesh.size
    data_rows, *cut = _blocks(ks[-1], block_rows, -(-len(rows) // num_devices))
    data_rows *= num_devices
    params, static = eqx.partition(model, eqx.is_array)
    if mesh is not None:
        params, key = everywhere((params, key), mesh)
    outputs = []
    for start in range(0, len(rows), data_rows):
        # The last block is filled up with its first datum, so that one program serves all blocks.
        block = rows[start : start + data_rows]
        block = np.concatenate([block, np.repeat(block[:1], data_rows - len(block))])
        known = (jnp.asarray(x[block]), jnp.asarray(block))
        own_x, own_rows = known if mesh is None else parted(known, mesh)
        found = _evaluate_block(params, own_x, key, own_rows, static, ks, *cut, mesh)
        outputs.append(jax.tree.map(np.asarray, found))
        if progress is not None:
            progress(min(1.0, (start + data_rows) / len(rows)))
    return Pass(
        *(
            np.concatenate(blocks, axis=-1)[..., : len(rows)]
            for blocks in zip(*outputs, strict=True)
        )
    )


def _blocks(num_samples: int, block_rows: int, num_data: int) -> tuple[int, int, int]:
    """Data per block, samples per inner block, and inner blocks: their product is block_rows."""
    sample_rows = min(num_samples, max(1, block_rows // min(num_data, 20)))
    num_blocks = -(-num_samples // sample_rows)
    sample_rows = -(-num_samples // num_blocks)
    return min(num_data, max(1, block_rows // sample_rows)), sample_rows, num_blocks


@partial(jax.jit, static_argnames=("static", "ks", "sample_rows", "num_blocks", "mesh"))
def _evaluate_block(
    params,
    x: Float[Array, "b ..."],
    key: PRNGKey,
    rows: Int[Array, " b"],
    static,
    ks: tuple[int, ...],
    sample_rows: int,
    num_blocks: int,
    mesh: Mesh | None,
) -> tuple[Float[Array, " ks b"], Float[Array, " b"], Float[Array, "m b"]]:
    """Bounds, ESS and the largest log-weights of a block of data, a part of it on each device.

    Only its log-weights `[max k, b]` are held at once.
    """
    block = partial(_block, static=static, ks=ks, sample_rows=sample_rows, num_blocks=num_blocks)
    if mesh is not None:
        block = spread(block, mesh, split=(False, True, False, True), axes=(1, 0, 1))
    return block(params, x, key, rows)


def _block(params, x, key: PRNGKey, rows, *, static, ks, sample_rows: int, num_blocks: int):
    model = eqx.combine(params, static)
    data_keys = jax.vmap(jax.random.fold_in, (None, 0))(key, rows)

    def sample_block(index: Array) -> LogWeights:
        samples = index * sample_rows + jnp.arange(sample_rows)
        keys = jax.vmap(lambda s: jax.vmap(lambda k: jax.random.fold_in(k, s))(data_keys))(samples)
        return log_weights_of(model, x, keys)

    log_w = jax.lax.map(sample_block, jnp.arange(num_blocks))
    log_w = log_w.reshape(num_blocks * sample_rows, -1)[: ks[-1]]
    bounds = jnp.stack([_grouped_bound(log_w, k) for k in ks])
    largest, _ = jax.lax.top_k(log_w.T, min(tail_size(ks[-1]) + 1, ks[-1]))
    return bounds, effective_sample_size(log_w), largest.T


def _grouped_bound(log_w: LogWeights, k: int) -> Float[Array, " b"]:
    """L_k as the mean over all disjoint groups of k samples that `log_w` holds."""
    groups = log_w.shape[0] // k
    return MIWAE(groups, k)(log_w[: groups * k])
