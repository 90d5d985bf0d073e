"""All studies by name, in the order of their headings."""

from elbax.studies.papers import (
    beta,
    curves,
    discrete,
    generalization,
    iwae_table,
    log_expectation,
    manifold,
    mcvae,
    reconstructions,
    snr,
    table1,
    two_stage,
    warmup,
)
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.study import Study

_STUDIES = {
    module.STUDY.name: module.STUDY
    for module in (
        table1,
        curves,
        reconstructions,
        beta,
        generalization,
        iwae_table,
        two_stage,
        warmup,
        manifold,
        log_expectation,
        discrete,
        mcvae,
        snr,
    )
}
STUDIES: dict[str, Study] = {name: _STUDIES[name] for name in HEADINGS}
