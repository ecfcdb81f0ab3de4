"""The languages that are served, for the APIs that list them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexkey import routing

if TYPE_CHECKING:
    from hexkey.routing import Pair
    from hexkey.service import Service
    from hexkey.types import Caller


def directions(service: Service, caller: Caller) -> list[Pair]:
    """Return every direction between two languages that are named, straight or through a third."""
    catalog = service.catalog(caller)
    found = {*routing.pairs(catalog), *(routing.pivots(catalog) if service.rules.pivot else ())}
    return sorted((one for one in found if routing.ANY not in {one.source, one.target}), key=str)
