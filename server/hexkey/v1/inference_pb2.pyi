from hexkey.v1 import constraints_pb2 as _constraints_pb2
from hexkey.v1 import outcome_pb2 as _outcome_pb2
from hexkey.v1 import priority_pb2 as _priority_pb2
from hexkey.v1 import retrieval_pb2 as _retrieval_pb2
from hexkey.v1 import speech_pb2 as _speech_pb2
from hexkey.v1 import summary_pb2 as _summary_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union
from hexkey.v1.constraints_pb2 import Constraints as Constraints
from hexkey.v1.outcome_pb2 import Usage as Usage
from hexkey.v1.outcome_pb2 import Cost as Cost
from hexkey.v1.outcome_pb2 import FinishReason as FinishReason
from hexkey.v1.priority_pb2 import Priority as Priority
from hexkey.v1.retrieval_pb2 import EmbedRequest as EmbedRequest
from hexkey.v1.retrieval_pb2 import Embedding as Embedding
from hexkey.v1.retrieval_pb2 import EmbedResponse as EmbedResponse
from hexkey.v1.retrieval_pb2 import RerankRequest as RerankRequest
from hexkey.v1.retrieval_pb2 import RankedDocument as RankedDocument
from hexkey.v1.retrieval_pb2 import RerankResponse as RerankResponse
from hexkey.v1.retrieval_pb2 import ClassifyRequest as ClassifyRequest
from hexkey.v1.retrieval_pb2 import LabelScore as LabelScore
from hexkey.v1.retrieval_pb2 import Classification as Classification
from hexkey.v1.retrieval_pb2 import ClassifyResponse as ClassifyResponse
from hexkey.v1.speech_pb2 import TranscribeRequest as TranscribeRequest
from hexkey.v1.speech_pb2 import Segment as Segment
from hexkey.v1.speech_pb2 import TranscribeResponse as TranscribeResponse
from hexkey.v1.summary_pb2 import SummarizeRequest as SummarizeRequest
from hexkey.v1.summary_pb2 import SummarizeResponse as SummarizeResponse
from hexkey.v1.summary_pb2 import Length as Length

DESCRIPTOR: _descriptor.FileDescriptor
FINISH_REASON_UNSPECIFIED: _outcome_pb2.FinishReason
FINISH_REASON_STOP: _outcome_pb2.FinishReason
FINISH_REASON_LENGTH: _outcome_pb2.FinishReason
PRIORITY_UNSPECIFIED: _priority_pb2.Priority
PRIORITY_INTERACTIVE: _priority_pb2.Priority
PRIORITY_NORMAL: _priority_pb2.Priority
PRIORITY_BATCH: _priority_pb2.Priority
LENGTH_UNSPECIFIED: _summary_pb2.Length
LENGTH_SHORT: _summary_pb2.Length
LENGTH_MEDIUM: _summary_pb2.Length
LENGTH_LONG: _summary_pb2.Length

class Task(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_UNSPECIFIED: _ClassVar[Task]
    TASK_AUTOCOMPLETE: _ClassVar[Task]
    TASK_CHAT: _ClassVar[Task]
    TASK_TRANSLATE: _ClassVar[Task]
    TASK_EMBED: _ClassVar[Task]
    TASK_RERANK: _ClassVar[Task]
    TASK_CLASSIFY: _ClassVar[Task]
    TASK_TRANSCRIBE: _ClassVar[Task]
    TASK_SUMMARIZE: _ClassVar[Task]

class StopRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOP_RULE_UNSPECIFIED: _ClassVar[StopRule]
    STOP_RULE_NONE: _ClassVar[StopRule]
    STOP_RULE_LINE: _ClassVar[StopRule]
    STOP_RULE_SENTENCE: _ClassVar[StopRule]
    STOP_RULE_BLOCK: _ClassVar[StopRule]

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_STOPPED: _ClassVar[ModelState]
    MODEL_STATE_LOADING: _ClassVar[ModelState]
    MODEL_STATE_READY: _ClassVar[ModelState]
    MODEL_STATE_BACKOFF: _ClassVar[ModelState]
    MODEL_STATE_FAILED: _ClassVar[ModelState]
    MODEL_STATE_DRAINING: _ClassVar[ModelState]

class TextFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEXT_FORMAT_UNSPECIFIED: _ClassVar[TextFormat]
    TEXT_FORMAT_TEXT: _ClassVar[TextFormat]
    TEXT_FORMAT_HTML: _ClassVar[TextFormat]
    TEXT_FORMAT_XML: _ClassVar[TextFormat]
TASK_UNSPECIFIED: Task
TASK_AUTOCOMPLETE: Task
TASK_CHAT: Task
TASK_TRANSLATE: Task
TASK_EMBED: Task
TASK_RERANK: Task
TASK_CLASSIFY: Task
TASK_TRANSCRIBE: Task
TASK_SUMMARIZE: Task
STOP_RULE_UNSPECIFIED: StopRule
STOP_RULE_NONE: StopRule
STOP_RULE_LINE: StopRule
STOP_RULE_SENTENCE: StopRule
STOP_RULE_BLOCK: StopRule
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_STOPPED: ModelState
MODEL_STATE_LOADING: ModelState
MODEL_STATE_READY: ModelState
MODEL_STATE_BACKOFF: ModelState
MODEL_STATE_FAILED: ModelState
MODEL_STATE_DRAINING: ModelState
TEXT_FORMAT_UNSPECIFIED: TextFormat
TEXT_FORMAT_TEXT: TextFormat
TEXT_FORMAT_HTML: TextFormat
TEXT_FORMAT_XML: TextFormat

class ContextFile(_message.Message):
    __slots__ = ("path", "text")
    PATH_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    path: str
    text: str
    def __init__(self, path: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class AutocompleteRequest(_message.Message):
    __slots__ = ("model", "prefix", "suffix", "language", "context", "stop_rule", "session", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "n", "presence_penalty", "frequency_penalty", "priority", "path", "constraints")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    SUFFIX_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    STOP_RULE_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_PENALTY_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_PENALTY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    prefix: str
    suffix: str
    language: str
    context: _containers.RepeatedCompositeFieldContainer[ContextFile]
    stop_rule: StopRule
    session: str
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    stop: _containers.RepeatedScalarFieldContainer[str]
    n: int
    presence_penalty: float
    frequency_penalty: float
    priority: _priority_pb2.Priority
    path: str
    constraints: _constraints_pb2.Constraints
    def __init__(self, model: _Optional[str] = ..., prefix: _Optional[str] = ..., suffix: _Optional[str] = ..., language: _Optional[str] = ..., context: _Optional[_Iterable[_Union[ContextFile, _Mapping]]] = ..., stop_rule: _Optional[_Union[StopRule, str]] = ..., session: _Optional[str] = ..., max_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., top_k: _Optional[int] = ..., seed: _Optional[int] = ..., stop: _Optional[_Iterable[str]] = ..., n: _Optional[int] = ..., presence_penalty: _Optional[float] = ..., frequency_penalty: _Optional[float] = ..., priority: _Optional[_Union[_priority_pb2.Priority, str]] = ..., path: _Optional[str] = ..., constraints: _Optional[_Union[_constraints_pb2.Constraints, _Mapping]] = ...) -> None: ...

class AutocompleteChoice(_message.Message):
    __slots__ = ("index", "text", "finish_reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    text: str
    finish_reason: _outcome_pb2.FinishReason
    def __init__(self, index: _Optional[int] = ..., text: _Optional[str] = ..., finish_reason: _Optional[_Union[_outcome_pb2.FinishReason, str]] = ...) -> None: ...

class AutocompleteResponse(_message.Message):
    __slots__ = ("id", "model", "choices", "usage", "notes", "cached")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    choices: _containers.RepeatedCompositeFieldContainer[AutocompleteChoice]
    usage: _outcome_pb2.Usage
    notes: _containers.RepeatedScalarFieldContainer[str]
    cached: bool
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., choices: _Optional[_Iterable[_Union[AutocompleteChoice, _Mapping]]] = ..., usage: _Optional[_Union[_outcome_pb2.Usage, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ..., cached: bool = ...) -> None: ...

class TranslateRequest(_message.Message):
    __slots__ = ("model", "text", "source", "target", "format", "glossary", "priority", "constraints")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    GLOSSARY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    text: _containers.RepeatedScalarFieldContainer[str]
    source: str
    target: str
    format: TextFormat
    glossary: _containers.RepeatedCompositeFieldContainer[Term]
    priority: _priority_pb2.Priority
    constraints: _constraints_pb2.Constraints
    def __init__(self, model: _Optional[str] = ..., text: _Optional[_Iterable[str]] = ..., source: _Optional[str] = ..., target: _Optional[str] = ..., format: _Optional[_Union[TextFormat, str]] = ..., glossary: _Optional[_Iterable[_Union[Term, _Mapping]]] = ..., priority: _Optional[_Union[_priority_pb2.Priority, str]] = ..., constraints: _Optional[_Union[_constraints_pb2.Constraints, _Mapping]] = ...) -> None: ...

class Term(_message.Message):
    __slots__ = ("source", "target")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ...) -> None: ...

class Translation(_message.Message):
    __slots__ = ("text", "source", "target")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    text: str
    source: str
    target: str
    def __init__(self, text: _Optional[str] = ..., source: _Optional[str] = ..., target: _Optional[str] = ...) -> None: ...

class TranslateResponse(_message.Message):
    __slots__ = ("id", "model", "translations", "usage", "notes", "detected_source")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TRANSLATIONS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    DETECTED_SOURCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    translations: _containers.RepeatedCompositeFieldContainer[Translation]
    usage: _outcome_pb2.Usage
    notes: _containers.RepeatedScalarFieldContainer[str]
    detected_source: str
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., translations: _Optional[_Iterable[_Union[Translation, _Mapping]]] = ..., usage: _Optional[_Union[_outcome_pb2.Usage, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ..., detected_source: _Optional[str] = ...) -> None: ...

class ChatMessage(_message.Message):
    __slots__ = ("role", "content")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    role: str
    content: str
    def __init__(self, role: _Optional[str] = ..., content: _Optional[str] = ...) -> None: ...

class ChatRequest(_message.Message):
    __slots__ = ("model", "messages", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "n", "presence_penalty", "frequency_penalty", "json_schema", "priority", "constraints")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_PENALTY_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_PENALTY_FIELD_NUMBER: _ClassVar[int]
    JSON_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    messages: _containers.RepeatedCompositeFieldContainer[ChatMessage]
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    stop: _containers.RepeatedScalarFieldContainer[str]
    n: int
    presence_penalty: float
    frequency_penalty: float
    json_schema: str
    priority: _priority_pb2.Priority
    constraints: _constraints_pb2.Constraints
    def __init__(self, model: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[ChatMessage, _Mapping]]] = ..., max_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., top_k: _Optional[int] = ..., seed: _Optional[int] = ..., stop: _Optional[_Iterable[str]] = ..., n: _Optional[int] = ..., presence_penalty: _Optional[float] = ..., frequency_penalty: _Optional[float] = ..., json_schema: _Optional[str] = ..., priority: _Optional[_Union[_priority_pb2.Priority, str]] = ..., constraints: _Optional[_Union[_constraints_pb2.Constraints, _Mapping]] = ...) -> None: ...

class ChatChoice(_message.Message):
    __slots__ = ("index", "message", "finish_reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    message: ChatMessage
    finish_reason: _outcome_pb2.FinishReason
    def __init__(self, index: _Optional[int] = ..., message: _Optional[_Union[ChatMessage, _Mapping]] = ..., finish_reason: _Optional[_Union[_outcome_pb2.FinishReason, str]] = ...) -> None: ...

class ChatResponse(_message.Message):
    __slots__ = ("id", "model", "choices", "usage", "notes")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    choices: _containers.RepeatedCompositeFieldContainer[ChatChoice]
    usage: _outcome_pb2.Usage
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., choices: _Optional[_Iterable[_Union[ChatChoice, _Mapping]]] = ..., usage: _Optional[_Union[_outcome_pb2.Usage, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class StreamEvent(_message.Message):
    __slots__ = ("start", "delta", "finish", "usage", "segment")
    START_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    start: Start
    delta: Delta
    finish: Finish
    usage: _outcome_pb2.Usage
    segment: _speech_pb2.Segment
    def __init__(self, start: _Optional[_Union[Start, _Mapping]] = ..., delta: _Optional[_Union[Delta, _Mapping]] = ..., finish: _Optional[_Union[Finish, _Mapping]] = ..., usage: _Optional[_Union[_outcome_pb2.Usage, _Mapping]] = ..., segment: _Optional[_Union[_speech_pb2.Segment, _Mapping]] = ...) -> None: ...

class Start(_message.Message):
    __slots__ = ("id", "model", "notes", "pair", "cached", "detected_source", "detected_sources")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    PAIR_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    DETECTED_SOURCE_FIELD_NUMBER: _ClassVar[int]
    DETECTED_SOURCES_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    pair: LanguagePair
    cached: bool
    detected_source: str
    detected_sources: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ..., pair: _Optional[_Union[LanguagePair, _Mapping]] = ..., cached: bool = ..., detected_source: _Optional[str] = ..., detected_sources: _Optional[_Iterable[str]] = ...) -> None: ...

class Delta(_message.Message):
    __slots__ = ("index", "text", "token_count")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    index: int
    text: str
    token_count: int
    def __init__(self, index: _Optional[int] = ..., text: _Optional[str] = ..., token_count: _Optional[int] = ...) -> None: ...

class Finish(_message.Message):
    __slots__ = ("index", "reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    reason: _outcome_pb2.FinishReason
    def __init__(self, index: _Optional[int] = ..., reason: _Optional[_Union[_outcome_pb2.FinishReason, str]] = ...) -> None: ...

class LanguagePair(_message.Message):
    __slots__ = ("source", "target")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "tasks", "pairs", "state", "context_tokens", "fim", "notes", "failing")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    FIM_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    FAILING_FIELD_NUMBER: _ClassVar[int]
    name: str
    tasks: _containers.RepeatedScalarFieldContainer[Task]
    pairs: _containers.RepeatedCompositeFieldContainer[LanguagePair]
    state: ModelState
    context_tokens: int
    fim: bool
    notes: _containers.RepeatedScalarFieldContainer[str]
    failing: bool
    def __init__(self, name: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[Task, str]]] = ..., pairs: _Optional[_Iterable[_Union[LanguagePair, _Mapping]]] = ..., state: _Optional[_Union[ModelState, str]] = ..., context_tokens: _Optional[int] = ..., fim: bool = ..., notes: _Optional[_Iterable[str]] = ..., failing: bool = ...) -> None: ...

class ExplainRouteRequest(_message.Message):
    __slots__ = ("autocomplete", "translate", "chat", "embed", "rerank", "classify", "transcribe", "summarize")
    AUTOCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    TRANSLATE_FIELD_NUMBER: _ClassVar[int]
    CHAT_FIELD_NUMBER: _ClassVar[int]
    EMBED_FIELD_NUMBER: _ClassVar[int]
    RERANK_FIELD_NUMBER: _ClassVar[int]
    CLASSIFY_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIBE_FIELD_NUMBER: _ClassVar[int]
    SUMMARIZE_FIELD_NUMBER: _ClassVar[int]
    autocomplete: AutocompleteRequest
    translate: TranslateRequest
    chat: ChatRequest
    embed: _retrieval_pb2.EmbedRequest
    rerank: _retrieval_pb2.RerankRequest
    classify: _retrieval_pb2.ClassifyRequest
    transcribe: _speech_pb2.TranscribeRequest
    summarize: _summary_pb2.SummarizeRequest
    def __init__(self, autocomplete: _Optional[_Union[AutocompleteRequest, _Mapping]] = ..., translate: _Optional[_Union[TranslateRequest, _Mapping]] = ..., chat: _Optional[_Union[ChatRequest, _Mapping]] = ..., embed: _Optional[_Union[_retrieval_pb2.EmbedRequest, _Mapping]] = ..., rerank: _Optional[_Union[_retrieval_pb2.RerankRequest, _Mapping]] = ..., classify: _Optional[_Union[_retrieval_pb2.ClassifyRequest, _Mapping]] = ..., transcribe: _Optional[_Union[_speech_pb2.TranscribeRequest, _Mapping]] = ..., summarize: _Optional[_Union[_summary_pb2.SummarizeRequest, _Mapping]] = ...) -> None: ...

class ExplainRouteResponse(_message.Message):
    __slots__ = ("model", "pair", "verdicts", "reason", "routes", "detected_source", "refusal")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PAIR_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    DETECTED_SOURCE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    model: str
    pair: LanguagePair
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    reason: str
    routes: _containers.RepeatedCompositeFieldContainer[Route]
    detected_source: str
    refusal: str
    def __init__(self, model: _Optional[str] = ..., pair: _Optional[_Union[LanguagePair, _Mapping]] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., reason: _Optional[str] = ..., routes: _Optional[_Iterable[_Union[Route, _Mapping]]] = ..., detected_source: _Optional[str] = ..., refusal: _Optional[str] = ...) -> None: ...

class Route(_message.Message):
    __slots__ = ("legs", "expected")
    LEGS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    legs: _containers.RepeatedCompositeFieldContainer[Leg]
    expected: Expected
    def __init__(self, legs: _Optional[_Iterable[_Union[Leg, _Mapping]]] = ..., expected: _Optional[_Union[Expected, _Mapping]] = ...) -> None: ...

class Leg(_message.Message):
    __slots__ = ("model", "pair")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PAIR_FIELD_NUMBER: _ClassVar[int]
    model: str
    pair: LanguagePair
    def __init__(self, model: _Optional[str] = ..., pair: _Optional[_Union[LanguagePair, _Mapping]] = ...) -> None: ...

class Expected(_message.Message):
    __slots__ = ("cost_pico", "device_seconds", "latency_ms")
    COST_PICO_FIELD_NUMBER: _ClassVar[int]
    DEVICE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    cost_pico: float
    device_seconds: float
    latency_ms: float
    def __init__(self, cost_pico: _Optional[float] = ..., device_seconds: _Optional[float] = ..., latency_ms: _Optional[float] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("model", "kept", "reason", "up", "ejected", "in_flight", "waiting", "measured", "expected")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    EJECTED_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    model: str
    kept: bool
    reason: str
    up: bool
    ejected: bool
    in_flight: int
    waiting: int
    measured: int
    expected: Expected
    def __init__(self, model: _Optional[str] = ..., kept: bool = ..., reason: _Optional[str] = ..., up: bool = ..., ejected: bool = ..., in_flight: _Optional[int] = ..., waiting: _Optional[int] = ..., measured: _Optional[int] = ..., expected: _Optional[_Union[Expected, _Mapping]] = ...) -> None: ...
