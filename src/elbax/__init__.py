"""elbax: latent-variable models under multi-sample variational bounds.

The public names are listed in `__init__.pyi`, and each is imported when first used: `elbax --help`
does not wait for JAX.
"""

import lazy_loader

from elbax._compiler import warn_if_known_bad

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

warn_if_known_bad()
