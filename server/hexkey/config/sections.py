"""What a configuration holds: one frozen dataclass a section, with its defaults."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date  # noqa: TC003 - schema reads the annotations at run time
from typing import Annotated

from hexkey.config import fields  # noqa: TC001 - and these
from hexkey.routing import ANY, Candidate, Pair, Policy, PolicyName, Rules, parse_pair
from hexkey.types import Task
from hexkey.values import not_empty, one_of


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Addresses as ``host:port``; port 0 takes a free one. An empty ``grpc`` turns gRPC off."""

    http: fields.Address = "127.0.0.1:8080"
    grpc: fields.AddressOrNone = "127.0.0.1:8081"


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Bounds on what one request may hold and on how long a stop may take (seconds)."""

    max_characters: fields.Bound = 400_000
    max_body_bytes: fields.BodyBytes = 8 << 20
    lame_duck_s: fields.LameDuck = 0.0
    stop_grace_s: fields.Positive = 30.0
    memory_gib: fields.NotNegative = 0.0
    cold_start_s: fields.Positive = 60.0


@dataclass(frozen=True, slots=True)
class LogConfig:
    """``level`` is debug, info, warning or error; ``json`` false prints for people."""

    level: Annotated[str, one_of("debug", "info", "warning", "error")] = "info"
    json: bool = True


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """What one model's engine gets at once, and what may wait for it.

    ``concurrency`` 0 leaves it to the engine. ``headroom`` is the share of it that is kept for
    interactive requests.
    """

    concurrency: fields.Count = 0
    headroom: fields.Share = 0.125
    max_requests: fields.Count = 256
    max_tokens: fields.Count = 1 << 18


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """A LoRA adapter: a model of its own that its base's host serves; ``tasks`` as the base's."""

    name: fields.Name
    source: fields.Source
    tasks: tuple[Task, ...] = ()
    sha256: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model: where its files come from, which engine runs it, what it is for."""

    name: fields.Name
    engine: fields.Engine
    tasks: fields.Tasks
    source: fields.SourceOrNone = ""
    sha256: dict[str, str] = field(default_factory=dict)
    pairs: tuple[fields.PairText, ...] = ()
    languages: tuple[fields.Language, ...] = ()
    labels: dict[fields.Label, fields.Label] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)
    queue: QueueConfig = QueueConfig()
    adapters: tuple[AdapterConfig, ...] = ()
    load_timeout_s: fields.Positive = 300.0
    stall_timeout_s: fields.Positive = 7.0
    load: Annotated[str, one_of("start", "on_request")] = "start"
    pinned: bool = False
    idle_unload_s: fields.NotNegative = 0.0
    memory_gib: fields.NotNegative = 0.0
    device: str = ""

    def parsed_pairs(self) -> tuple[Pair, ...]:
        """Return ``pairs`` as directions; languages alone go both ways between all of them."""
        if self.languages and not self.pairs:
            return (Pair(ANY, ANY),)
        return tuple(map(parse_pair, self.pairs))

    def candidate(self) -> Candidate:
        """Return the model as the router sees it."""
        return Candidate(
            self.name, frozenset(self.tasks), self.parsed_pairs(), self.languages, self.labels
        )

    def candidates(self) -> tuple[Candidate, ...]:
        """Return the model and, behind it, its adapters, which are models to the router too."""
        base = self.candidate()
        adapters = (
            replace(base, name=one.name, tasks=frozenset(one.tasks or self.tasks))
            for one in self.adapters
        )
        return (base, *adapters)


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """How a task chooses among models; ``weights`` for weighted, ``model`` for pinned."""

    policy: PolicyName = PolicyName.FIRST
    weights: dict[str, fields.Count] = field(default_factory=dict)
    model: str = ""


@dataclass(frozen=True, slots=True)
class RoutingConfig:
    """How models are chosen; ``policies`` by task, ``pivot`` through a third language."""

    pivot: bool = True
    policies: dict[fields.TaskName, PolicyConfig] = field(default_factory=dict)

    def rules(self) -> Rules:
        """Return this as the router takes it."""
        return Rules(
            {
                Task(task): Policy(one.policy, one.weights, one.model)
                for task, one in self.policies.items()
            },
            pivot=self.pivot,
        )


@dataclass(frozen=True, slots=True)
class OwnedConfig:
    """A machine of one's own; money and factors are quoted decimals, ``months`` its life."""

    capex: fields.Money
    months: fields.Bound
    residual: fields.Money = "0"
    opex_per_hour: fields.Money = "0"
    pue: fields.Factor = "1"
    price_per_kwh: fields.Money = "0"


@dataclass(frozen=True, slots=True)
class ReferenceConfig:
    """What could do the same work, at its prices as of a day.

    A service has prices; a big model on a machine of one's own has that machine's price and its
    speeds.
    """

    name: str
    as_of: date
    input_per_million: fields.Money | None = None
    output_per_million: fields.Money | None = None
    cached_per_million: fields.Money | None = None
    characters_per_million: fields.Money | None = None
    audio_per_minute: fields.Money | None = None
    requests_per_thousand: fields.Money | None = None
    price_per_hour: fields.Money | None = None
    input_per_second: fields.Speed | None = None
    output_per_second: fields.Speed | None = None
    characters_per_second: fields.Speed | None = None
    audio_per_second: fields.Speed | None = None
    requests_per_second: fields.Speed | None = None


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """A part of the machine: its share of the price, its memory (0: the machine's), its power."""

    name: fields.DeviceName
    share: fields.Money
    memory_gib: fields.NotNegative = 0.0
    watts: fields.Money = "0"
    energy: fields.Energy = "static"


@dataclass(frozen=True, slots=True)
class CostConfig:
    """What the machine costs. ``expose``: who is told, ``all``, ``admin`` or ``none``."""

    currency: fields.Currency = "USD"
    price_per_hour: fields.Money = "0"
    owned: OwnedConfig | None = None
    watts: fields.Money = "0"
    energy: fields.Energy = "static"
    devices: tuple[DeviceConfig, ...] = ()
    expose: Annotated[str, one_of("all", "admin", "none")] = "all"
    references: tuple[ReferenceConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class AutocompleteConfig:
    """What holds for requests that name a typing session.

    ``latest_wins`` ends an older request of a session when a newer one comes, ``debounce_ms`` is
    how long a request waits for a newer one before it is admitted. Where others use its model it
    waits for as long as most gaps between its session's keys are, ``adaptive_debounce_ms`` at most.
    Suggestions are remembered for ``cache_ttl_s`` seconds within both bounds; ``cache_entries`` 0
    remembers none.
    """

    latest_wins: bool = True
    debounce_ms: fields.Debounce = 0.0
    adaptive_debounce_ms: fields.Debounce = 0.0
    cache_entries: fields.Count = 4096
    cache_bytes: fields.Bound = 16 << 20
    cache_ttl_s: fields.Positive = 300.0


@dataclass(frozen=True, slots=True)
class TenantConfig:
    """What one tenant may use; 0 is no bound. Budgets are quoted decimals of the currency.

    ``weight`` is how many turns it has to one of another's while both have requests waiting.
    """

    name: fields.TenantName
    requests_per_minute: fields.Count = 0
    tokens_per_minute: fields.Count = 0
    concurrent: fields.Count = 0
    budget_per_day: fields.Money = "0"
    budget_per_month: fields.Money = "0"
    weight: fields.Positive = 1.0


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """Who may call. ``keys`` is on, off or auto: on once there was one; ``file`` holds them.

    Where none is needed, ``origins`` are sites whose pages may use this server, ``hosts`` names
    that one on loopback may be reached by.
    """

    keys: Annotated[str, one_of("auto", "on", "off")] = "auto"
    file: str = ""
    origins: tuple[fields.Origin, ...] = ()
    hosts: tuple[fields.Host, ...] = ()
    tenants: tuple[TenantConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class UsageConfig:
    """The usage ledger on disk; an empty ``folder`` keeps none."""

    folder: str = ""
    keep_days: fields.Bound = 400
    max_gib: fields.Positive = 10.0


@dataclass(frozen=True, slots=True)
class TracesConfig:
    """Where traces go, an OTLP/HTTP collector, and which share of them; empty turns them off."""

    endpoint: fields.Collector = ""
    sample: fields.Sample = 1.0


@dataclass(frozen=True, slots=True)
class Config:
    """Everything an operator decides."""

    models: Annotated[tuple[ModelConfig, ...], not_empty("model to serve")]
    listen: ListenConfig = ListenConfig()
    limits: LimitsConfig = LimitsConfig()
    log: LogConfig = LogConfig()
    cost: CostConfig = CostConfig()
    routing: RoutingConfig = RoutingConfig()
    autocomplete: AutocompleteConfig = AutocompleteConfig()
    access: AccessConfig = AccessConfig()
    usage: UsageConfig = UsageConfig()
    traces: TracesConfig = TracesConfig()
    cache_dir: str = ""
