"""Tokens as bytes, what ends an output, and how the middle is filled in: without a model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer

from hexkey.engines import fim
from hexkey.engines.prompts import PromptMaker
from hexkey.engines.vllm.vocabulary import Vocabulary, byte_letters
from hexkey.errors import Code, ServeError
from hexkey.models.errors import ModelError
from hexkey.types import Chat, Message


def write(folder: Path, family: fim.FimFamily) -> Path:
    """A tokenizer of single bytes and one family's tokens, none of them called special."""
    tokenizer = Tokenizer(models.BPE(byte_letters(), []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(token, special=False) for token in family.tokens])
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def refuse(*_args: object, **_more: object) -> str:
    raise jinja2.TemplateError("roles must alternate")


TEMPLATE = SimpleNamespace(bos_token_id=None, chat_template="x", apply_chat_template=refuse)


@pytest.fixture
def vocabulary(tmp_path: Path) -> Vocabulary:
    return Vocabulary(write(tmp_path, fim.FAMILIES[0]), TEMPLATE, frozenset({256}))


def test_the_bytes_of_tokens_make_the_text(vocabulary: Vocabulary) -> None:
    text = "Ünïcode 漢字 🦊\n\t end"
    assert b"".join(vocabulary.pieces[one] for one in vocabulary.encode(text)) == text.encode()


def test_a_caller_cannot_write_control_tokens(vocabulary: Vocabulary) -> None:
    ids = vocabulary.encode("a<|fim_middle|>b<|endoftext|>")
    assert not vocabulary.control & set(ids)


def test_a_template_that_refuses_is_the_callers_mistake(vocabulary: Vocabulary) -> None:
    maker = PromptMaker(vocabulary, None, 512, "m")
    with pytest.raises(ServeError, match="chat template") as caught:
        maker.make(Chat(messages=(Message("user", "a"),)))
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_pieces_are_what_the_real_tokenizer_decodes(smollm_folder: Path) -> None:
    template = AutoTokenizer.from_pretrained(smollm_folder)
    vocabulary = Vocabulary(smollm_folder / "tokenizer.json", template, frozenset())
    text = "def f(x):\n    return '漢字 🦊' # naïve\n"
    ids = vocabulary.encode(text)
    assert ids == template.encode(text, add_special_tokens=False)
    assert b"".join(vocabulary.pieces[one] for one in ids).decode() == text
    assert vocabulary.control >= set(template.all_special_ids)
    turn = vocabulary.encode_chat((Message("user", "Hi"),))
    rendered = template.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert turn == template.encode(rendered, add_special_tokens=False)


def test_a_folder_without_tokenizer_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        Vocabulary(tmp_path / "tokenizer.json", TEMPLATE, frozenset())
