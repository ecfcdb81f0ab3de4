"""What a caller should know about the way that its request takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexkey.routing.languages import normal
from hexkey.types import Payload, Translate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hexkey.routing.plan import Route


def remarks(payload: Payload, route: Route) -> tuple[str, ...]:
    """Return a sentence for each thing that is not quite as asked: a variant, a third language."""
    return tuple(_remarks(payload, route)) if isinstance(payload, Translate) else ()


def _remarks(payload: Translate, route: Route) -> Iterator[str]:
    pair = route.pair
    if pair is None:
        return
    for asked, served in ((payload.source, pair.source), (payload.target, pair.target)):
        if normal(asked) not in {"", served}:
            yield f"{normal(asked)} is served as {served}"
    if len(route.legs) > 1:
        yield f"translated in {len(route.legs)} steps: {route}"
