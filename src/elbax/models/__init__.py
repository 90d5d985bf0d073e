"""Models: what one is, the ones elbax builds, and the parts to build one's own from.

What is public is listed in `__init__.pyi`, and imported when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
