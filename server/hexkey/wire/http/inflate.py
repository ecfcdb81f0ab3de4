"""Compressed bodies, for the API whose clients send them: no more comes out than is taken."""

from __future__ import annotations

import zlib

from hexkey.errors import Code, invalid
from hexkey.wire.http.errors import CLOSE, HttpError

PATHS = "/v2/models/"
"""Where they are taken: the Open Inference Protocol's."""
ENCODINGS = frozenset({b"gzip", b"deflate"})
_EITHER = zlib.MAX_WBITS | 32  # a gzip or a zlib header, whichever there is


def inflate(data: bytes, limit: int) -> bytes:
    """Return a body as it was; ``ServeError`` for one that is damaged or larger than ``limit``."""
    inflater = zlib.decompressobj(_EITHER)
    try:
        whole = inflater.decompress(data, limit + 1)
    except zlib.error:
        raise invalid("the body is not compressed as its Content-Encoding says") from None
    if len(whole) > limit:
        raise HttpError(
            413,
            f"the body holds more than the {limit} bytes that are taken",
            reason="BODY_TOO_LARGE",
            code=Code.TOO_LARGE,
            headers=(CLOSE,),
        )
    if not inflater.eof or inflater.unused_data:
        raise invalid("the compressed body is cut, or something stands behind it")
    return whole
