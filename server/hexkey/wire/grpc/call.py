"""One RPC under way, and the handlers that turn bytes into one and errors into a status."""

from __future__ import annotations

import re
import time
from contextlib import nullcontext
from operator import methodcaller
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import grpc
from google.protobuf.message import DecodeError
from msgspec import UNSET

from hexkey.errors import invalid
from hexkey.metering import log_refused
from hexkey.types import ANYBODY
from hexkey.wire import wishes
from hexkey.wire.grpc.errors import foreseen, status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from contextlib import AbstractContextManager

    from google.protobuf.message import Message

    from hexkey.errors import ServeError
    from hexkey.types import Payload, Request, Usage
    from hexkey.wire.grpc.guard import Guard
    from hexkey.wire.wishes import Wishes

    Context = grpc.aio.ServicerContext[bytes, Message]
    Method = grpc.RpcMethodHandler[bytes, Message]
    Methods = grpc.GenericRpcHandler[bytes, Message]

PROTOCOL = "grpc"
REQUEST_ID = "x-request-id"
MODEL = "x-hexkey-model"
COST, COST_PICO, CURRENCY = "x-request-cost", "x-request-cost-pico", "x-request-cost-currency"
TIMING = "server-timing"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

M = TypeVar("M")
R = TypeVar("R", bound="Message")
T = TypeVar("T")

# Who takes one message reads it, too; see ``guard``. grpc's stubs know of no handler that does.
_STREAM_UNARY: Any = grpc.stream_unary_rpc_method_handler
_STREAM_STREAM: Any = grpc.stream_stream_rpc_method_handler
_SERIALIZE = methodcaller("SerializeToString")


class Call:
    """One RPC. ``id`` is the caller's request id where it sent a valid one, else a new one.

    ``emitted`` counts the tokens that a stream's messages have told.
    """

    __slots__ = (
        "_begun", "_came", "_context", "_sent", "_trailers", "caller", "emitted", "id",
        "traceparent",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self._context = context
        self._came = time.perf_counter()
        self._trailers: list[tuple[str, str]] = []
        # Read once: grpc makes the pairs anew each time.
        self._sent = _texts(context)
        sent = self._sent.get(REQUEST_ID, "")
        self.id = sent if _REQUEST_ID.fullmatch(sent) else token_hex(16)
        self.caller = ANYBODY
        self.traceparent = ""
        self.emitted = 0
        self._begun = False

    def credential(self) -> str:
        """Return the API key that the metadata hold; empty where there is none."""
        for key, value in self._sent.items():
            if key == "x-api-key":
                return value
            if key == "authorization":
                scheme, _, credential = value.partition(" ")
                return credential.strip() if scheme.lower() == "bearer" else value
        return ""

    def request(self, payload: Payload, model: str, own: Wishes = wishes.SILENT) -> Request:
        """Return what is asked, with the RPC's deadline.

        What the message says, ``own``, beats the metadata.
        """
        remaining_s = self._context.time_remaining()
        return wishes.request_of(
            payload,
            model,
            own,
            self._sent,
            id_=self.id,
            protocol=PROTOCOL,
            caller=self.caller,
            deadline=None if remaining_s is None else time.monotonic() + remaining_s,
        )

    async def begin(self, model: str) -> None:
        """Send a stream's initial metadata. Call it once output is at hand.

        What fails before has trailers only, which is what lets a client's retry policy act.
        """
        self._begun = True
        await self._context.send_initial_metadata((*self._names(), (MODEL, model)))

    def answered(self, model: str) -> None:
        """Have the trailing metadata of a call that answers with one message tell its names.

        They come together with the message, and cost nothing there; before it they would cost the
        server a write of their own.
        """
        self._trail((*self._names(), (MODEL, model)))

    def used(self, usage: Usage) -> None:
        """Have the trailing metadata tell what the call took, where the caller may see it."""
        told: list[tuple[str, str]] = []
        if (timing := usage.timing) is not None:
            told.append((TIMING, timing.header))
        if (cost := usage.cost) is not None:
            told += (COST, cost.amount), (COST_PICO, str(cost.pico)), (CURRENCY, cost.currency)
        self._trail(told)

    def _trail(self, more: Iterable[tuple[str, str]]) -> None:
        self._trailers += more
        self._context.set_trailing_metadata(self._trailers)

    def _names(self) -> list[tuple[str, str]]:
        names = [(REQUEST_ID, self.id)]
        if self.traceparent:
            names.append(("traceparent", self.traceparent))
        return names

    async def write(self, message: Message) -> None:
        """Send one message of a stream; returns once the client has room for more."""
        await self._context.write(message)

    async def refuse(self, error: ServeError) -> NoReturn:
        """End the RPC with an error."""
        log_refused(
            error,
            request_id=self.id,
            protocol=PROTOCOL,
            tenant=self.caller.tenant,
            duration_s=time.perf_counter() - self._came,
        )
        error.tokens_emitted = self.emitted if self._begun else UNSET
        status = status_of(error)
        trailers = (*status.trailing_metadata, *self._names())
        await self._context.abort(status.code, status.details, trailers)


def nobody_asked(_call: Call) -> None:
    """Let everybody in, unseen: who asks whether the server lives takes nobody's place either."""


def _place(
    guard: Guard, identify: Callable[[Call], None]
) -> Callable[[], AbstractContextManager[None]]:
    """Return what a call holds while it is under way."""
    return guard.place if identify is not nobody_asked else nullcontext


def unary(
    guard: Guard,
    parse: Callable[[bytes], M],
    behave: Callable[[M, Call], Awaitable[R]],
    identify: Callable[[Call], None] = nobody_asked,
) -> Method:
    """Return the handler of a method that answers with one message.

    ``identify`` says who calls, or raises; it runs before anything of the request is read.
    """
    handle = _of_one(guard, parse, behave, identify)
    method: Method = _STREAM_UNARY(handle, None, _SERIALIZE)
    return method


def stream(
    guard: Guard,
    parse: Callable[[bytes], M],
    behave: Callable[[M, Call], Awaitable[None]],
    identify: Callable[[Call], None] = nobody_asked,
) -> Method:
    """Return the handler of a method that answers with messages; ``behave`` writes them."""
    handle = _of_one(guard, parse, behave, identify)
    method: Method = _STREAM_STREAM(handle, None, _SERIALIZE)
    return method


def duplex(
    guard: Guard,
    parse: Callable[[bytes], M],
    behave: Callable[[AsyncIterator[M], Call], Awaitable[None]],
    identify: Callable[[Call], None] = nobody_asked,
) -> Method:
    """Return the handler of a method that takes and gives messages; ``behave`` writes them."""
    place = _place(guard, identify)

    async def handle(frames: AsyncIterator[bytes], context: Context) -> None:
        call = Call(context)
        try:
            identify(call)
            with place():
                await behave((parsed(parse, frame) async for frame in frames), call)
        except Exception as error:  # noqa: BLE001 - the outermost frame of ours: nothing may leak
            refused = foreseen(error, call.id)
        else:
            return
        await call.refuse(refused)

    method: Method = _STREAM_STREAM(handle, None, _SERIALIZE)
    return method


def _of_one(
    guard: Guard,
    parse: Callable[[bytes], M],
    behave: Callable[[M, Call], Awaitable[T]],
    identify: Callable[[Call], None],
) -> Callable[[object, Context], Awaitable[T]]:
    """Return what reads one message, once it is known who calls, and acts on it."""
    place = _place(guard, identify)

    async def handle(_messages: object, context: Context) -> T:
        call = Call(context)
        try:
            identify(call)
            with place():
                data = await guard.read(context)
                try:
                    return await behave(parsed(parse, data), call)
                finally:
                    guard.release(data)
        except Exception as error:  # noqa: BLE001 - the outermost frame of ours: nothing may leak
            refused = foreseen(error, call.id)
        return await call.refuse(refused)

    return handle


def parsed(parse: Callable[[bytes], M], data: bytes) -> M:
    """Return the message in ``data``; ``ServeError`` INVALID_ARGUMENT where there is none.

    Handlers take bytes and parse here because grpc answers what its own deserialiser raises with
    UNKNOWN and the name of the class.
    """
    try:
        return parse(data)
    except DecodeError:
        raise invalid("the request is not a protobuf message of the method's type") from None


def _texts(context: Context) -> dict[str, str]:
    """Return the caller's metadata, of equal names the first, without what is binary."""
    found: dict[str, str] = {}
    for key, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            found.setdefault(key, value)
    return found
