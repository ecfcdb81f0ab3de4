"""What a loaded model can do: told from its files and from what vLLM made of them."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from hexkey.engines import fim
from hexkey.engines.base import SPARE
from hexkey.engines.encoder.loading import NOTE
from hexkey.engines.instruction import Instruction
from hexkey.engines.prompts import PromptMaker
from hexkey.engines.vllm.generation import Generation
from hexkey.engines.vllm.pooling import CLASSIFY, EMBED, Pooling
from hexkey.engines.vllm.requests import Requests
from hexkey.engines.vllm.translation import Interpreter
from hexkey.engines.vllm.vocabulary import Vocabulary
from hexkey.models.errors import ModelError
from hexkey.types import ModelInfo

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

    from hexkey.engines.base import LoadContext
    from hexkey.engines.vllm.jobs import Kind
    from hexkey.engines.vllm.options import Options

TOKENIZER = "tokenizer.json"


def generation(
    llm: AsyncLLM, context: LoadContext, options: Options, notes: tuple[str, ...]
) -> tuple[Kind, Requests]:
    """A model that writes."""
    template: Any = llm.renderer.tokenizer
    vocabulary = Vocabulary(context.folder / TOKENIZER, template, _eos(llm.model_config))
    family = fim.detect(vocabulary.special) if options.fim is not False else None
    if options.fim and family is None:
        raise ModelError(f"{context.model} has no tokens to fill in the middle; remove 'fim: true'")
    window = llm.model_config.max_model_len
    info = ModelInfo(
        context_tokens=window,
        concurrency=_concurrency(options),
        fim=family is not None,
        chat=vocabulary.chats,
        logprobs=True,
        schemas=True,
        notes=notes,
    )
    requests = Requests(
        llm.input_processor,
        adapters=context.adapters,
        stops=sorted(vocabulary.control),
        window=window,
    )
    prompts = PromptMaker(vocabulary, family, window, context.model)
    interpreter = Interpreter(
        requests,
        prompts,
        vocabulary.pieces,
        Instruction(options.translate_prompt),
        chats=vocabulary.chats,
    )
    made = Generation(
        requests,
        info=info,
        vocabulary=vocabulary,
        prompts=prompts,
        interpreter=interpreter,
        step_tokens=llm.vllm_config.scheduler_config.max_num_batched_tokens,
    )
    return made, requests


def pooling(
    llm: AsyncLLM, context: LoadContext, options: Options, _notes: tuple[str, ...]
) -> tuple[Kind, Requests]:
    """A model that reads: an encoder, or a classifier or reranker made of one."""
    config: Any = llm.model_config
    file = context.folder / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:
        raise ModelError(f"{file} is missing or cannot be read; vllm needs it here") from error
    classifies = "SequenceClassification" in config.architecture
    names: dict[int, str] = config.hf_config.id2label if classifies else {}
    labels = tuple(names[number] for number in sorted(names)) if len(names) > 1 else ()
    info = ModelInfo(
        context_tokens=config.max_model_len,
        concurrency=_concurrency(options),
        dimensions=0 if classifies else config.embedding_size,
        labels=labels,
        notes=() if classifies else (NOTE,),
    )
    requests = Requests(
        llm.input_processor, adapters=context.adapters, stops=[], window=config.max_model_len
    )
    task = CLASSIFY if classifies else EMBED
    return Pooling(requests, info=info, tokenizer=tokenizer, task=task), requests


def _concurrency(options: Options) -> int:
    return options.max_num_seqs + ceil(options.max_num_seqs / SPARE)


def _eos(model_config: Any) -> frozenset[int]:
    """The ids that end an output, by the model's own generation_config.json and config.json."""
    told = (
        model_config.try_get_generation_config().get("eos_token_id"),
        getattr(model_config.hf_text_config, "eos_token_id", None),
    )
    return frozenset(
        number
        for one in told
        if one is not None
        for number in (one if isinstance(one, list) else [one])
    )
