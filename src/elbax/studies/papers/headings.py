"""What each study is called and where its claim is from; free of JAX, so that a list is instant."""

from typing import NamedTuple


class Heading(NamedTuple):
    """A study's name on the command line, its title, and the papers it reproduces."""

    name: str
    title: str
    source: str


_ALL = (
    Heading(
        "table1",
        "Eight methods with 64 samples",
        "Rainforth et al. 2018, Table 1; the 2021 reproduction report, Table 1 (larger model)",
    ),
    Heading(
        "curves",
        "Bounds while training",
        "The 2021 reproduction report, Figures 1 to 3; Rainforth et al. 2018, Figures 5 a to c",
    ),
    Heading(
        "reconstructions",
        "Reconstructions by method",
        "The 2021 reproduction report, Figures 5 and 6",
    ),
    Heading("beta", "Learning CIWAE's beta", "The 2021 reproduction report, Figure 4 and Eq. 16"),
    Heading(
        "generalization",
        "Generalization across data sets",
        "The 2021 reproduction report, Table 2 and Figure 7",
    ),
    Heading(
        "iwae-table",
        "Depth, samples and objective",
        "Burda, Grosse & Salakhutdinov 2015, Table 1",
    ),
    Heading(
        "two-stage",
        "From VAE to IWAE and back",
        "Burda, Grosse & Salakhutdinov 2015, Table 2",
    ),
    Heading(
        "warmup",
        "KL warm-up",
        "Sonderby et al. 2016, Ladder variational autoencoders, Figure 4 and Table 1",
    ),
    Heading(
        "manifold",
        "What two latents learn",
        "Kingma & Welling 2014, Figure 4; Burda et al. 2015, appendix (samples)",
    ),
    Heading(
        "log-expectation",
        "Why more samples tighten the bound",
        "Burda, Grosse & Salakhutdinov 2015, Theorem 1",
    ),
    Heading(
        "discrete",
        "Discrete latents",
        "Mnih & Rezende 2016, Figures 1 and 2; Mnih & Gregor 2014; Bornschein & Bengio 2015",
    ),
    Heading(
        "mcvae",
        "Likelihood after 10, 30 and 100 epochs",
        "Thin et al. 2021, Monte Carlo variational auto-encoders, the VAE and IWAE of its table",
    ),
    Heading(
        "snr",
        "Signal-to-noise ratios",
        "Rainforth et al. 2018, Theorem 1 and Figures 1 to 4; Tucker et al. 2019",
    ),
)
# In the order of the command line.
HEADINGS = {heading.name: heading for heading in _ALL}
