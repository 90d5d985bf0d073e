"""The methods of the literature by name: one bound or two, and a rule."""

from collections.abc import Callable

from elbax import bounds
from elbax._checks import is_whole
from elbax._errors import InputError
from elbax.bounds import AbstractBound, Tempered
from elbax.bounds.overlapping import PERMUTATIONS
from elbax.bounds.thermodynamic import KNOTS
from elbax.courses import Learned, Number, Ramp
from elbax.objectives import Objective
from elbax.rules import AbstractRule

Rule = AbstractRule | str


def vae(
    m: int = 64,
    *,
    gradient: Rule = "reparam",
    warmup: float | int = 0,
    alpha_warmup: float | int = 0,
) -> Objective:
    """The ELBO with m samples per datum (Kingma & Welling 2014, eq. 7).

    Args:
        m: samples per datum.
        gradient: the inference network's gradient rule, a name or your own.
        warmup: epochs over which the weight of the KL term rises from 0 to 1; 0 is no warm-up.
        alpha_warmup: epochs over which alpha falls from 1 (the ELBO) to 0 (the bound itself);
            0 is no warm-up. The ELBO has nothing to warm up to.

    >>> vae(m=8).generative
    VAE(m=8)
    """
    if alpha_warmup:
        raise InputError("expected no alpha_warmup for vae: it starts at the ELBO, which vae is.")
    return _composed(bounds.VAE(m), bounds.VAE(m), gradient, warmup, 0)


def iwae(
    k: int = 64,
    *,
    gradient: Rule = "reparam",
    warmup: float | int = 0,
    alpha_warmup: float | int = 0,
) -> Objective:
    """The importance-weighted bound with k samples (Burda et al. 2015, eq. 8).

    The arguments that have names only are those of `vae`.

    >>> iwae(k=8).num_samples
    8
    """
    return _composed(bounds.IWAE(k), bounds.IWAE(k), gradient, warmup, alpha_warmup)


def miwae(
    m: int = 8,
    k: int = 8,
    *,
    gradient: Rule = "reparam",
    warmup: float | int = 0,
    alpha_warmup: float | int = 0,
) -> Objective:
    """The mean of m importance-weighted bounds of k samples (Rainforth et al. 2018, section 4).

    >>> miwae(m=4, k=16).num_samples
    64
    """
    return _composed(bounds.MIWAE(m, k), bounds.MIWAE(m, k), gradient, warmup, alpha_warmup)


def piwae(
    m: int = 8,
    k: int = 8,
    *,
    decoder_k: int | None = None,
    gradient: Rule = "reparam",
    warmup: float | int = 0,
    alpha_warmup: float | int = 0,
) -> Objective:
    """IWAE(m k) for the generative network, MIWAE(m, k) for the inference network.

    Args:
        m: groups of samples.
        k: samples of a group.
        decoder_k: samples of the generative network's IWAE, the first ones; all m k if none. 10 of
            (10, 10) is what the code of the 2021 report ran for its PIWAE(8, 8).
        gradient: as for `vae`, and so the others.
        warmup: epochs of KL warm-up.
        alpha_warmup: epochs of Renyi warm-up.

    References: Rainforth et al. 2018, Tighter variational bounds are not necessarily better,
    section 4 (PIWAE).

    >>> piwae(m=4, k=16).inference
    MIWAE(m=4, k=16)
    >>> piwae(m=4, k=16, decoder_k=16).generative
    First(bound=IWAE(k=16), t=64)
    """
    inference, num = bounds.MIWAE(m, k), m * k
    few = num if decoder_k is None else decoder_k
    if not is_whole(few) or not 1 <= few <= num:
        raise InputError(
            f"expected decoder_k from 1 to the {num} samples of piwae(m={m}, k={k}); got {few!r}."
        )
    generative = bounds.IWAE(num) if few == num else bounds.First(bounds.IWAE(few), num)
    return _composed(generative, inference, gradient, warmup, alpha_warmup)


def uiwae(
    m: int = 8,
    k: int = 8,
    permutations: int = PERMUTATIONS,
    *,
    gradient: Rule = "reparam",
    warmup: float | int = 0,
    alpha_warmup: float | int = 0,
) -> Objective:
    """MIWAE(m, k) averaged over orders of its samples, whose groups overlap (Burroni et al. 2023).

    The expectation is MIWAE's, the variance at most its; a few groups of the same samples more
    cost next to nothing beside the networks.

    >>> uiwae(m=4, k=16, permutations=5).generative
    UIWAE(m=4, k=16, permutations=5)
    """
    bound = bounds.UIWAE(m, k, permutations)
    return _composed(bound, bound, gradient, warmup, alpha_warmup)


def ciwae(
    k: int = 64,
    beta: Number = 0.5,
    *,
    learn: str | None = None,
    gradient: Rule = "reparam",
    warmup: float | int = 0,
    alpha_warmup: float | int = 0,
) -> Objective:
    """Beta times the ELBO plus (1 - beta) times IWAE, same samples (Rainforth et al. 2018).

    Args:
        k: samples per datum.
        beta: a number in [0, 1], or a `Ramp`.
        learn: learn beta, starting from the number given: "noise" (down the relative noise of
            the inference network's gradient), "ascend" (up the bound: ends at 0) or "descend"
            (down the bound: ends at 1).
        gradient: as for `vae`, and so the others.
        warmup: epochs of KL warm-up.
        alpha_warmup: epochs of Renyi warm-up.

    >>> ciwae(k=8, beta=0.05).generative
    CIWAE(k=8, beta=0.05)
    """
    if learn is not None:
        if isinstance(beta, Ramp | Learned):
            raise InputError(f"expected one number for a learned beta to start from; got {beta}.")
        beta = Learned(beta, learn)
    bound = bounds.CIWAE(k, beta)
    return _composed(bound, bound, gradient, warmup, alpha_warmup)


def renyi(
    k: int = 64, alpha: Number = 0.5, *, gradient: Rule = "reparam", warmup: float | int = 0
) -> Objective:
    """The VR-IWAE bound of order alpha, a number in [0, 1] or a `Ramp` (Daudel et al. 2023).

    >>> renyi(k=8, alpha=0.2).generative
    Renyi(k=8, alpha=0.2)
    """
    return _composed(bounds.Renyi(k, alpha), bounds.Renyi(k, alpha), gradient, warmup, 0)


def jvi(k: int = 64, *, gradient: Rule = "reparam", warmup: float | int = 0) -> Objective:
    """The jackknife of order 1, an estimate of log p(x) and no bound (Nowozin 2018).

    >>> jvi(k=8).generative
    JVI(k=8)
    """
    return _composed(bounds.JVI(k), bounds.JVI(k), gradient, warmup, 0)


def tvo(
    k: int = 64,
    knots: tuple[float, ...] = KNOTS,
    *,
    gradient: Rule = "reparam",
    warmup: float | int = 0,
) -> Objective:
    """The thermodynamic objective over the given left ends of intervals (Masrani et al. 2019).

    >>> tvo(k=8, knots=(0.0, 0.1)).generative
    TVO(k=8, knots=(0.0, 0.1))
    """
    return _composed(bounds.TVO(k, knots), bounds.TVO(k, knots), gradient, warmup, 0)


def rws(k: int = 64, *, gradient: Rule = "wake", warmup: float | int = 0) -> Objective:
    """Reweighted wake-sleep: IWAE for the generative network, wake and sleep for the other.

    `gradient` is "wake", "sleep", "wake-sleep" (half of each; "wake-sleep:0.8" gives the share of
    wake) or, for reparameterized latents, "wake-dreg" (Bornschein & Bengio 2015).

    >>> from elbax.rules import rule_text
    >>> rule_text(rws(k=8).gradient)
    'wake'
    """
    return _composed(bounds.IWAE(k), bounds.IWAE(k), gradient, warmup, 0)


def _composed(
    generative: AbstractBound, inference: AbstractBound, gradient, warmup, alpha_warmup
) -> Objective:
    if alpha_warmup:
        alpha = Ramp(1.0, 0.0, alpha_warmup)
        generative, inference = Tempered(generative, alpha), Tempered(inference, alpha)
    return Objective(generative, inference, gradient, Ramp(0.0, 1.0, warmup) if warmup else None)


METHODS: dict[str, Callable[..., Objective]] = {
    "vae": vae,
    "iwae": iwae,
    "miwae": miwae,
    "piwae": piwae,
    "ciwae": ciwae,
    "renyi": renyi,
    "jvi": jvi,
    "tvo": tvo,
    "uiwae": uiwae,
    "rws": rws,
}
