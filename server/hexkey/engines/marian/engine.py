"""The ``marian`` engine: Firefox Translations models under the common translation engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hexkey.engines.batcher import BATCHES_AT_HAND
from hexkey.engines.marian.translator import MAX_SOURCE_TOKENS, MarianTranslator
from hexkey.engines.marian.vocabulary import UNK
from hexkey.engines.options import BATCH_BOUNDS, Bounds, read_options
from hexkey.engines.translation import BatchLimits, Outcome, TranslationEngine
from hexkey.models.errors import ModelError
from hexkey.types import ModelInfo, Translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hexkey.engines.base import LoadContext

WARM_UP = "The quick brown fox jumps over the lazy dog."


@dataclass(frozen=True, slots=True)
class MarianOptions:
    """What an operator may set; ``threads`` is per model, one is the fastest for a batch of 8."""

    threads: int = 1
    max_batch: int = 8
    max_padded_tokens: int = 2048

    BOUNDS: ClassVar[Bounds] = BATCH_BOUNDS


class _Marian:
    """A MarianTranslator as the translation engine wants it: one pair, so payloads tell nothing."""

    def __init__(self, model: MarianTranslator) -> None:
        self._model = model

    def knows(self, text: str) -> bool:
        return UNK not in self._model.encode(text)

    def encode(self, sentence: str, payload: Translate) -> list[int]:  # noqa: ARG002 - one pair
        tokens = self._model.encode(sentence)
        # Sentences come cut to size; what is longer still is no language, and ends here with EOS.
        if len(tokens) > MAX_SOURCE_TOKENS:
            tokens[MAX_SOURCE_TOKENS - 1 :] = tokens[-1:]
        return tokens

    def translate(
        self,
        rows: Sequence[list[int]],
        payloads: Sequence[Translate],  # noqa: ARG002 - one pair
    ) -> list[Outcome]:
        return [Outcome(one.text, len(one.ids) + 1) for one in self._model.translate(rows)]


def load(context: LoadContext) -> TranslationEngine[int]:
    """Load a model folder; ``ModelError`` where its files cannot be used."""
    options = read_options(MarianOptions, context.options, context.model)
    context.progress("building the graphs")
    try:
        model = MarianTranslator.load(context.folder, threads=options.threads)
    except ValueError as error:
        raise ModelError(str(error)) from error
    model.translate([model.encode(WARM_UP)])
    info = ModelInfo(
        context_tokens=MAX_SOURCE_TOKENS, concurrency=BATCHES_AT_HAND * options.max_batch
    )
    limits = BatchLimits(options.max_batch, options.max_padded_tokens)
    return TranslationEngine(_Marian(model), info, limits)
