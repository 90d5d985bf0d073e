"""A model's configuration, free of JAX so that the command line starts fast."""

from dataclasses import dataclass, replace

from elbax.nn._names import ACTIVATIONS, INITIALIZATIONS
from elbax.tables.schema import Schema

__all__ = [
    "ACTIVATIONS",
    "INITIALIZATIONS",
    "LATENTS",
    "LIKELIHOODS",
    "MISSING",
    "PRESETS",
    "ModelConfig",
]

# Why cells of a table are missing.
MISSING = (
    "random",
    "self-masking",
    "self-masking-above",
    "self-masking-below",
    "linear",
    "linear-above",
    "linear-below",
    "nonlinear",
)
LATENTS = ("normal", "bernoulli", "categorical")
# Of intensities in [0, 1], and of any numbers; a table's columns decide theirs.
IN_UNIT = ("bernoulli", "continuous-bernoulli", "discretised-logistic")
LIKELIHOODS = (*IN_UNIT, "gaussian", "table")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and distributions of a model with one or more stochastic layers.

    The default is the network of Burda et al. 2015: 425 284 parameters on 28 x 28 data.

    >>> LARGER.latents, SBN.layers
    (20, (200,))
    """

    hidden: tuple[int, ...] = (200, 200)
    """Sizes of the encoder's hidden layers; the decoder mirrors them. None is a linear map."""
    channels: tuple[int, ...] = ()
    """Channels of the convolutions between images and the hidden layers, nearest to the data first;
    each halves both sides, and the decoder mirrors them. None leaves the model fully connected."""
    activation: str = "tanh"
    """What follows every hidden layer: tanh, relu, leaky-relu, elu, gelu or softplus."""
    latents: int | tuple[int, ...] = 50
    """Number of latent variables; one number per stochastic layer, nearest to the data first."""
    latent: str = "normal"
    """Distribution of the latents: normal, bernoulli or categorical."""
    categories: int = 10
    """Categories of a categorical latent."""
    hidden_above: tuple[int, ...] = ()
    """Sizes of the hidden layers between two stochastic layers; none is a linear map."""
    likelihood: str = "bernoulli"
    """Distribution of the data given the latents: bernoulli, gaussian, of the levels of images
    discretised-logistic, of intensities in [0, 1] continuous-bernoulli or, of tables whose columns
    `table` describes, table."""
    levels: int = 255
    """Of a discretised logistic likelihood: the stored value that means intensity 1; training takes
    that of the data."""
    scale: str | None = None
    """How a standard deviation is made positive: exp or softplus. None is exp, as Burda et al. have
    it, but softplus where several normal layers read each other by features without a limit, that
    is by a linear map or an activation other than tanh: exponentials of what exponentials scale
    overflow within two layers, and fall to the floor."""
    scale_floor: float = 1e-6
    """Smallest standard deviation, added to the above."""
    initialization: str = "glorot"
    """Where the fully connected layers start: glorot (uniform by inputs and outputs, biases 0), or
    fan-in (weights and biases uniform within 1 / sqrt(inputs), as PyTorch's)."""
    output_bias: bool = True
    """Start the decoder's output at the mean of the training data."""
    standardize: bool = True
    """Under a Gaussian likelihood, let the networks see and give data in units of the training
    data's standard deviation; densities stay in the data's own units."""
    table: Schema | None = None
    """The columns of a table, where the data are one; training puts it here."""
    homoscedastic: bool = False
    """Of a table: give every real column one learned scale (and degrees of freedom), in place of
    one that depends on the latents. Where the latents decide, rows of values that repeat, such as
    rounded ones, have a density that rises ever further."""
    missing: str = "random"
    """Why cells of a table are missing: random (given what was observed); by their own value in
    gaussian and log-normal columns, self-masking; or by all of these and all columns without holes,
    linear or, by a network, nonlinear. Where it is known that large or small values go missing,
    self-masking-above, self-masking-below, linear-above or linear-below."""

    @property
    def is_standardized(self) -> bool:
        """Whether the model holds the mean and standard deviation of its training data."""
        return self.standardize and self.likelihood == "gaussian"

    def of_table(self, schema: Schema) -> "ModelConfig":
        """The same sizes for rows of a table, whose columns decide the likelihood.

        >>> from elbax.tables.schema import Column
        >>> SMALL.of_table(Schema((Column("a", "poisson"),))).likelihood
        'table'
        """
        return replace(self, likelihood="table", table=schema)

    @property
    def positive(self) -> str:
        """`scale`, as it is built.

        >>> TWO_LAYER.positive, ModelConfig(latents=(8, 4)).positive
        ('exp', 'softplus')
        """
        if self.scale is not None:
            return self.scale
        chained = self.latent == "normal" and len(self.layers) > 1
        bounded = bool(self.hidden_above) and self.activation == "tanh"
        return "softplus" if chained and not bounded else "exp"

    @property
    def explicit(self) -> "ModelConfig":
        """The same with nothing left open, as folders and files hold it."""
        return replace(self, scale=self.positive)

    @property
    def layers(self) -> tuple[int, ...]:
        """Latents per stochastic layer, nearest to the data first."""
        return (self.latents,) if isinstance(self.latents, int) else tuple(self.latents)


REFERENCE = ModelConfig()
# For small images, such as the 8 x 8 digits.
SMALL = ModelConfig(hidden=(100,), latents=20)
SMALL_TWO_LAYER = ModelConfig(hidden=(100,), latents=(20, 10), hidden_above=(50,))
LARGER = ModelConfig(hidden=(400, 400), latents=20)
# Burda et al. 2015, section 5: q D-200-200-100, then 100-100-100-50; p mirrored.
TWO_LAYER = ModelConfig(latents=(100, 50), hidden_above=(100, 100))
# For images whose sides are multiples of 4, such as 28 x 28 and 32 x 32.
CONV = ModelConfig(channels=(32, 64), hidden=(256,), activation="relu")
# For tables: the networks of Mattei & Frellsen 2019, section 4.2.
TABLE = ModelConfig(hidden=(128, 128, 128), latents=10)
# Sigmoid belief networks of 200 units, linear maps (Mnih & Gregor 2014; Mnih & Rezende 2016).
SBN = ModelConfig(hidden=(), latents=(200,), latent="bernoulli")
SBN_2 = ModelConfig(hidden=(), latents=(200, 200), latent="bernoulli")
SBN_3 = ModelConfig(hidden=(), latents=(200, 200, 200), latent="bernoulli")
PRESETS = {
    "reference": REFERENCE,
    "small": SMALL,
    "larger": LARGER,
    "two-layer": TWO_LAYER,
    "small-two-layer": SMALL_TWO_LAYER,
    "conv": CONV,
    "table": TABLE,
    "sbn": SBN,
    "sbn-2": SBN_2,
    "sbn-3": SBN_3,
}
