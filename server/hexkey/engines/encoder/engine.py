"""Texts in, vectors out, batched as they come; rerank and classify compare the vectors."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hexkey.engines.base import StepReport
from hexkey.engines.batcher import Batcher
from hexkey.engines.encoder.tasks import reader_of
from hexkey.engines.failures import failure_of
from hexkey.errors import Code, ServeError, invalid
from hexkey.types import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hexkey.engines.encoder.model import Encoder
    from hexkey.engines.encoder.tasks import Input, Reader
    from hexkey.types import HostEvent, ModelInfo, Payload

AHEAD = 16
"""Texts of one request that wait at a time, so that a library does not keep out a line."""


class _Row(NamedTuple):
    request_id: int
    position: int
    ids: list[int]

    @property
    def length(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class _Work:
    """A request: ``inputs`` are not tokenised yet, ``open`` have no vector yet."""

    reader: Reader
    inputs: deque[tuple[int, Input]]
    open: int
    queued: int = 0
    usage: Usage = field(default_factory=Usage)


class EncoderEngine:
    """One encoder and the requests in it; see ``hexkey.engines.base.Engine``."""

    def __init__(
        self, encoder: Encoder, info: ModelInfo, max_rows: int, max_padded_tokens: int
    ) -> None:
        self.info = info
        self._encoder = encoder
        self._batcher: Batcher[_Row] = Batcher(max_rows, max_padded_tokens)
        self._works: dict[int, _Work] = {}

    @property
    def running(self) -> int:
        """Requests in work."""
        return len(self._works)

    def add(self, request_id: int, payload: Payload) -> None:
        """Queue the first of a request's texts."""
        reader = reader_of(payload)
        inputs = deque(enumerate(reader.inputs))
        work = _Work(reader, inputs, open=len(inputs))
        work.usage.input_characters = sum(len(one) for _, one in inputs if isinstance(one, str))
        self._works[request_id] = work
        try:
            self._queue(request_id, work)
        except BaseException:
            self.cancel(request_id)
            raise

    def cancel(self, request_id: int) -> None:
        """Forget a request and its waiting texts."""
        if self._works.pop(request_id, None) is not None:
            self._batcher.drop(lambda row: row.request_id == request_id)

    def step(self) -> StepReport:
        """Compute the vectors of one batch of texts."""
        report = StepReport(time.monotonic_ns(), 0)
        batch = self._batcher.take()
        vectors = self._vectors([row.ids for row in batch])
        report.done_ns = time.monotonic_ns()
        computed: defaultdict[int, int] = defaultdict(int)
        events: defaultdict[int, list[HostEvent]] = defaultdict(list)
        for row, vector in zip(batch, vectors, strict=True):
            work = self._works.get(row.request_id)
            if work is None:
                continue
            computed[row.request_id] += row.length
            events[row.request_id] += self._take_in(work, row, vector)
        report.computed = [(request_id, tokens, 0) for request_id, tokens in computed.items()]
        report.events = list(events.items())
        return report

    def close(self) -> None:
        """Forget everything."""
        self._works.clear()

    def _take_in(
        self, work: _Work, row: _Row, vector: NDArray[np.float32] | None
    ) -> list[HostEvent]:
        """Keep one vector; return what it makes known."""
        work.open -= 1
        work.queued -= 1
        work.usage.input_tokens += row.length
        try:
            if vector is None:
                raise ServeError(Code.INTERNAL, "the model failed on one of these texts")
            events = work.reader.take(row.position, vector)
            self._queue(row.request_id, work)
        except Exception as error:  # noqa: BLE001 - it is this request's failure alone
            self.cancel(row.request_id)
            return [failure_of(error)]
        if not work.open:
            del self._works[row.request_id]
            events.append(work.usage)
        return events

    def _vectors(self, rows: list[list[int]]) -> Sequence[NDArray[np.float32] | None]:
        """Compute a batch; where it fails, each row by itself, so that one cannot fail others."""
        if not rows:
            return []
        try:
            vectors = self._encoder.vectors(rows)
        except Exception:  # noqa: BLE001 - whatever it was, the batch-mates get their answer
            if len(rows) == 1:
                return [None]
            return [self._vectors([row])[0] for row in rows]
        # A vector of nothing has no direction; all others are numbers of unit length.
        return [vector if np.isfinite(vector).all() else None for vector in vectors]

    def _queue(self, request_id: int, work: _Work) -> None:
        while work.inputs and work.queued < AHEAD:
            position, given = work.inputs.popleft()
            ids = self._ids(given, work.reader, position)
            self._batcher.put(_Row(request_id, position, ids))
            work.queued += 1

    def _ids(self, given: Input, reader: Reader, position: int) -> list[int]:
        encoder = self._encoder
        ids = encoder.encode(given) if isinstance(given, str) else encoder.framed(given)
        if len(ids) > encoder.window and not reader.truncate:
            most = f"the model reads at most {encoder.window}; send truncate to have it cut"
            raise invalid(f"text {position} has {len(ids)} tokens; {most}", reader.param)
        return encoder.cut(ids)
