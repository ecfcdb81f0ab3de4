"""configs/: every file loads, and example.yaml shows every option with its real default."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexkey.config import (
    AccessConfig,
    AutocompleteConfig,
    Config,
    CostConfig,
    LimitsConfig,
    ListenConfig,
    LogConfig,
    ModelConfig,
    QueueConfig,
    RoutingConfig,
    TracesConfig,
    UsageConfig,
    load,
    parse_config,
)
from hexkey.engines import factory
from hexkey.engines.options import read_options
from hexkey.types import Task

CONFIGS = Path(__file__).parents[2] / "configs"
EXAMPLE = CONFIGS / "example.yaml"
OTHER_ENGINES = "# The options of the other engines, each with its default:\n#\n"
# What of a model has no default, or one that this model must differ from.
PER_MODEL = {"name", "engine", "tasks", "source", "pairs", "options"}


def keys(kind: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    return data


@pytest.fixture(scope="module")
def models() -> list[ModelConfig]:
    """The example's model and those in its comments."""
    text = EXAMPLE.read_text()
    _, found, commented = text.partition(OTHER_ENGINES)
    assert found, "the comment before the other engines' options was reworded"
    plain = "\n".join(line.removeprefix("#") for line in commented.splitlines())
    hidden = parse_config(f"models:\n{plain}".encode()).models
    return [*load(EXAMPLE).models, *hidden]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.y*ml")), ids=lambda path: path.name)
def test_every_file_in_configs_loads(path: Path) -> None:
    assert load(path).models


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("", Config),
        ("listen", ListenConfig),
        ("limits", LimitsConfig),
        ("log", LogConfig),
        ("cost", CostConfig),
        ("routing", RoutingConfig),
        ("access", AccessConfig),
        ("usage", UsageConfig),
        ("traces", TracesConfig),
        ("autocomplete", AutocompleteConfig),
    ],
)
def test_every_option_is_shown(written: dict[str, Any], section: str, kind: type[Any]) -> None:
    assert set(written[section] if section else written) == keys(kind)


def test_every_option_of_a_model_is_shown(written: dict[str, Any]) -> None:
    assert set(written["models"][0]) == keys(ModelConfig)
    assert set(written["models"][0]["queue"]) == keys(QueueConfig)


def test_what_is_shown_is_the_default() -> None:
    shown = load(EXAMPLE)
    assert dataclasses.replace(shown, models=()) == Config(models=())
    model = shown.models[0]
    default = ModelConfig(name="", engine="", tasks=())
    for name in keys(ModelConfig) - PER_MODEL:
        assert getattr(model, name) == getattr(default, name), name


def test_every_engine_is_shown(models: list[ModelConfig]) -> None:
    assert {model.engine for model in models} == set(factory.NAMES)
    every = {task for model in models for task in model.tasks}
    assert every == set(Task) - {Task.SUMMARIZE}  # which is any model's that chats


def test_every_option_of_an_engine_is_shown_with_its_default(models: list[ModelConfig]) -> None:
    for model in models:
        kind = factory.options_of(model.engine, model.tasks)
        assert set(model.options) == keys(kind), model.name
        assert read_options(kind, model.options, model.name) == kind()


def test_every_option_is_explained() -> None:
    lines = EXAMPLE.read_text().partition(OTHER_ENGINES)[0].splitlines()
    known = [
        ListenConfig,
        LimitsConfig,
        LogConfig,
        ModelConfig,
        RoutingConfig,
        UsageConfig,
        TracesConfig,
        factory.options_of("marian"),
    ]
    names = set().union(*map(keys, known)) - {"http", "options"}
    for before, line in zip(["", *lines], lines, strict=False):
        name, colon, _ = line.strip().removeprefix("- ").partition(":")
        if colon and name in names and not line.startswith("#"):
            assert "#" in before, f"{line.strip()!r} has no comment above it"
