"""Options and environment: each mistake is named before vLLM is started."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import pytest

import vllm
from hexkey.engines.base import LoadContext
from hexkey.engines.vllm import load, loading
from hexkey.engines.vllm.options import prepare_environment
from hexkey.models.errors import ModelError


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"dtype": "int3"}, r"m\.options\.dtype"),
        ({"tensor_parallel_size": 0}, r"m\.options\.tensor_parallel_size"),
        ({"gpu_memory_utilization": 1.5}, r"m\.options\.gpu_memory_utilization"),
        ({"threads": -1}, r"m\.options\.threads"),
        ({"max_seqs": 3}, "max_seqs"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        load(LoadContext("m", Path("/nowhere"), options, lambda _line: None))


@pytest.mark.parametrize("name", ["VLLM_ALLOW_INSECURE_SERIALIZATION", "VLLM_SERVER_DEV_MODE"])
def test_a_switch_that_opens_the_server_is_refused(name: str) -> None:
    os.environ[name] = "1"
    with pytest.raises(ModelError, match=name):
        prepare_environment(0)


def test_vllm_reads_an_environment_that_calls_nobody() -> None:
    os.environ["VLLM_PLUGINS"] = "evil"
    prepare_environment(1)
    assert os.environ["VLLM_PLUGINS"] == ""
    assert os.environ["VLLM_NO_USAGE_STATS"] == os.environ["HF_HUB_OFFLINE"] == "1"
    assert os.environ["VLLM_CPU_OMP_THREADS_BIND"].isdigit()
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_every_core_of_a_small_machine_computes_and_one_of_a_large_stays_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "VLLM_CPU_NUM_OF_RESERVED_CPU"
    for cores, reserved in ((range(8), None), (range(2), "0")):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid, cores=cores: set(cores))
        prepare_environment(0)
        assert os.environ.get(name) == reserved


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="vLLM does not take m"):
        load(LoadContext("m", tmp_path, {}, lambda _line: None))


def test_a_vllm_that_has_moved_what_we_override_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scheduler, executor = loading._overriding(vllm.__version__)
    assert scheduler is not None
    assert executor is not None
    assert loading._overriding("0.33.0") == (None, None)
    with monkeypatch.context() as patch:
        patch.setattr("vllm.v1.core.sched.scheduler.Scheduler.schedule", lambda _self: None)
        assert loading._overriding(vllm.__version__) == (None, None)
    for name in ("scheduler", "executor"):
        monkeypatch.delitem(sys.modules, f"hexkey.engines.vllm.{name}")
        monkeypatch.delattr(f"hexkey.engines.vllm.{name}")
    monkeypatch.setitem(sys.modules, "vllm.v1.core.sched.async_scheduler", None)
    assert loading._overriding(vllm.__version__) == (None, None)


def test_where_vllm_cannot_start_a_model_what_does_not_fit_is_told(tmp_path: Path) -> None:
    context = LoadContext("m", tmp_path, {"kv_cache_gib": 4000.0}, lambda _line: None)
    (told,) = loading._misfit(context)
    assert "Does not fit: m 4001.5 GiB" in told
    small = {"kv_cache_gib": 0.01, "max_model_len": 8}
    assert loading._misfit(dataclasses.replace(context, options=small)) == []
