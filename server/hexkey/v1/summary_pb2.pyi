from hexkey.v1 import constraints_pb2 as _constraints_pb2
from hexkey.v1 import outcome_pb2 as _outcome_pb2
from hexkey.v1 import priority_pb2 as _priority_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Length(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LENGTH_UNSPECIFIED: _ClassVar[Length]
    LENGTH_SHORT: _ClassVar[Length]
    LENGTH_MEDIUM: _ClassVar[Length]
    LENGTH_LONG: _ClassVar[Length]
LENGTH_UNSPECIFIED: Length
LENGTH_SHORT: Length
LENGTH_MEDIUM: Length
LENGTH_LONG: Length

class SummarizeRequest(_message.Message):
    __slots__ = ("model", "text", "length", "max_tokens", "temperature", "seed", "priority", "constraints")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    text: str
    length: Length
    max_tokens: int
    temperature: float
    seed: int
    priority: _priority_pb2.Priority
    constraints: _constraints_pb2.Constraints
    def __init__(self, model: _Optional[str] = ..., text: _Optional[str] = ..., length: _Optional[_Union[Length, str]] = ..., max_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., seed: _Optional[int] = ..., priority: _Optional[_Union[_priority_pb2.Priority, str]] = ..., constraints: _Optional[_Union[_constraints_pb2.Constraints, _Mapping]] = ...) -> None: ...

class SummarizeResponse(_message.Message):
    __slots__ = ("id", "model", "text", "finish_reason", "usage", "notes")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    text: str
    finish_reason: _outcome_pb2.FinishReason
    usage: _outcome_pb2.Usage
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., text: _Optional[str] = ..., finish_reason: _Optional[_Union[_outcome_pb2.FinishReason, str]] = ..., usage: _Optional[_Union[_outcome_pb2.Usage, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...
