"""Networks: functions of one vector, and the matrix product they share.

Any Equinox module or plain function may stand in for them; nothing here sees a batch axis. What is
public is listed in `__init__.pyi`, and imported when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
