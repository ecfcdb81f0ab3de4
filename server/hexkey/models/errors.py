"""The one error of this package."""

from __future__ import annotations


class ModelError(Exception):
    """A model that cannot be used; the message says what is wrong, with which file, what to do."""
