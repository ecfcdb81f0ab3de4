"""vLLM on a CPU, on the model that the other engines are tested on."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from scripts.convert_gguf import convert

from hexkey.engines import supervisor
from hexkey.engines.supervisor import HostSettings, Observer, Supervisor
from tests.conftest import SMOLLM
from tests.contract.conftest import Rig, completion

# `make test-vllm` has vLLM, in an environment of its own; `make test` leaves these tests out.
if importlib.util.find_spec("vllm") is None:
    collect_ignore_glob = ["test_*.py"]

STALL_S = 5.0
OPTIONS: dict[str, object] = {
    "kv_cache_gib": 0.5,
    "max_model_len": 2048,
    "dtype": "float32",
    "max_num_batched_tokens": 512,
}


@pytest.fixture(scope="session")
def smollm_folder() -> Path:
    return convert(SMOLLM)


def settings(folder: Path) -> HostSettings:
    return HostSettings("vllm", "vllm", str(folder), dict(OPTIONS), 600.0, STALL_S)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(smollm_folder: Path) -> AsyncIterator[Rig]:
    made: list[Rig] = []
    observer = Observer(step=lambda name, step: made[0].on_step(name, step))  # noqa: PLW0108 - it exists only later
    made.append(Rig(Supervisor(settings(smollm_folder), observer), completion))
    with pytest.MonkeyPatch.context() as patch:
        # vLLM starts slower than a caller waits; here the next answer is what counts.
        patch.setattr(supervisor, "RESTART_WAIT_S", 300.0)
        await made[0].supervisor.start()
        yield made[0]
        await made[0].supervisor.stop()
    assert made[0].settled
    assert set(made[0].settled.values()) == {1}, "a host settled a request twice"
