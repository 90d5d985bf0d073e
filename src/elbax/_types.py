"""The axis glossary, and the array types that follow from it.

Axes, outermost first: `R` runs of a fleet, `T` (or `K`) samples, `B` data, then event axes:
`D` observed, `Z` latent. `T = M K` where a bound splits its samples into M groups of K.
`log_w[k, b]` is the log-importance-weight of sample k of datum b, in nats.
"""

from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Key, Real

LogWeights = Float[Array, " k b"]
Data = Real[Array | np.ndarray, "b ..."] | Bool[Array | np.ndarray, "b ..."]
PerDatum = Float[Array, " b"]
Scalar = float | int | np.floating | np.integer | Float[Array, ""]
PRNGKey = Key[Array, ""]
PyTree = Any
