"""One round tells all that is wrong with a configuration, and nothing twice."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest
import yaml

from hexkey.config import ConfigError, parse_config
from tests.unit.test_config import GOOD, errors, model


def test_everything_wrong_is_told_at_once() -> None:
    text = """
listen: {http: 1, grcp: a}
limits: {max_characters: x}
models:
  - {name: a, engine: 3, tasks: [sing, chat, dance]}
  - {engine: fake}
"""
    assert {error.partition(":")[0] for error in errors(text)} == {
        "listen.http",
        "listen.grcp",
        "limits.max_characters",
        "models[0].engine",
        "models[0].tasks[0]",
        "models[0].tasks[2]",
        "models[1].name",
        "models[1].tasks",
    }
    text = """
listen: {http: a, grpc: b}
models:
  - {name: '?', engine: x, tasks: [], pairs: [q], stall_timeout_s: 0}
"""
    paths = [error.partition(":")[0] for error in errors(text)]
    assert paths == [
        *("models[0].name", "models[0].engine", "models[0].tasks"),
        *("models[0].pairs[0]", "models[0].stall_timeout_s"),
        *("listen.http", "listen.grpc"),
    ]


GOOD_PARTS: dict[str, Any] = {
    "models": [
        {"name": "a", "engine": "marian", "tasks": ["translate"], "pairs": ["en-pt"],
         "source": "firefox:en-pt", "device": "cpu", "options": {"threads": 1}},
        {"name": "b", "engine": "vllm", "tasks": ["chat", "summarize"], "source": "path:/b",
         "device": "gpu", "adapters": [{"name": "b1", "source": "path:/b1", "tasks": ["chat"]}]},
    ],
    "cost": {
        "devices": [{"name": "cpu", "share": "0.5"}, {"name": "gpu", "share": "0.5"}],
        "owned": {"capex": "100", "months": 36},
        "references": [{"name": "big", "as_of": "2026-11-01", "audio_per_minute": "1"}],
    },
    "routing": {"policies": {"chat": {"policy": "weighted", "weights": {"b": 1, "b1": 2}}}},
    "access": {"tenants": [{"name": "acme"}, {"name": "else"}]},
}  # fmt: skip
MISTAKES: dict[str, Any] = {
    "models.0.engin": 1,
    "models.0.options.threads": "x",
    "models.0.options.max_batch": -1,
    "models.0.name": "b",
    "models.0.pairs": ["en-pt", "en_pt", False],
    "models.0.queue": {"headroom": 2, "concurency": 1},
    "models.1.tasks.2": "sing",
    "models.1.tasks.3": "transcribe",
    "models.1.adapters.0.tasks.1": "rerank",
    "models.1.options": {"dtype": "int3", "devices": [0, 1], "max_seqs": 1},
    "models.1.device": "tpu",
    "listen": {"http": "a", "grcp": 1},
    "log.level": "loud",
    "cost.devices.1.energy": "sun",
    "cost.devices.0.share": "0.6",
    "cost.watts": "5",
    "cost.owned.residual": "101",
    "cost.owned.pue": "0.5",
    "cost.references.0.input_per_million": "1",
    "cost.references.1": {"name": "own", "as_of": "soon", "input_per_second": "0"},
    "routing.policies.chat.weights.nobody": 1,
    "routing.policies.embed": {"policy": "pinned", "model": "b"},
    "routing.policies.sing": {"policy": "best"},
    "access.tenants.1.name": "acme",
    "access.tenants.0.weight": 0,
    "access.keys": True,
    "traces.sample": 2,
}


def mistaken(*places: str) -> list[str]:
    """What is said of a good configuration with these mistakes in it."""
    data = copy.deepcopy(GOOD_PARTS)
    data["cost"]["references"][0]["as_of"] = date(2026, 11, 1)
    for place in places:
        at: Any = data
        *folders, last = place.split(".")
        for name in folders:
            at = at[int(name)] if isinstance(at, list) else at.setdefault(name, {})
        if isinstance(at, list):
            at.append(MISTAKES[place])
        else:
            at[last] = MISTAKES[place]
    text = yaml.safe_dump(data, sort_keys=False).encode()
    try:
        parse_config(text, options=True)
    except ConfigError as error:
        return error.errors
    return []


def test_each_mistake_alone_is_told_once() -> None:
    assert mistaken() == []
    for place in MISTAKES:
        found = mistaken(place)
        assert found, place
        assert len(found) == len(set(found)), place


# Whether these are mistakes depends on the task that is meant by sing.
UNKNOWN = "models.1.tasks.2"
DEPENDING = ("models.1.adapters.0.tasks.1", "routing.policies.embed")


def test_one_round_tells_every_mistake_and_none_that_would_go_with_another() -> None:
    alone = [line for place in MISTAKES for line in mistaken(place)]
    depending = [line for place in DEPENDING for line in mistaken(place)]
    assert len(depending) == len(DEPENDING)
    assert sorted(mistaken(*MISTAKES)) == sorted(set(alone) - set(depending))
    mended = [place for place in MISTAKES if place != UNKNOWN]
    assert sorted(mistaken(*mended)) == sorted(set(alone) - set(mistaken(UNKNOWN)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{GOOD}{GOOD}", "line 2, column 1: the key 'models' is given twice"),
        (model("options: {a: 1, b: 2, a: 3}"), "column 92: the key 'a' is given twice"),
        (model("options: {codes: {no: nob_Latn}}"), "the key False is not text; put it in quotes"),
        (f"{GOOD}? [1]\n: 2", "line 2, column 3: the key [1] is not text; put it in quotes"),
    ],
)
def test_a_key_that_is_none_is_told_beside_what_else_is_wrong(text: str, says: str) -> None:
    (alone,) = errors(text)
    assert says in alone
    assert errors(f"{text}\nlog: {{level: loud}}")[:1] == [alone]
    assert errors(f"{text}\nlog: {{level: loud}}")[1].startswith("log.level: ")


@pytest.mark.parametrize(
    ("devices", "wrong"),
    [("[a]", "devices[0]"), ("[a, 0, 1]", "devices[0]"), ("[0, 0, 1]", "devices")],
)
def test_how_many_a_list_has_is_not_told_where_one_of_it_is_wrong(devices: str, wrong: str) -> None:
    one = "{name: a, engine: vllm, tasks: [chat], source: 'path:/a', options: {devices: %s}}"
    with pytest.raises(ConfigError) as caught:
        parse_config(f"models: [{one % devices}]".encode(), options=True)
    (line,) = caught.value.errors
    assert line.startswith(f"models[0].options.{wrong}: ")
