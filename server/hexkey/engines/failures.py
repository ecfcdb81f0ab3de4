"""What a request settles with when something raised."""

from __future__ import annotations

from hexkey.errors import Code, ServeError
from hexkey.types import Failure


def failure_of(error: Exception) -> Failure:
    """Return the failure of one request, so that its batch-mates go on.

    Of an error that was not foreseen only the type leaves: its text may hold a user's data.
    """
    if isinstance(error, ServeError):
        return Failure(error.code, error.message, error.param)
    return Failure(Code.INTERNAL, f"the engine failed on this request ({type(error).__name__})")
