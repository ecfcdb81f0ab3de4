from __future__ import annotations

import re
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from hexkey.engines.openvino import load
from hexkey.engines.openvino.engine import OpenvinoEngine
from hexkey.engines.openvino.files import inspect_files
from hexkey.engines.openvino.gguf import read_metadata
from hexkey.engines.openvino.prefixes import PrefixMirror
from hexkey.engines.openvino.vocabulary import parts
from hexkey.engines.supervisor import HostSettings, Supervisor
from hexkey.engines.vocabulary import looks_special, text_pieces
from hexkey.models.cache import fetch
from hexkey.models.errors import ModelError
from hexkey.types import Autocomplete, Delta, Sampling
from tests.unit.engines.openvino.conftest import context
from tests.unit.requests import request


def test_the_model_says_what_it_can_do(engine: OpenvinoEngine) -> None:
    info = engine.info
    assert (info.context_tokens, info.fim, info.chat, info.logprobs) == (8192, False, True, True)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"thread": 2}, "thread"),
        ({"threads": "many"}, "threads"),
        ({"max_sequences": 0}, "max_sequences"),
        ({"cache_gib": 0}, "cache_gib"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, object], word: str) -> None:
    with pytest.raises(ModelError, match=word):
        load(context(tmp_path, **options))


def test_fim_cannot_be_forced_on_a_model_without_its_tokens(smollm: Path) -> None:
    with pytest.raises(ModelError, match="fim"):
        load(context(smollm, fim=True))


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)):
        load(context(tmp_path))


@pytest.mark.parametrize("size", [0, 10, 30, 3000, 2_500_000, 60_000_000])
def test_a_cut_file_is_refused_before_the_library_reads_it(
    tmp_path: Path, smollm: Path, size: int
) -> None:
    with smollm.open("rb") as file:
        (tmp_path / "cut.gguf").write_bytes(file.read(size))
    with pytest.raises(ModelError, match=r"cut\.gguf"):
        load(context(tmp_path))


def test_damaged_metadata_is_refused(tmp_path: Path, smollm: Path) -> None:
    with smollm.open("rb") as file:
        data = bytearray(file.read(3_000_000))
    data[24:32] = b"\xff" * 8
    (tmp_path / "bad.gguf").write_bytes(data)
    with pytest.raises(ModelError, match=r"bad\.gguf is damaged"):
        read_metadata(tmp_path / "bad.gguf")


SAVE = """
import os, sys
from openvino_genai import ContinuousBatchingPipeline, SchedulerConfig, Tokenizer
config = SchedulerConfig()
config.cache_size = 1
tokenizer = Tokenizer(sys.argv[1], enable_save_ov_model=True)
pipeline = ContinuousBatchingPipeline(sys.argv[1], config, "CPU", {"enable_save_ov_model": True})
os._exit(0)
"""


@pytest.fixture(scope="module")
def ir(smollm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as OpenVINO writes it: networks, weights and tokenizers."""
    folder = tmp_path_factory.mktemp("ir")
    (folder / "m.gguf").symlink_to(smollm)
    # In a process of its own: one that saved a model crashes later on.
    subprocess.run([sys.executable, "-c", SAVE, str(folder / "m.gguf")], check=True)
    (folder / "m.gguf").unlink()
    (folder / "config.json").write_text('{"max_position_embeddings": 8192}')
    return folder


async def test_an_ir_folder_serves_once_its_weights_are_pinned(ir: Path, tmp_path: Path) -> None:
    def fetched(pins: dict[str, str]) -> Path:
        nowhere = tmp_path / "cache"
        return fetch(f"path:{ir}", cache=nowhere, sha256=pins, progress=lambda _line: None).folder

    with pytest.raises(ModelError, match="pinned hash") as caught:
        fetched({})
    folder = fetched(dict(re.findall(r"(\w+\.bin): (\w{64})", str(caught.value))))
    # In a host, as it is served: pytest's own process crashed after it had loaded one.
    supervisor = Supervisor(HostSettings("m", "openvino", str(folder), {}))
    await supervisor.start()
    try:
        ask = Autocomplete(prefix="1, 2, 3, 4, 5, 6, 7,", sampling=Sampling(max_tokens=12))
        async with aclosing(supervisor.run(request(ask))) as events:
            text = "".join([one.text async for one in events if isinstance(one, Delta)])
    finally:
        await supervisor.stop()
    assert supervisor.info is not None
    assert supervisor.info.context_tokens == 8192
    assert " 8, 9, 10" in text


def test_an_ir_folder_says_its_window_or_the_option_does(tmp_path: Path) -> None:
    (tmp_path / "openvino_model.xml").write_text("<net />")
    with pytest.raises(ModelError, match="max_position_embeddings; set the option context_tokens"):
        load(context(tmp_path))
    assert inspect_files(tmp_path, 512).context_tokens == 512


def test_the_metadata_of_a_gguf_file(smollm: Path) -> None:
    metadata = read_metadata(smollm)
    assert metadata["general.architecture"] == b"llama"
    assert metadata["llama.context_length"] == 8192
    assert metadata["tokenizer.ggml.add_bos_token"] is False
    tokens = metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, tuple)
    assert len(tokens) == 49152


def test_pieces_of_a_byte_level_vocabulary() -> None:
    assert text_pieces({b" a": 0, b"\xe6": 2, b"<|end|>": 3}, {3}) == [b" a", b"", b"\xe6", b""]


def test_pieces_of_a_sentencepiece_vocabulary() -> None:
    tokens = {"▁a".encode(): 0, b"<0x0A>": 1, b"</s>": 2}
    assert text_pieces(tokens, {2}) == [b" a", b"\n", b""]


def test_control_tokens_by_their_looks() -> None:
    looks = [b"<|im_end|>", b"</s>", "<\uff5cfim\u2581hole\uff5c>".encode()]
    assert all(map(looks_special, looks))
    assert not any(map(looks_special, [b"<div>", b"a<|b|>", b"|"]))


def test_parts_begin_with_words_where_there_are_any() -> None:
    assert parts("one two three four", 9) == ["one two", " three", " four"]
    assert parts("x" * 10, 4) == ["xxxx", "xxxx", "xx"]
    assert parts("", 4) == [""]


def test_the_mirror_finds_blocks_and_one_part_of_a_block() -> None:
    mirror = PrefixMirror(100)
    content = list(range(70))
    tail = mirror.learn(content)
    assert mirror.restore(content) == 69
    assert mirror.restore(content[:64]) == 63
    assert mirror.restore(content[:50]) == 32
    assert mirror.restore([*content, 1, 2]) == 70
    assert mirror.restore([*content, 1, 2]) == 64, "the part was taken over"
    assert mirror.restore([1, *content]) == 0
    mirror.forget(tail)


def test_the_mirror_forgets_the_oldest_blocks() -> None:
    mirror = PrefixMirror(2)
    mirror.learn([1] * 64)
    mirror.learn([2] * 32)
    assert mirror.restore([1] * 64) == 0
    assert mirror.restore([2] * 32) == 31
    assert PrefixMirror(0).learn([1] * 64) == 0
