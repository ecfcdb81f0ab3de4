from hexkey.v1 import constraints_pb2 as _constraints_pb2
from hexkey.v1 import outcome_pb2 as _outcome_pb2
from hexkey.v1 import priority_pb2 as _priority_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TranscribeRequest(_message.Message):
    __slots__ = ("model", "audio", "language", "prompt", "timestamps", "priority", "constraints")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMPS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    audio: bytes
    language: str
    prompt: str
    timestamps: bool
    priority: _priority_pb2.Priority
    constraints: _constraints_pb2.Constraints
    def __init__(self, model: _Optional[str] = ..., audio: _Optional[bytes] = ..., language: _Optional[str] = ..., prompt: _Optional[str] = ..., timestamps: bool = ..., priority: _Optional[_Union[_priority_pb2.Priority, str]] = ..., constraints: _Optional[_Union[_constraints_pb2.Constraints, _Mapping]] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("start_seconds", "end_seconds", "text", "language")
    START_SECONDS_FIELD_NUMBER: _ClassVar[int]
    END_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    start_seconds: float
    end_seconds: float
    text: str
    language: str
    def __init__(self, start_seconds: _Optional[float] = ..., end_seconds: _Optional[float] = ..., text: _Optional[str] = ..., language: _Optional[str] = ...) -> None: ...

class TranscribeResponse(_message.Message):
    __slots__ = ("id", "model", "text", "segments", "usage", "notes")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    text: str
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    usage: _outcome_pb2.Usage
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., text: _Optional[str] = ..., segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ..., usage: _Optional[_Union[_outcome_pb2.Usage, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...
