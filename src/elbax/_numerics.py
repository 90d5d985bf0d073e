"""The hard numerics: finite at -inf, at weights 1e4 nats apart, at logits of 100."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def log_mean_exp(log_w: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
    r"""Logarithm of the mean of exponentials, `log (1/K) \sum_k exp(log_w_k)`.

    Unlike a plain log-sum-exp, its derivative is finite (zero) where every entry is -inf.

    >>> float(log_mean_exp(jnp.array([0.0, -1e4])))  # half of one weight: log(1/2)
    -0.6931471824645996
    """
    shift = _finite_max(log_w, axis)
    total = jnp.sum(jnp.exp(log_w - shift), axis=axis)
    empty = total == 0
    log_total = jnp.log(jnp.where(empty, 1, total)) + jnp.squeeze(shift, axis)
    log_count = jnp.log(jnp.asarray(log_w.shape[axis], log_w.dtype))
    return jnp.where(empty, -jnp.inf, log_total) - log_count


def normalize_weights(log_w: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
    """Self-normalized weights, the softmax of `log_w`; all zero where every entry is -inf.

    >>> normalize_weights(jnp.array([0.0, -1e4])).tolist()
    [1.0, 0.0]
    """
    unnormalized = jnp.exp(log_w - _finite_max(log_w, axis))
    total = jnp.sum(unnormalized, axis=axis, keepdims=True)
    return unnormalized / jnp.where(total == 0, 1, total)


def log_share_of_others(log_w: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
    r"""`log(1 - w_i)` for every i, w the self-normalized weights; memory O(K).

    Exact to rounding of itself, not of the log-weights: where w_i is small it is -w_i, and where
    w_i is nearly all it is the share of the others, summed again without it.

    >>> log_share_of_others(jnp.array([0.0, -1e4])).tolist()
    [-10000.0, -0.0]
    """
    largest, others, w = _largest_apart(log_w, axis)
    # Of the largest: others / (others + 1) with the others in units of it.
    own = jnp.sum(jnp.where(largest & jnp.isfinite(log_w), log_w, 0), axis=axis, keepdims=True)
    return jnp.where(largest, -jax.nn.softplus(own - others), jnp.log1p(-w))


def log_sum_exp_of_others(log_w: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
    r"""`log \sum_{j != i} w_j` for every i, in memory O(K), exact also where w_i is nearly all.

    >>> log_sum_exp_of_others(jnp.array([0.0, -1e4])).tolist()
    [-10000.0, 0.0]
    """
    largest, others, w = _largest_apart(log_w, axis)
    log_count = jnp.log(jnp.asarray(log_w.shape[axis], log_w.dtype))
    total = jnp.expand_dims(log_mean_exp(log_w, axis), axis) + log_count
    return jnp.where(largest, others, total + jnp.log1p(-w))


def _largest_apart(log_w: Array, axis: int) -> tuple[Array, Array, Array]:
    """Where the largest weight is, the log-sum of the others, and the weights with 0 in its place.

    Of all weights only the largest can be more than half of the sum, so only there the sum of the
    others has to be taken again; elsewhere log(1 - w_i) loses nothing.
    """
    index = jnp.argmax(log_w, axis=axis, keepdims=True)
    largest = jnp.arange(log_w.shape[axis]).reshape(-1, *[1] * (log_w.ndim - 1 - axis)) == index
    log_count = jnp.log(jnp.asarray(log_w.shape[axis], log_w.dtype))
    others = log_mean_exp(jnp.where(largest, -jnp.inf, log_w), axis) + log_count
    w = jnp.where(largest, 0, normalize_weights(log_w, axis))
    return largest, jnp.expand_dims(others, axis), w


def shifted(log_w: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
    """The log-weights less their largest: the digits that differences of bounds are made of.

    >>> shifted(jnp.array([-1e4, -1e4 - 2])).tolist()
    [0.0, -2.0]
    """
    return log_w - _finite_max(log_w, axis)


def mean_of_others(values: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
    """The mean of all values but the i-th, for every i; -inf only where another one is -inf.

    >>> mean_of_others(jnp.array([1.0, -jnp.inf, 3.0])).tolist()
    [-inf, 2.0, -inf]
    """
    finite = jnp.isfinite(values)
    safe = jnp.where(finite, values, 0)
    total = jnp.sum(safe, axis=axis, keepdims=True)
    num_dead = jnp.sum(~finite, axis=axis, keepdims=True) - ~finite
    return jnp.where(num_dead > 0, -jnp.inf, (total - safe) / (values.shape[axis] - 1))


def effective_sample_size(log_w: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
    r"""Effective sample size, `(\sum w)^2 / \sum w^2`, from 1 to K (0 without any weight).

    >>> float(effective_sample_size(jnp.zeros(8)))
    8.0
    """
    squares = jnp.sum(normalize_weights(log_w, axis) ** 2, axis)
    return jnp.where(squares > 0, 1 / jnp.where(squares > 0, squares, 1), 0)


def log_one_minus_exp(d: Float[Array, "..."]) -> Float[Array, "..."]:
    """`log(1 - exp(-d))` for d >= 0; -inf at 0, where its derivative is given as zero.

    >>> [round(float(log_one_minus_exp(jnp.array(d))), 3) for d in (1e-20, 100.0)]
    [-46.052, 0.0]
    """
    positive = d > 0
    safe = jnp.where(positive, d, 1)
    return jnp.where(positive, jnp.log(-jnp.expm1(-safe)), -jnp.inf)


_NEAR = 1.0  # up to here a series, which is exact to 1e-11; beyond, the closed form


def log_sinh_ratio(slope: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""`log(sinh(l / 2) / (l / 2))`, so that the integral of exp(l (x - 1/2)) over [0, 1] is 1.

    Even, 0 at 0, and about |l| / 2 - log |l| far from it.

    >>> round(float(log_sinh_ratio(jnp.array(2.0))), 6)  # log((e - 1/e) / 2)
    0.161439
    """
    size = jnp.abs(slope)
    near = size < _NEAR
    square = jnp.where(near, slope, 0) ** 2 / 4
    terms = (-691 / 3831077250, 1 / 467775, -1 / 37800, 1 / 2835, -1 / 180, 1 / 6)
    series = jnp.zeros_like(square)
    for term in terms:
        series = (series + term) * square
    far = jnp.where(near, 1, size)
    return jnp.where(near, series, far / 2 + log_one_minus_exp(far) - jnp.log(far))


def sinh_ratio_slope(slope: Float[Array, "..."]) -> Float[Array, "..."]:
    """The derivative of `log_sinh_ratio`, `1 / (1 - exp(-l)) - 1 / l - 1/2`, from -1/2 to 1/2.

    >>> round(float(sinh_ratio_slope(jnp.array(-100.0))), 6)
    -0.49
    """
    size = jnp.abs(slope)
    near = size < _NEAR
    small = jnp.where(near, slope, 0)
    terms = (-691 / 1307674368000, 1 / 47900160, -1 / 1209600, 1 / 30240, -1 / 720, 1 / 12)
    series = jnp.zeros_like(small)
    for term in terms:
        series = series * small**2 + term
    far = jnp.where(near, 1, size)
    away = 0.5 + jnp.exp(-far) / -jnp.expm1(-far) - 1 / far
    return jnp.where(near, small * series, jnp.sign(slope) * away)


def _finite_max(log_w: Array, axis: int) -> Array:
    """The maximum as a constant, or 0 where it is infinite, so that -inf - -inf never happens."""
    largest = jax.lax.stop_gradient(jnp.max(log_w, axis=axis, keepdims=True))
    return jnp.where(jnp.isfinite(largest), largest, 0)


@jax.custom_vjp
def bernoulli_log_prob(logits: Float[Array, " d"], x: Float[Array, " d"]) -> Float[Array, ""]:
    r"""Bernoulli log-likelihood in nats, `\sum_d x_d l_d - softplus(l_d)`, x in [0, 1].

    The widest arrays of a training step pass through here, so it is written for speed:
    softplus(l) = max(l, 0) + log(1 + exp(-|l|)), and the logarithms of a few factors, each in
    (1, 2], are taken at once as the logarithm of their product, which cannot overflow.

    >>> float(bernoulli_log_prob(jnp.array([100.0, -100.0]), jnp.array([1.0, 0.0])))
    0.0
    """
    return _bernoulli_forward(logits, x)[0]


_BLOCKS = 8  # factors per logarithm: 2**8 is far from overflow, and 784 = 8 * 98 needs no padding


def _bernoulli_forward(logits, x):
    width = -(-logits.shape[0] // _BLOCKS)
    terms = [_terms(logits[i : i + width], x[i : i + width]) for i in range(0, len(x), width)]
    linear, factors = terms[0]
    for more, others in terms[1:]:
        short = (0, width - more.shape[0])
        linear = linear + jnp.pad(more, short)
        factors = factors * jnp.pad(others, short, constant_values=1)
    # A product with a vector of ones sums along the last axis faster than a reduction does.
    return (linear - jnp.log(factors)) @ jnp.ones_like(linear), (logits, x)


def _terms(logits, x):
    """The linear term, and the factor whose logarithm is the other."""
    return x * logits - jnp.maximum(logits, 0), 1 + jnp.exp(-jnp.abs(logits))


def _bernoulli_backward(residuals, cotangent):
    logits, x = residuals
    of_logits = cotangent * (x - jax.nn.sigmoid(logits))
    # Made once: a compiler would make it anew for each product that reads it.
    return jax.lax.optimization_barrier(of_logits), cotangent * logits


bernoulli_log_prob.defvjp(_bernoulli_forward, _bernoulli_backward)
