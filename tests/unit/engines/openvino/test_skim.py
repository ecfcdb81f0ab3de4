"""Tokens that nobody waits for stay in the pipeline: the same answers, told later."""

from __future__ import annotations

from pathlib import Path

import pytest
from openvino_genai import ContinuousBatchingPipeline, SchedulerConfig

from hexkey.engines.base import Patient
from hexkey.engines.openvino.engine import MAX_UNREAD, OpenvinoEngine
from hexkey.engines.openvino.prefixes import PrefixMirror
from hexkey.types import Chat, FinishReason, Message, Sampling, StopRule
from tests.unit.engines.openvino.conftest import Driver
from tests.unit.engines.openvino.test_engine import accounted, complete

COUNTING = "1, 2, 3, 4, 5, 6, 7,"


def test_the_engine_is_patient(driver: Driver) -> None:
    assert isinstance(driver.engine, Patient)


def test_a_skimmed_answer_is_the_same_and_accounted(driver: Driver) -> None:
    (read,) = driver.run(complete(COUNTING, max_tokens=20, logprobs=True))
    (skimmed,) = driver.run(complete(COUNTING, max_tokens=20, logprobs=True), skim=True)
    assert skimmed.text() == read.text()
    assert [delta.tokens for delta in skimmed.deltas()] == [1, 19]
    assert sum(len(delta.logprobs) for delta in skimmed.deltas()) == 20
    assert len(skimmed.computed) == len(read.computed) == 20
    assert accounted(skimmed)


def test_a_later_step_reads_what_was_skimmed(driver: Driver) -> None:
    answer = driver.add(complete(COUNTING, max_tokens=12))
    driver.step()
    driver.step(5, skim=True)
    assert [delta.tokens for delta in answer.deltas()] == [1]
    driver.step()
    assert [delta.tokens for delta in answer.deltas()] == [1, 6]
    driver.step(5, skim=True)
    assert answer.reason() is FinishReason.LENGTH
    assert accounted(answer)


def test_it_skims_until_it_is_enough_or_one_ends(driver: Driver) -> None:
    driver.add(complete(COUNTING, max_tokens=30))
    driver.add(complete("The capital of France is", max_tokens=12))
    driver.step()
    asked = iter([False, False, True])
    reports = driver.engine.skim(lambda: next(asked))
    assert [len(report.computed) for report in reports] == [2] * 3
    assert not any(report.events for report in reports)
    more = driver.engine.skim(lambda: False)
    assert [len(report.events) for report in more] == [0] * 7 + [2]
    contexts = [context for report in (*reports, *more) for _, _, context in report.computed[:1]]
    assert contexts == list(range(contexts[0], contexts[0] + 11))
    driver.engine.cancel(0)
    driver.run(complete("x", max_tokens=1))  # the pipeline frees in its next step


def test_the_models_own_end_is_told_in_its_step(driver: Driver) -> None:
    question = Chat(
        messages=(Message("user", "What is the capital of France?"),),
        sampling=Sampling(max_tokens=64),
    )
    (read,) = driver.run(question)
    (skimmed,) = driver.run(question, skim=True)
    assert skimmed.reason() is FinishReason.STOP
    assert skimmed.text() == read.text()
    assert len(skimmed.computed) == len(read.computed)
    assert accounted(skimmed)


@pytest.mark.parametrize("stop", [{"rule": StopRule.LINE}, {"stop": ("nothing of the kind",)}])
def test_what_its_text_may_end_is_read_at_each_step(
    driver: Driver, stop: dict[str, object]
) -> None:
    (answer,) = driver.run(complete(COUNTING, max_tokens=8, **stop), skim=True)  # type: ignore[arg-type]
    assert [delta.tokens for delta in answer.deltas()] == [1] * 8


def test_one_who_joins_is_read_at_once_and_the_others_soon(driver: Driver) -> None:
    first = driver.add(complete(COUNTING, max_tokens=12))
    driver.step(4, skim=True)
    second = driver.add(complete("The capital of France is", max_tokens=3))
    driver.step(skim=True)
    assert second.text().startswith(" Paris")
    assert [delta.tokens for delta in first.deltas()] == [1]
    third = driver.add(complete("One, two,", max_tokens=3))
    driver.step(skim=True)
    assert third.text()
    assert [delta.tokens for delta in first.deltas()] == [1, MAX_UNREAD + 1]
    while driver.engine.running:
        driver.step(skim=True)
    assert [len(one.computed) for one in (first, second, third)] == [12, 3, 3]
    assert all(accounted(one) for one in (first, second, third))


def test_a_cancel_loses_nothing_of_what_the_cache_knows(driver: Driver) -> None:
    prompt = " ".join(str(number) for number in range(200, 230))
    gone = driver.add(complete(prompt, max_tokens=500))
    driver.step(40, skim=True)
    (sequence,) = driver.engine._active
    assert sequence.unread
    driver.cancel(gone)
    assert len(sequence.content) == len(sequence.work.prompt) + 39
    assert driver.engine.running == 0
    driver.run(complete("x", max_tokens=1))  # the pipeline frees in its next step


@pytest.mark.parametrize(("blocks", "tokens"), [(7, 80), (25, 400)])
@pytest.mark.parametrize("every", [1, 2])
def test_sequences_that_wait_for_memory_are_not_taken_for_computed(
    driver: Driver, smollm: Path, blocks: int, tokens: int, every: int
) -> None:
    config = SchedulerConfig()
    config.cache_size, config.num_kv_blocks = 0, blocks
    config.max_num_batched_tokens = 256
    engine = OpenvinoEngine(
        ContinuousBatchingPipeline(str(smollm), config, "CPU", {}),
        info=driver.engine.info,
        vocabulary=driver.engine._prompts._vocabulary,  # type: ignore[arg-type]
        prompts=driver.engine._prompts,
        cache=PrefixMirror(0),
        max_sequences=64,
    )
    small = Driver(engine)
    answers = [small.add(complete(COUNTING, max_tokens=tokens)) for _ in range(3)]
    step = 0
    while engine.running:
        step += 1
        small.step(skim=step % every == 0)
    assert [answer.usage.output_tokens for answer in answers] == [tokens] * 3
    assert all(accounted(answer) for answer in answers)
    assert all(computed > 0 for answer in answers for computed in answer.computed)
