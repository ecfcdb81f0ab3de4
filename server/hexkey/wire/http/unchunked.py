"""Answers to clients of HTTP/1.0, which know no chunks."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Unchunked(RequestResponseCycle):
    """An answer whose body, where its length is not known, ends with the connection."""

    async def send(self, message: Any) -> None:
        """Called by the application."""
        self.chunked_encoding = False
        if message["type"] == "http.response.body":
            # What is left of the length that was told, as uvicorn counts; ours need no counting.
            self.expected_content_length = len(message["body"])
        await super().send(message)
