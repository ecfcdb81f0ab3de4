"""Property tests have no time limit of their own: the machine may be shared.

They try the same examples each time, so that none fails by chance for who did not cause it.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unit", deadline=None, derandomize=True, database=None)
settings.load_profile("unit")
