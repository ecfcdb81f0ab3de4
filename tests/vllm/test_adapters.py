"""LoRA adapters as models of their own on one base, priorities, and caches kept apart."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from hexkey.engines.frames import Step
from hexkey.engines.supervisor import Observer, Supervisor
from hexkey.errors import ServeError
from hexkey.types import (
    PLAIN,
    Autocomplete,
    Began,
    Delta,
    Event,
    Request,
    Sampling,
    Terms,
    Usage,
)
from tests.vllm import adapters
from tests.vllm.conftest import settings
from tests.waiting import soon

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAMES = ("one", "two", "three")
PROMPT = "The old lighthouse keeper said that"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, smollm_folder: Path) -> dict[str, str]:
    top = tmp_path_factory.mktemp("adapters")
    return {
        name: str(adapters.write(top / name, smollm_folder, seed))
        for seed, name in enumerate(NAMES)
    }


@dataclasses.dataclass
class House:
    supervisor: Supervisor
    steps: list[Step]

    async def ask(self, payload: Autocomplete, terms: Terms) -> list[Event]:
        request = Request(id="t", payload=payload, protocol="test")
        async with aclosing(self.supervisor.run(request, terms=terms)) as events:
            return [event async for event in events if not isinstance(event, Began)]

    async def text(self, adapter: str, tokens: int = 12) -> str:
        payload = Autocomplete(prefix=PROMPT, sampling=Sampling(max_tokens=tokens))
        events = await self.ask(payload, Terms(adapter))
        return "".join(event.text for event in events if isinstance(event, Delta))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(smollm_folder: Path, folders: dict[str, str]) -> AsyncIterator[House]:
    base = settings(smollm_folder)
    options = {**base.options, "max_num_seqs": 4, "step_reports": "coarse", "sleep_after_s": 4.0}
    steps: list[Step] = []
    supervisor = Supervisor(
        dataclasses.replace(base, options=options, adapters=folders),
        Observer(step=lambda _model, step: steps.append(step)),
    )
    await supervisor.start()
    yield House(supervisor, steps)
    await supervisor.stop()


def merged(folder: Path, adapter: str | None, tokens: int) -> str:
    """What transformers says with the adapter in the weights."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        adapters.merge(model, Path(adapter))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(PROMPT, return_tensors="pt", add_special_tokens=False)
    with torch.no_grad():
        out = model.generate(**ids, max_new_tokens=tokens, do_sample=False)
    text: str = tokenizer.decode(out[0, ids.input_ids.shape[1] :])
    return text


async def test_an_adapter_answers_as_its_merged_model_does(
    house: House, smollm_folder: Path, folders: dict[str, str]
) -> None:
    answers = [await house.text(name) for name in ("", "one", "two")]
    assert len(set(answers)) == 3
    for answer, adapter in zip(answers, (None, "one", "two"), strict=True):
        path = folders[adapter] if adapter else None
        assert answer == await asyncio.to_thread(merged, smollm_folder, path, 12)


async def test_several_and_the_base_share_a_batch_and_none_disturbs_another(
    house: House,
) -> None:
    alone = {name: await house.text(name, 24) for name in ("", *NAMES)}
    house.steps.clear()
    names = ["", *NAMES, *NAMES]
    together = await asyncio.gather(*(house.text(name, 24) for name in names))
    assert together == [alone[name] for name in names]
    assert max(len(step.computed) for step in house.steps) >= 3


async def test_what_is_urgent_overtakes_what_waits(house: House) -> None:
    done: list[str] = []

    async def one(name: str, priority: int, tokens: int) -> None:
        payload = Autocomplete(prefix=PROMPT, sampling=Sampling(max_tokens=tokens))
        await house.ask(payload, Terms(priority=priority))
        done.append(name)

    # Four fill the batch; of those that wait the last to come is the first to run.
    tasks = [asyncio.create_task(one("first", 0, 300)) for _ in range(4)]
    await soon(lambda: house.supervisor.running == 4)
    tasks += [asyncio.create_task(one("later", 5, 20)) for _ in range(4)]
    await soon(lambda: house.supervisor.waiting == 8)
    tasks.append(asyncio.create_task(one("urgent", -5, 20)))
    await asyncio.gather(*tasks)
    assert done.index("urgent") < done.index("later")


async def test_one_tenant_cannot_see_by_the_cache_what_another_asked(house: House) -> None:
    payload = Autocomplete(prefix="a secret " * 100, sampling=Sampling(max_tokens=2))
    cached = []
    for salt in ("a", "a", "b", ""):
        usage = (await house.ask(payload, Terms(salt=salt)))[-1]
        assert isinstance(usage, Usage)
        cached.append(usage.cached_tokens)
    assert cached[0] == cached[2] == cached[3] == 0
    assert cached[1] > 100


async def test_coarse_reports_add_up_as_well(house: House) -> None:
    house.steps.clear()
    payload = Autocomplete(prefix="Never asked before. " * 40, sampling=Sampling(max_tokens=9))
    usage = (await house.ask(payload, PLAIN))[-1]
    assert isinstance(usage, Usage)
    told = sum(tokens for step in house.steps for _, tokens, _ in step.computed)
    assert told == usage.input_tokens - usage.cached_tokens + usage.output_tokens - 1


async def slept(house: House) -> bool:
    text = (await (await house.supervisor.link(wait=False)).exposition()).decode()
    name = 'vllm:engine_sleep_state{engine="0",model_name="vllm",sleep_state="awake"}'
    line = next(line for line in text.splitlines() if line.startswith(name))
    return float(line.split()[-1]) == 0


async def test_an_idle_model_sleeps_and_wakes_for_a_request(house: House) -> None:
    """On a CPU vLLM keeps the weights: what is proven is that it stops and goes on."""
    awake = await house.text("one")
    assert not await slept(house)
    async with asyncio.timeout(60):
        while not await slept(house):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.2)
    restless = asyncio.create_task(house.text("one", 1000))
    await asyncio.sleep(0.01)
    restless.cancel()
    assert await asyncio.gather(*(house.text("one") for _ in range(3))) == [awake] * 3
    assert not await slept(house)
    await soon(lambda: house.supervisor.running == 0, 20)


async def test_an_adapter_of_another_model_stops_the_start(
    smollm_folder: Path, folders: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 4}')
    wrong = {"none": str(tmp_path)}
    supervisor = Supervisor(dataclasses.replace(settings(smollm_folder), adapters=wrong))
    with pytest.raises(ServeError, match=r"adapter none: .* has no adapter_model\.safetensors"):
        await supervisor.start()
    assert folders
