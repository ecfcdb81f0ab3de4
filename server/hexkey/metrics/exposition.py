"""The text of a scrape, in Prometheus' and in OpenMetrics' format, fast.

What stands before the number is the same at every scrape and is kept, so that a scrape of
thousands of series is little more than writing the numbers. The text is, byte for byte, what
``prometheus_client`` renders; a test compares them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import utils

from hexkey.metrics import series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric
    from prometheus_client.metrics import MetricWrapperBase
    from prometheus_client.samples import Exemplar

TEXT = "text/plain; version=1.0.0; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_PLAIN_BELOW = 1e6
_as_go: Callable[[float], str] = utils.floatToGoString
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Exposition:
    """Renders one registry. A series whose labels are bounded has bounded text kept for it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._heads: dict[tuple[str, series.Labels], list[str]] = {}
        self._sampled: dict[tuple[str, ...], str] = {}

    def render(self, *, openmetrics: bool = False) -> bytes:
        """Return all metrics as text; OpenMetrics has exemplars where requests are traced."""
        metrics, others = series.collectors(self._registry)
        parts: list[str] = []
        for metric in metrics:
            name, kind, text = series.described(metric)
            parts.append(_introduction(name, kind, text, openmetrics=openmetrics))
            for labels, child in series.children(metric):
                self._add(parts, metric, labels, child, exemplars=openmetrics)
        for collector in others:
            for family in collector.collect():
                introduction = (family.name, family.type, family.documentation)
                parts.append(_introduction(*introduction, openmetrics=openmetrics))
                self._add_family(parts, family)
        if openmetrics:
            parts.append("# EOF\n")
        return "".join(parts).encode()

    def _add(
        self,
        parts: list[str],
        metric: MetricWrapperBase,
        labels: series.Labels,
        child: Any,
        *,
        exemplars: bool,
    ) -> None:
        name, kind, _ = series.described(metric)
        heads = self._heads.get((name, labels))
        if heads is None:
            named = dict(zip(series.names(metric), labels, strict=True))
            edges = series.edges(child) if kind == "histogram" else ()
            heads = self._heads[name, labels] = _heads(name, kind, named, edges)
        if kind != "histogram":
            parts.append(f"{heads[0]}{_number(series.value(child))}\n")
            return
        counts = series.counts(child)
        numbers = [*map(_number, counts), _number(counts[-1]), _number(series.total(child))]
        lines = [head + number for head, number in zip(heads, numbers, strict=True)]
        if exemplars:
            for index, one in enumerate(series.exemplars(child)):
                lines[index] += _exemplar(one)
        parts.append("\n".join(lines) + "\n")

    def _add_family(self, parts: list[str], family: Metric) -> None:
        kept = self._sampled
        for sample in family.samples:
            key = (sample.name, *sample.labels.values())
            head = kept.get(key)
            if head is None:
                head = kept[key] = _head(sample.name, sample.labels)
            parts.append(f"{head}{_number(sample.value)}\n")


def wants_openmetrics(accept: str) -> bool:
    """Whether an ``Accept`` header likes OpenMetrics at least as much as Prometheus' text."""
    likes: dict[str, float] = {}
    for one in accept.split(","):
        kind, *parameters = (part.strip() for part in one.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            likes[kind] = max(float(weight), likes.get(kind, 0.0))
        except ValueError:
            continue
    wanted = likes.get("application/openmetrics-text", 0.0)
    return wanted > 0 and wanted >= likes.get("text/plain", 0.0)


def _introduction(name: str, kind: str, text: str, *, openmetrics: bool) -> str:
    if openmetrics:
        return f"# HELP {name} {text.translate(_ESCAPES)}\n# TYPE {name} {kind}\n"
    name += "_total" if kind == "counter" else ""
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _heads(name: str, kind: str, labels: Mapping[str, str], edges: Iterable[float]) -> list[str]:
    """Return what stands before each number of a series: for a histogram, count and sum last."""
    if kind == "counter":
        return [_head(f"{name}_total", labels)]
    if kind == "gauge":
        return [_head(name, labels)]
    bucket = f"{name}_bucket"
    heads = [_head(bucket, {**labels, "le": _as_go(edge)}) for edge in edges]
    return [*heads, _head(f"{name}_count", labels), _head(f"{name}_sum", labels)]


def _head(name: str, labels: Mapping[str, str]) -> str:
    if not labels:
        return f"{name} "
    pairs = (f'{key}="{labels[key].translate(_ESCAPES)}"' for key in sorted(labels))
    return f"{name}{{{','.join(pairs)}}} "


def _number(value: float) -> str:
    value = float(value)
    # Most numbers need no more than this; the rest is written as Go would.
    return repr(value) if -_PLAIN_BELOW < value < _PLAIN_BELOW else _as_go(value)


def _exemplar(one: Exemplar | None) -> str:
    if one is None:
        return ""
    labels = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in one.labels.items())
    return f" # {{{labels}}} {_number(one.value)} {one.timestamp}"
