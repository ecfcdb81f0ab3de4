"""Property tests have no time limit of their own: the machine may be shared."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
