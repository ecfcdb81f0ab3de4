"""``multipart/form-data`` (RFC 7578), with bounds on what a client may put into it.

The body is whole and bounded when it comes here; what is bounded here is its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from hexkey.errors import invalid
from hexkey.wire.http import codec

if TYPE_CHECKING:
    from collections.abc import Collection

    import msgspec
    from python_multipart.multipart import MultipartCallbacks

    from hexkey.wire.http.exchange import Exchange

TYPE = b"multipart/form-data"
MAX_PARTS = 64
MAX_HEADERS = 8
MAX_HEADER_BYTES = 1024

T = TypeVar("T")


def decode_any(decoder: msgspec.json.Decoder[T], exchange: Exchange) -> T:
    """Return the body, JSON or a form of either kind, as the decoder's type."""
    if exchange.headers.get(b"content-type", b"").lower().startswith(TYPE):
        return decode(decoder.type, exchange, ())
    return codec.decode_any(decoder, exchange)


def decode(kind: type[T], exchange: Exchange, files: Collection[str]) -> T:
    """Return a form as ``kind``; ``ServeError`` where it is none or does not fit.

    Fields named in ``files`` are bytes; see ``codec.of_fields`` for those that are lists.
    """
    content, options = parse_options_header(exchange.headers.get(b"content-type", b""))
    boundary = options.get(b"boundary")
    if content.lower() != TYPE or not boundary:
        raise invalid(f"send the body as {TYPE.decode()}, with its boundary")
    pairs: list[tuple[str, Any]] = []
    for name, data in _parts(boundary, exchange.body):
        try:
            pairs.append((name, data if name in files else data.decode()))
        except UnicodeDecodeError:
            raise invalid(f"{name}: is not UTF-8", name) from None
    return codec.of_fields(kind, pairs)


def _parts(boundary: bytes, body: bytes) -> list[tuple[str, bytes]]:
    """Return (name, data) of every part; ``ServeError`` for a body that is none or not whole."""
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary,
            reader.callbacks(),
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise invalid("the form is damaged: it does not end, or not as its boundary says") from None
    if not reader.ended:
        raise invalid("the form is damaged: its last boundary is missing")
    return reader.parts


class _Reader:
    def __init__(self) -> None:
        self.parts: list[tuple[str, bytes]] = []
        self.ended = False
        self._field = self._value = b""
        self._name = ""
        self._data: list[bytes] = []

    def callbacks(self) -> MultipartCallbacks:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise invalid(f"the form has more than {MAX_PARTS} parts")
        self._name, self._data = "", []

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._name = options.get(b"name", b"").decode(errors="replace")
        self._field = self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _on_part(self) -> None:
        if not self._name:
            raise invalid("a part of the form has no name")
        self.parts.append((self._name, b"".join(self._data)))

    def _end(self) -> None:
        self.ended = True
