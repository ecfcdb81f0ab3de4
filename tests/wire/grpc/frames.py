"""A gRPC client of few bytes, for what no library does: HTTP/2 frames (RFC 9113)."""

from __future__ import annotations

import socket
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return an HTTP/2 frame."""
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes([kind, flags])
        + struct.pack(">I", stream)
        + payload
    )


HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)


def call_of(method: str, message: bytes, size: int | None = None, stream: int = 1) -> bytes:
    """Return the frames of a call whose message is said to have ``size`` bytes, or is whole.

    Its headers are HPACK literals (RFC 7541, 6.2.2).
    """
    fields = {
        ":path": f"/hexkey.v1.InferenceService/{method}",
        ":authority": "t",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    block = b"\x83\x86"  # :method POST, :scheme http
    for name, value in fields.items():
        block += b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    body = b"\0" + struct.pack(">I", len(message) if size is None else size) + message
    end = END_STREAM if size is None else 0
    return frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, end, stream, body)


def goaway(words: bytes) -> bytes:
    """Return the frame by which a client leaves for an internal error, with its last words."""
    return frame(GOAWAY, 0, 0, struct.pack(">II", 0, 2) + words)


def kinds(connection: socket.socket) -> list[int]:
    """Return the kinds of the frames that come until the other end closes."""
    found: list[int] = []
    with connection.makefile("rb") as stream:
        while header := stream.read(9):
            found.append(header[3])
            stream.read(int.from_bytes(header[:3], "big"))
    return found
