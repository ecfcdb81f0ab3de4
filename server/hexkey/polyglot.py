"""Translations of lists that do not say their language: each text may be in another one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self, cast

import msgspec

from hexkey import routing
from hexkey.errors import ServeError
from hexkey.several import Several
from hexkey.types import Translate

if TYPE_CHECKING:
    from types import TracebackType

    from hexkey.routing import Detected, Pair
    from hexkey.run import Run
    from hexkey.service import Service
    from hexkey.types import Event, Request, Timing


def run(service: Service, request: Request) -> Run | Polyglot:
    """Return the run of any request; see ``Service.run``."""
    payload = request.payload
    if (
        isinstance(payload, Translate)
        and payload.texts[1:]
        and not routing.language(payload.source)
    ):
        return Polyglot(service, request)
    return service.run(request)


class Polyglot:
    """Runs a list of texts that leave their language open, those of each by themselves, as one run.

    What can be in one language only is one run.
    """

    cached = False

    def __init__(self, service: Service, request: Request) -> None:
        self._service = service
        self._request = request
        self._found: list[Detected] = []
        self._which: list[int] = []  # of the runs, by text
        self._inner: Run | Several = service.run(request)

    @property
    def model(self) -> str:
        """Name of the model that serves the first language."""
        return self._inner.model

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caller should know, of each run once."""
        inner = self._inner
        runs = inner.runs.values() if isinstance(inner, Several) else (inner,)
        return tuple(dict.fromkeys(note for one in runs for note in one.notes))

    @property
    def pair(self) -> Pair | None:
        """From which language to which the first text is translated."""
        return self.spoken(0)[0]

    def spoken(self, index: int) -> tuple[Pair | None, Detected | None]:
        """From which language to which a text is translated, and the source if it was found."""
        inner = self._inner
        if not isinstance(inner, Several):
            return inner.pair, self._found[index] if self._found else inner.plan.detected
        one = inner.runs.get(self._which[index])
        return one.pair if one else None, self._found[index]

    def whole(self) -> None:
        """Say, before it is entered, that nobody reads the answer before it is complete."""
        self._request = msgspec.structs.replace(self._request, whole=True)

    @property
    def traceparent(self) -> str:
        """Nothing: it is not known before it is entered how many runs there are."""
        return ""

    @property
    def timing(self) -> Timing | None:
        """Where the time went until now, for callers who may see it."""
        return self._inner.timing

    def seal(self) -> None:
        """Stay with the models under way."""
        self._inner.seal()

    async def __aenter__(self) -> Self:
        """Find the languages, and begin."""
        service, request = self._service, self._request
        # What is refused here is refused again by its run, which counts it.
        with contextlib.suppress(ServeError):
            self._found = await service.languages(request)
        places: dict[str, list[int]] = {}
        for index, one in enumerate(self._found):
            places.setdefault(one.language, []).append(index)
        parts = [_part(request, *place) for place in places.items()] or [request]
        if len(parts) > 1:
            order = list(places)
            self._which = [order.index(one.language) for one in self._found]
            self._inner = Several(service, parts, list(places.values()))
        else:
            self._inner = service.run(parts[0])
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        caught: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._inner.__aexit__(kind, caught, tb)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; ``Usage`` is the last."""
        return await self._inner.__anext__()


def _part(request: Request, language: str, places: list[int]) -> Request:
    """Return the part of a translation that is in one language."""
    payload = cast("Translate", request.payload)
    texts = tuple(payload.texts[at] for at in places)
    part = msgspec.structs.replace(payload, source=language, texts=texts)
    return msgspec.structs.replace(request, payload=part)
