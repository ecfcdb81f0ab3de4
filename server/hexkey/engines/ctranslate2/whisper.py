"""Whisper on CTranslate2: windows of audio in, tokens out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from hexkey.engines.ctranslate2.audio import RATE, AudioLimits
from hexkey.engines.ctranslate2.mel import log_mel
from hexkey.engines.ctranslate2.speech import Speech
from hexkey.engines.ctranslate2.transcription import WhisperEngine
from hexkey.engines.options import Bounds, read_options
from hexkey.models.errors import ModelError
from hexkey.types import ModelInfo, Transcribe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hexkey.engines.base import LoadContext
    from hexkey.engines.ctranslate2.audio import Samples

MAX_TOKENS = 448


@dataclass(frozen=True, slots=True)
class WhisperOptions:
    """What an operator may set; ``max_audio_s`` bounds a file's length, decoded."""

    threads: int = 2
    compute_type: str = "int8"
    beam_size: int = 1
    max_batch: int = 4
    max_audio_s: float = 1800.0

    BOUNDS: ClassVar[Bounds] = {
        "threads": (0, 1024),
        "beam_size": (1, 64),
        "max_batch": (1, 256),
        "max_audio_s": (1, 1 << 20),
    }


class Answer(NamedTuple):
    """What the model said to a window; ``sure`` is the mean log-probability of its tokens."""

    tokens: list[int]
    sure: float
    silent: float


class Whisper:
    """A model that is ready: (bands, FRAMES) features and prompts in, tokens out."""

    def __init__(self, model: Any, speech: Speech, options: WhisperOptions) -> None:
        self._model = model
        self.speech = speech
        self._beam_size = options.beam_size

    @property
    def bands(self) -> int:
        """Mel bands that it hears."""
        return int(self._model.n_mels)

    def languages(self, features: Sequence[Samples]) -> list[str]:
        """Return the code of the likeliest language of each window."""
        found = self._model.detect_language(self._view(features))
        return [best[0][0].strip("<|>") for best in found]

    def answer(self, features: Sequence[Samples], prompts: Sequence[list[int]]) -> list[Answer]:
        """Write down what windows hold."""
        results = self._model.generate(
            self._view(features),
            list(prompts),
            beam_size=self._beam_size,
            max_length=MAX_TOKENS,
            return_scores=True,
            return_no_speech_prob=True,
        )
        return [
            Answer(list(one.sequences_ids[0]), one.scores[0], one.no_speech_prob) for one in results
        ]

    def _view(self, features: Sequence[Samples]) -> Any:
        import ctranslate2

        return ctranslate2.StorageView.from_array(np.stack(features))


def load(context: LoadContext) -> WhisperEngine:
    """Load a converted Whisper; ``ModelError`` where its files cannot be used."""
    import ctranslate2
    import tokenizers

    options = read_options(WhisperOptions, context.options, context.model)
    context.progress("loading the weights")
    try:
        model = ctranslate2.models.Whisper(
            str(context.folder),
            device="cpu",
            compute_type=options.compute_type,
            inter_threads=1,
            intra_threads=options.threads,
        )
        tokenizer = tokenizers.Tokenizer.from_file(str(context.folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises no kind of its own
        raise ModelError(f"{context.folder} is not a Whisper that can be run: {error}") from error
    whisper = Whisper(model, Speech(tokenizer, multilingual=model.is_multilingual), options)
    info = ModelInfo(context_tokens=MAX_TOKENS)
    limits = AudioLimits(seconds=options.max_audio_s)
    features = [log_mel(np.zeros(RATE, np.float32), whisper.bands)]
    whisper.answer(features, [whisper.speech.prompt(Transcribe(audio=b""), "en")])
    return WhisperEngine(whisper, info, limits, options.max_batch)
