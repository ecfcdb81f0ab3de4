"""The plan over the memory of several vllm models: what fits, what does not, and why."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexkey.config import load
from hexkey.engines import factory
from hexkey.engines.supervisor import HostSettings
from hexkey.engines.vllm import devices as found
from hexkey.engines.vllm.memory import (
    GIB,
    OVERHEAD_GIB,
    Device,
    Need,
    misfits,
    needs,
    weights_gib,
)
from hexkey.engines.vllm.options import Options
from hexkey.models.errors import ModelError
from hexkey.provisioning import specs

GPUS = [Device("GPU 0", 24.0, 23.5), Device("GPU 1", 24.0, 24.0)]
MEMORY = [Device("this machine's memory", 16.0, 10.0, gpu=False)]


def test_a_share_is_of_the_whole_device() -> None:
    (need,) = needs("m", Options(gpu_memory_utilization=0.25), 3.0, GPUS)
    assert (need.device, need.gib) == ("GPU 0", 6.0)


def test_a_named_cache_counts_with_the_weights_and_not_with_the_share() -> None:
    (need,) = needs("m", Options(kv_cache_gib=2.0), 3.0, MEMORY)
    assert need.gib == 3.0 + 2.0 + OVERHEAD_GIB


def test_a_model_over_two_gpus_takes_of_both() -> None:
    options = Options(kv_cache_gib=1.0, tensor_parallel_size=2)
    assert [one.gib for one in needs("m", options, 4.0, GPUS)] == [2.0 + 1.0 + OVERHEAD_GIB] * 2
    on_cpu = needs("m", options, 4.0, MEMORY)
    assert [one.device for one in on_cpu] == ["this machine's memory"] * 2


def test_devices_are_taken_by_their_numbers() -> None:
    (need,) = needs("m", Options(devices=(1,)), 1.0, GPUS)
    assert need.device == "GPU 1"
    with pytest.raises(ModelError, match="needs GPU 2; there is: GPU 0, GPU 1"):
        needs("m", Options(devices=(2,)), 1.0, GPUS)


def test_two_models_with_the_default_share_are_told_apart() -> None:
    asked = [*needs("coder", Options(), 3.0, GPUS), *needs("chat", Options(), 3.0, GPUS)]
    (told,) = misfits(asked, GPUS)
    assert "do not fit on GPU 0 (23.5 of 24.0 GiB free)" in told
    assert "Fits: coder 21.6 GiB (gpu_memory_utilization 0.9)." in told
    assert "Does not fit: chat 21.6 GiB (gpu_memory_utilization 0.9), where 1.9 GiB" in told


def test_on_a_cpu_the_sum_is_what_counts() -> None:
    asked = [
        need
        for name, cache in (("a", 4.0), ("b", 8.0), ("c", 1.0))
        for need in needs(name, Options(kv_cache_gib=cache), 0.5, MEMORY)
    ]
    (told,) = misfits(asked, MEMORY)
    assert "Fits: a 6.0 GiB" in told
    assert "c 3.0 GiB" in told.partition("Does not fit")[0]
    assert "Does not fit: b 10.0 GiB" in told
    assert misfits([one for one in asked if one.model != "b"], MEMORY) == []


@given(st.lists(st.floats(0, 30), max_size=6), st.floats(0, 24))
def test_it_complains_if_and_only_if_the_sum_is_too_large(sizes: list[float], free: float) -> None:
    device = Device("GPU 0", 24.0, free)
    asked = [Need(f"m{at}", "GPU 0", size, "") for at, size in enumerate(sizes)]
    left = free
    for size in sizes:
        left -= size
        if left < 0:
            break
    assert bool(misfits(asked, [device])) == (left < 0)


@pytest.mark.parametrize(
    ("config", "dtype", "gib"),
    [
        ({"dtype": "bfloat16"}, "auto", 1.0),
        ({"torch_dtype": "bfloat16"}, "float32", 2.0),
        ({"dtype": "float32"}, "bfloat16", 0.5),
        ({"dtype": "bfloat16", "quantization_config": {}}, "float32", 1.0),
    ],
)
def test_weights_are_as_wide_as_they_are_loaded(
    tmp_path: Path, config: dict[str, object], dtype: str, gib: float
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(GIB)  # a hole: it takes no disk
    assert weights_gib(tmp_path, dtype) == gib


@pytest.mark.parametrize("index", ["", "{", "[]", '{"weight_map": 3}'])
def test_weights_count_once_where_a_model_comes_in_two_forms(tmp_path: Path, index: str) -> None:
    for name in ("model-1", "model-2", "consolidated"):
        with (tmp_path / f"{name}.safetensors").open("wb") as file:
            file.truncate(GIB // 2)
    if index:
        (tmp_path / "model.safetensors.index.json").write_text(index)
    assert weights_gib(tmp_path, "auto") == 1.5
    parts = {f"layer.{one}": f"model-{one}.safetensors" for one in (1, 2)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    assert weights_gib(tmp_path, "auto") == 1.0


def smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(found, "_is_cpu_build", lambda: False)


def test_gpus_are_those_that_the_driver_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi(tmp_path, monkeypatch, "echo '81920, 81000'; echo '81920, 1024'")
    assert found.find_devices() == [Device("GPU 0", 80.0, 81000 / 1024), Device("GPU 1", 80.0, 1.0)]


def test_a_model_lies_on_the_gpus_that_the_environment_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi(tmp_path, monkeypatch, "echo '24576, 1024'; echo '24576, 24576'")
    model = ("m", str(tmp_path), {"gpu_memory_utilization": 0.5})
    with pytest.raises(ModelError, match=r"do not fit on GPU 0"):
        found.fit([model])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    found.fit([model])
    with pytest.raises(ModelError, match=r"do not fit on GPU 0"):  # the option goes before
        found.fit([("m", str(tmp_path), {**model[2], "devices": [0]})])
    with pytest.raises(ModelError, match=r"CUDA_VISIBLE_DEVICES is set: m.* name 2 GPUs"):
        found.fit([("m", str(tmp_path), {"tensor_parallel_size": 2})])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-5a1b")
    with pytest.raises(ModelError, match=r"do not fit on GPU 0"):
        found.fit([model])


def test_a_driver_that_fails_leaves_the_machines_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi(tmp_path, monkeypatch, "echo no devices were found; exit 6")
    (device,) = found.find_devices()
    assert not device.gpu
    assert 0 < device.free_gib <= device.total_gib


def test_the_configuration_for_one_gpu_fits_on_one_of_24_gb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi(tmp_path, monkeypatch, "echo '24564, 24100'")
    config = load(Path(__file__).parents[4] / "configs" / "gpu.yaml")
    folders = dict.fromkeys((model.name for model in config.models), str(tmp_path))
    factory.fit([one.settings for one in specs(config, folders)])
    assert sum(model.engine == "vllm" for model in config.models) == 4


def test_a_server_that_asks_for_too_much_is_told_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi(tmp_path, monkeypatch, "echo '24576, 24576'")
    models = [
        HostSettings(name, "vllm", str(tmp_path), {"gpu_memory_utilization": share})
        for name, share in (("coder", 0.25), ("chat", 0.9))
    ]
    factory.fit(models[:1])
    factory.fit([HostSettings("other", "fake", "", {})])
    with pytest.raises(ModelError, match=r"Fits: coder 6\.0 GiB .*Does not fit: chat 21\.6 GiB"):
        factory.fit(models)
    with pytest.raises(ModelError, match=r"m\.options\.gpu_memory_utilization: must be between"):
        factory.fit([HostSettings("m", "vllm", "", {"gpu_memory_utilization": 7.0})])
