"""The ``ctranslate2`` engine: converted OPUS-MT, NLLB, M2M and T5-class translators.

The folder holds what ``ct2-*-converter`` writes (``model.bin``, ``config.json``, vocabularies) and
the tokenizer: ``source.spm`` and ``target.spm``, one ``sentencepiece.model``, or a
``tokenizer.json``. Rows of one batch may be of different pairs where the model is multilingual.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from hexkey.engines.batcher import BATCHES_AT_HAND
from hexkey.engines.options import BATCH_BOUNDS, Bounds, read_options
from hexkey.engines.translation import BatchLimits, Outcome, TranslationEngine
from hexkey.models.errors import ModelError
from hexkey.types import ModelInfo, Translate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hexkey.engines.base import LoadContext

EOS = "</s>"


@dataclass(frozen=True, slots=True)
class CTranslate2Options:
    """What an operator may set.

    ``source_prefix`` and ``target_prefix`` are put before the tokens, with ``{source}`` and
    ``{target}`` replaced by ``codes`` of the pair (or the plain codes): ``__{target}__`` for M2M,
    ``{target}`` with ``codes: {pt: por_Latn}`` for NLLB.
    """

    threads: int = 1
    compute_type: str = "int8"
    beam_size: int = 1
    max_source_tokens: int = 512
    max_batch: int = 8
    max_padded_tokens: int = 2048
    source_prefix: str = ""
    target_prefix: str = ""
    append_eos: bool = True
    codes: dict[str, str] = field(default_factory=dict)

    BOUNDS: ClassVar[Bounds] = {
        **BATCH_BOUNDS,
        "beam_size": (1, 64),
        "max_source_tokens": (8, 1 << 16),
    }


class Tokenizer(Protocol):
    """Text to the model's token strings and back."""

    def knows(self, text: str) -> bool:
        """Tell whether there are pieces for all of a text."""

    def encode(self, text: str) -> list[str]:
        """Return the pieces of a text, without special tokens."""

    def decode(self, tokens: list[str]) -> str:
        """Return the text of pieces."""


class _SentencePiece:
    def __init__(self, source: Path, target: Path) -> None:
        import sentencepiece

        self._source: Any = sentencepiece.SentencePieceProcessor(model_file=str(source))
        self._target: Any = sentencepiece.SentencePieceProcessor(model_file=str(target))

    def knows(self, text: str) -> bool:
        return self._source.unk_id() not in self._source.encode(text)

    def encode(self, text: str) -> list[str]:
        return list(self._source.encode(text, out_type=str))

    def decode(self, tokens: list[str]) -> str:
        return str(self._target.decode(tokens))


class _Tokenizers:
    def __init__(self, path: Path) -> None:
        import tokenizers

        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        unknown = getattr(self._tokenizer.model, "unk_token", None) or "<unk>"
        self._unknown = self._tokenizer.token_to_id(unknown)

    def knows(self, text: str) -> bool:
        return self._unknown not in self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode(self, text: str) -> list[str]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).tokens)

    def decode(self, tokens: list[str]) -> str:
        ids = [self._tokenizer.token_to_id(token) for token in tokens]
        return str(self._tokenizer.decode([one for one in ids if one is not None]))


class _CTranslate2:
    """A ``ctranslate2.Translator`` as the translation engine wants it; its tokens are strings."""

    def __init__(self, model: Any, tokenizer: Tokenizer, options: CTranslate2Options) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._options = options

    def knows(self, text: str) -> bool:
        return self._tokenizer.knows(text)

    def encode(self, sentence: str, payload: Translate) -> list[str]:
        options = self._options
        before = self._prefix(options.source_prefix, payload)
        room = options.max_source_tokens - len(before) - 1
        tokens = before + self._tokenizer.encode(sentence)[:room]
        return [*tokens, EOS] if options.append_eos else tokens

    def translate(self, rows: Sequence[list[str]], payloads: Sequence[Translate]) -> list[Outcome]:
        options = self._options
        prefixes = [self._prefix(options.target_prefix, payload) for payload in payloads]
        # What CTranslate2 counts begins with the prefix.
        limits = [len(one) + _limit(row) for one, row in zip(prefixes, rows, strict=True)]
        results = self._model.translate_batch(
            [list(row) for row in rows],
            target_prefix=prefixes if options.target_prefix else None,
            beam_size=options.beam_size,
            max_input_length=0,
            max_decoding_length=max(limits),
            disable_unk=True,
            use_vmap=False,
        )
        outcomes = []
        for result, prefix, limit in zip(results, prefixes, limits, strict=True):
            # The batch has one limit; each row keeps its own, so that company changes nothing.
            tokens = result.hypotheses[0][len(prefix) : limit]
            outcomes.append(Outcome(self._tokenizer.decode(tokens), len(tokens) + 1))
        return outcomes

    def _prefix(self, template: str, payload: Translate) -> list[str]:
        codes = self._options.codes
        source, target = payload.source, payload.target
        names = {"source": codes.get(source, source), "target": codes.get(target, target)}
        return [part.format(**names) for part in template.split()]


def _limit(row: Sequence[str]) -> int:
    return int(2.5 * len(row)) + 8


def load(context: LoadContext) -> TranslationEngine[str]:
    """Load a converted model folder; ``ModelError`` where it cannot be used."""
    import ctranslate2

    options = read_options(CTranslate2Options, context.options, context.model)
    tokenizer = _tokenizer(context.folder)
    context.progress("loading the weights")
    try:
        model = ctranslate2.Translator(
            str(context.folder),
            device="cpu",
            compute_type=options.compute_type,
            inter_threads=1,
            intra_threads=options.threads,
        )
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{context.folder} is not a model CTranslate2 can run: {error}") from error
    info = ModelInfo(
        context_tokens=options.max_source_tokens, concurrency=BATCHES_AT_HAND * options.max_batch
    )
    limits = BatchLimits(options.max_batch, options.max_padded_tokens)
    return TranslationEngine(_CTranslate2(model, tokenizer, options), info, limits)


def _tokenizer(folder: Path) -> Tokenizer:
    source, target = folder / "source.spm", folder / "target.spm"
    shared, fast = folder / "sentencepiece.model", folder / "tokenizer.json"
    if source.is_file() and target.is_file():
        return _SentencePiece(source, target)
    if shared.is_file():
        return _SentencePiece(shared, shared)
    if fast.is_file():
        return _Tokenizers(fast)
    raise ModelError(
        f"{folder} has no tokenizer; expected source.spm and target.spm, sentencepiece.model or "
        "tokenizer.json beside the model"
    )
