"""``GET /``: where to go from the front door; a page for people, JSON for programs."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from hexkey import __version__
from hexkey.wire.http.schemas import HomeAnswer

if TYPE_CHECKING:
    from hexkey.service import Service
    from hexkey.wire.http.errors import Header
    from hexkey.wire.http.exchange import Exchange

_LINKS = {
    "autocomplete": "/v1/autocomplete",
    "translate": "/v1/translate",
    "route": "/v1/route",
    "completions": "/v1/completions",
    "chat": "/v1/chat/completions",
    "models": "/v1/models",
    "health": "/health",
    "ready": "/ready",
    "metrics": "/metrics",
    "dashboard": "/dashboard",
    "openapi": "/openapi.json",
}
# What can be looked at, in the order in which people ask for it.
_PAGES = {
    "Dashboard": "/dashboard",
    "API document": "/openapi.json",
    "Models": "/v1/models",
    "Health": "/health",
    "Readiness": "/ready",
    "Metrics": "/metrics",
}
_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    (b"vary", b"accept"),
)
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>hexkey</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto }}
td, th {{ text-align: left; padding: .1rem 1.5rem .1rem 0 }}
pre {{ overflow-x: auto; padding: .8rem; border: 1px solid #8886; border-radius: .3rem }}
</style>
<h1>hexkey {version}</h1>
<p>Say the task, not the model.</p>
<nav><ul>{links}</ul></nav>
<h2>Served here</h2>
<table><tr><th>model<th>tasks<th>state</tr>{models}</table>
<h2>Try</h2>
<pre>curl {url}/v1/autocomplete -d '{{"prefix": "The capital of France is"}}'</pre>
</html>
"""


async def home(exchange: Exchange, service: Service) -> None:
    """Show where to go from the front door: a page if HTML is accepted, else JSON."""
    if b"text/html" in exchange.headers.get(b"accept", b""):
        await exchange.answer(200, _page(exchange, service).encode(), _HEADERS)
    else:
        await exchange.json(HomeAnswer("hexkey", __version__, _LINKS), ((b"vary", b"accept"),))


def _page(exchange: Exchange, service: Service) -> str:
    states = service.pool.states()
    models = "".join(
        f"<tr><td>{escape(one.name)}<td>{escape(', '.join(sorted(one.tasks)))}"
        f"<td>{states[one.name]}</tr>"
        for one in service.pool.catalog
    )
    links = "".join(f'<li><a href="{path}">{name}</a></li>' for name, path in _PAGES.items())
    host = exchange.headers.get(b"host", b"localhost:8080").decode("latin-1")
    url = escape(f"{exchange.scope['scheme']}://{host}")
    return _PAGE.format(version=__version__, links=links, models=models, url=url)
