"""The ASGI application: errors around guard around routes around handlers."""

from __future__ import annotations

import asyncio
import secrets
import traceback
from typing import TYPE_CHECKING

import structlog
from starlette.exceptions import HTTPException
from starlette.routing import Route, Router

from hexkey.errors import Code, ServeError
from hexkey.metering import log_refused
from hexkey.routing import shorten
from hexkey.wire.http import dashboard, openapi
from hexkey.wire.http.access import admitted
from hexkey.wire.http.browsers import PREFLIGHT
from hexkey.wire.http.errors import ClientGone, HttpError
from hexkey.wire.http.exchange import KEY, PROTOCOL, Exchange
from hexkey.wire.http.guard import Guard
from hexkey.wire.http.table import OPERATIONS, dialect_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from hexkey.service import Service
    from hexkey.wire.http.browsers import Browsers
    from hexkey.wire.http.dashboard.feed import Feed
    from hexkey.wire.http.limits import HttpLimits
    from hexkey.wire.http.operation import Operation

log = structlog.get_logger("hexkey.http")


def build_app(service: Service, limits: HttpLimits, feed: Feed, browsers: Browsers) -> ASGIApp:
    """Return the application that serves ``service`` over HTTP, ``feed`` to its dashboard."""
    operations: dict[str, dict[str, Operation]] = {}
    for operation in (*OPERATIONS, openapi.OPERATION, *dashboard.operations(feed)):
        operations.setdefault(operation.path, {})[operation.method] = operation
    routes = [_route(path, methods, service) for path, methods in operations.items()]
    router = Router(routes, redirect_slashes=False, default=_not_found)
    return Application(Guard(router, service, limits), service, limits, browsers)


class Application:
    """Outermost: makes the exchange, and turns whatever is raised into an answer.

    Nothing of an unforeseen exception reaches the client but an id, which the log has too.
    """

    def __init__(
        self, app: ASGIApp, service: Service, limits: HttpLimits, browsers: Browsers
    ) -> None:
        self._app = app
        self._access = service.access
        self._quiet_s = limits.quiet_s
        self._browsers = browsers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        now = asyncio.get_running_loop().time()
        exchange = Exchange(scope, receive, send, now=now, quiet_s=self._quiet_s)
        exchange.dialect = dialect_of(scope["path"])
        scope[KEY] = exchange
        # Starlette's routes raise, instead of answering in plain text, where there is an app.
        scope["app"] = self
        try:
            if not self._access.keyring.required:
                self._browsers.ensure_welcome(scope["method"], exchange.headers)
            if b"origin" in exchange.headers and self._browsers.may_read(exchange.headers):
                exchange.origin = exchange.headers[b"origin"]
                asks = scope["method"] == "OPTIONS"
                if asks and b"access-control-request-method" in exchange.headers:
                    await exchange.start(204, PREFLIGHT)
                    await exchange.write(b"", more=False)
                    return
            await self._app(scope, receive, send)
        except ClientGone:
            return
        except ServeError as error:
            await _refuse(exchange, error)
        except HTTPException as error:
            await _refuse(exchange, _of_starlette(error, scope))
        except asyncio.CancelledError:
            # Only a stop whose grace is over cancels a request from outside, and this is the
            # outermost frame of its task: telling the client is all that is left to do.
            await exchange.refuse(
                ServeError(Code.UNAVAILABLE, "the server is stopping", reason="STOPPING")
            )
        except Exception as error:  # noqa: BLE001 - the last line of defence
            await exchange.refuse(_unforeseen(error, exchange))


async def _refuse(exchange: Exchange, error: ServeError) -> None:
    log_refused(
        error,
        request_id=exchange.id,
        protocol=PROTOCOL,
        tenant=exchange.caller.tenant,
        duration_s=exchange.elapsed_s(),
    )
    await exchange.refuse(error)


class _Endpoint:
    """A path's handlers as ASGI; a class, since Starlette wraps plain functions in a Request."""

    __slots__ = ("_operations", "_service")

    def __init__(self, operations: dict[str, Operation], service: Service) -> None:
        self._operations = operations
        self._service = service

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        operation, exchange = self._operations[method], scope[KEY]
        exchange.caller = admitted(exchange, operation.access, self._service)
        await operation.handler(exchange, self._service)


def _route(path: str, operations: dict[str, Operation], service: Service) -> Route:
    # A model's name may hold slashes.
    endpoint = _Endpoint(operations, service)
    return Route(
        path.replace("models/{id}", "models/{id:path}").replace(
            "engines/{id}", "engines/{id:path}"
        ),
        endpoint,
        methods=list(operations),
        name=path,
    )


async def _not_found(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise HttpError(
        404,
        f"there is nothing at {shorten(scope['path'])!r}; / lists what there is",
        reason="PATH_NOT_FOUND",
        code=Code.NOT_FOUND,
    )


def _of_starlette(error: HTTPException, scope: Scope) -> HttpError:
    headers = tuple(
        (name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()
    )
    allowed = (error.headers or {}).get("Allow", "")
    message = f"{shorten(scope['method'])} is not allowed here; allowed is: {allowed}"
    return HttpError(error.status_code, message, reason="METHOD_NOT_ALLOWED", headers=headers)


def _unforeseen(error: Exception, exchange: Exchange) -> ServeError:
    error_id = secrets.token_hex(8)
    log.error(
        "unforeseen",
        error_id=error_id,
        request_id=exchange.id,
        path=exchange.scope["path"],
        # Its text may hold what a caller sent, so only its type and its place are logged.
        error=type(error).__name__,
        traceback="".join(traceback.format_tb(error.__traceback__)),
    )
    return ServeError(Code.INTERNAL, f"the server failed on this request (error {error_id})")
