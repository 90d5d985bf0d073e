"""Networks: functions of one vector. Any Equinox module or plain function may stand in for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._checks import check_count
from elbax._errors import InputError, unknown
from elbax._types import PRNGKey
from elbax.nn._names import ACTIVATIONS, INITIALIZATIONS
from elbax.nn._product import product


class Linear(eqx.Module):
    """An affine map, `x @ weight + bias`, Glorot-uniform at the start.

    `weight` is `[in, out]`, `bias` is `[out]` and starts at zero; a vector `[in]` becomes one of
    `[out]`. The product is `elbax.nn.product`. PyTorch and `eqx.nn.Linear` hold `[out, in]`.

    Args:
        num_in: size of the input, at least 1.
        num_out: size of the output, at least 1.
        key: a random key, consumed here.
        initialization: "glorot"; or "fan-in", weights and biases uniform within
            1 / sqrt(num_in), where the linear layers of PyTorch start.

    Raises:
        InputError: a size below 1, or another name.

    References: Glorot & Bengio 2010, Understanding the difficulty of training deep networks,
    eq. 16 (glorot) and eq. 1 (fan-in).

    >>> Linear(3, 2, key=jax.random.key(0))(jnp.ones(3)).shape
    (2,)
    """

    weight: Float[Array, " i o"]
    bias: Float[Array, " o"]

    def __init__(self, num_in: int, num_out: int, *, key: PRNGKey, initialization: str = "glorot"):
        check_count("num_in", num_in)
        check_count("num_out", num_out)
        if initialization not in INITIALIZATIONS:
            raise InputError(unknown("initialization", initialization, INITIALIZATIONS))
        is_glorot = initialization == "glorot"
        limit = (6 / (num_in + num_out)) ** 0.5 if is_glorot else num_in**-0.5
        self.weight = jax.random.uniform(key, (num_in, num_out), minval=-limit, maxval=limit)
        self.bias = jnp.zeros(num_out)
        if not is_glorot:
            key = jax.random.fold_in(key, 1)  # the weights' own key stays what it is for both
            self.bias = jax.random.uniform(key, (num_out,), minval=-limit, maxval=limit)

    def __call__(self, x: Float[Array, " i"]) -> Float[Array, " o"]:
        """The map."""
        return product(x, self.weight) + self.bias


class Standard(eqx.Module):
    """Constants that take values to mean 0 and standard deviation 1, and back; never trained.

    They are arrays, so that a checkpoint holds them; their gradient is zero.

    Args:
        center: the mean of each column, `[D]`, in the data's own units.
        scale: the standard deviation of each column, `[D]`, positive.

    >>> units = Standard(jnp.array([1000.0]), jnp.array([10.0]))
    >>> float(units.standardized(jnp.array([1020.0]))[0])
    2.0
    """

    center: Float[Array, " d"]
    scale: Float[Array, " d"]

    def standardized(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """`(x - center) / scale`."""
        return (x - jax.lax.stop_gradient(self.center)) / jax.lax.stop_gradient(self.scale)

    def location(self, value: Float[Array, " d"]) -> Float[Array, " d"]:
        """`center + scale * value`, in the data's own units."""
        return jax.lax.stop_gradient(self.center) + self.spread(value)

    def spread(self, value: Float[Array, " d"]) -> Float[Array, " d"]:
        """`scale * value`, in the data's own units."""
        return jax.lax.stop_gradient(self.scale) * value


class Standardized(eqx.Module):
    """A network that reads data in units of their standard deviation.

    Args:
        network: a function of one vector `[D]`.
        standard: the constants, a `Standard` of D columns.

    >>> units = Standard(jnp.array([1000.0]), jnp.array([10.0]))
    >>> Standardized(jnp.tanh, units)(jnp.array([1000.0])).tolist()
    [0.0]
    """

    network: Callable[[Array], Array]
    standard: Standard

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " h"]:
        """Features of the standardized datum."""
        return self.network(self.standard.standardized(x))


@dataclass(frozen=True)
class Activation:
    """A function by element, known by its name and equal to any other of that name.

    JAX's own functions are compiled objects that cannot be pickled, and whose copies are other
    functions; a name can, and its copies are the same.

    Args:
        name: one of `elbax.nn.ACTIVATIONS`: tanh, relu, leaky-relu, elu, gelu (by tanh) or
            softplus.

    Raises:
        InputError: another name.

    >>> float(Activation("relu")(jnp.asarray(-1.0)))
    0.0
    """

    name: str

    def __post_init__(self):
        if self.name not in ACTIVATIONS:
            raise InputError(unknown("activation", self.name, ACTIVATIONS))

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The function, by element."""
        if self.name == "tanh":
            return jnp.tanh(x)
        return getattr(jax.nn, self.name.replace("-", "_"))(x)


class MLP(eqx.Module):
    """Linear maps, each followed by `activation`, the last one too: the features of a head.

    A vector `[sizes[0]]` becomes one of `[sizes[-1]]`; a single size is the identity.

    Args:
        sizes: of the input and of every layer, each at least 1.
        key: a random key, consumed here.
        activation: a function by element; tanh if omitted.
        initialization: of the maps, as for `Linear`.

    Raises:
        InputError: no size, one below 1, or another initialization.

    >>> MLP([3, 200, 200], key=jax.random.key(0))(jnp.ones(3)).shape
    (200,)
    """

    layers: tuple[Linear, ...]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        key: PRNGKey,
        activation: Callable[[Array], Array] = Activation("tanh"),
        initialization: str = "glorot",
    ):
        if not sizes:
            raise InputError("expected the size of an MLP's input, and of its layers; got none.")
        keys = jax.random.split(key, len(sizes))
        pairs = zip(sizes[:-1], sizes[1:], keys[1:], strict=True)
        self.layers = tuple(Linear(i, o, key=k, initialization=initialization) for i, o, k in pairs)
        self.activation = activation

    def __call__(self, x: Float[Array, " i"]) -> Float[Array, " o"]:
        """Apply the maps in order."""
        for layer in self.layers:
            x = self.activation(layer(x))
        return x
