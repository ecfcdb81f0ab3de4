"""A configuration: every mistake is named with its path, and no file can hang or crash the read."""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hexkey.config import MAX_BYTES, Config, ConfigError, load, parse_config, split_address
from hexkey.engines import factory
from hexkey.routing import Pair
from hexkey.types import Task

MODEL = "{name: m, engine: fake, tasks: [chat]}"
GOOD = f"models: [{MODEL}]\n"


def parse(text: str) -> Config:
    return parse_config(text.encode())


def errors(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text if isinstance(text, bytes) else text.encode())
    assert str(caught.value).startswith("the configuration cannot be used:\n  ")
    return caught.value.errors


def model(changes: str) -> str:
    return f"models: [{{name: m, engine: fake, tasks: [translate], pairs: [en-pt], {changes}}}]"


def test_the_least_that_is_needed() -> None:
    config = parse(GOOD)
    assert config.models[0].tasks == (Task.CHAT,)
    assert config == Config(models=config.models)


def test_pairs_are_read_as_directions() -> None:
    config = parse(model("source: 'firefox:en-pt'"))
    assert config.models[0].parsed_pairs() == (Pair("en", "pt"),)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "the file: expected a mapping, found nothing"),
        ("- 1", "the file: expected a mapping, found a list"),
        ("models: []", "models: is empty; name at least one model to serve"),
        ("listen: {}", "models: is missing; expected a list"),
        (f"modles: 1\n{GOOD}", "modles: unknown key; did you mean 'models'?"),
        (
            f"xyz: 1\n{GOOD}",
            f"xyz: unknown key; the keys are: {', '.join(one.name for one in fields(Config))}",
        ),
        (f"{GOOD}listen: {{htpp: 'a:1'}}", "listen.htpp: unknown key; did you mean 'http'?"),
        (f"{GOOD}listen: 8080", "listen: expected a mapping, found 8080"),
        (f"{GOOD}listen:", "listen: expected a mapping, found nothing"),
        (
            f"{GOOD}listen: {{http: 8080}}",
            "listen.http: expected host:port such as 127.0.0.1:8080, found '8080'",
        ),
        (
            f"{GOOD}listen: {{http: ''}}",
            "listen.http: expected host:port such as 127.0.0.1:8080, found ''",
        ),
        (
            f"{GOOD}listen: {{grpc: 'a'}}",
            "listen.grpc: expected host:port such as 127.0.0.1:8080, found 'a'",
        ),
        (
            f"{GOOD}cost: {{price_per_hour: 0.10}}",
            "cost.price_per_hour: expected text, found 0.1; put it in quotes",
        ),
        (
            f"{GOOD}cost: {{price_per_hour: -0.10}}",
            "cost.price_per_hour: expected a finite number of at least 0, found '-0.1'",
        ),
        (
            f"{GOOD}cache_dir: 2026-11-24",
            "cache_dir: expected text, found 2026-11-24; put it in quotes",
        ),
        (
            f"{GOOD}limits: {{max_characters: true}}",
            "limits.max_characters: expected a whole number, found True",
        ),
        (
            f"{GOOD}limits: {{max_characters: 1.5}}",
            "limits.max_characters: expected a whole number, found 1.5",
        ),
        (
            f"{GOOD}limits: {{max_characters: 0}}",
            "limits.max_characters: must be a number greater than 0",
        ),
        (
            f"{GOOD}limits: {{stop_grace_s: .nan}}",
            "limits.stop_grace_s: must be a number greater than 0",
        ),
        (
            f"{GOOD}limits: {{stop_grace_s: .inf}}",
            "limits.stop_grace_s: must be a number greater than 0",
        ),
        (
            f"{GOOD}limits: {{lame_duck_s: 3601}}",
            "limits.lame_duck_s: must be at most 3600",
        ),
        (
            f"{GOOD}limits: {{stop_grace_s: soon}}",
            "limits.stop_grace_s: expected a number, found 'soon'",
        ),
        (
            f"{GOOD}log: {{level: loud}}",
            "log.level: expected one of debug, info, warning, error, found 'loud'",
        ),
        (f"{GOOD}log: {{json: 1}}", "log.json: expected true or false, found 1"),
        (f"{GOOD}cache_dir: [a]", "cache_dir: expected text, found a list"),
        ("models: {a: 1}", "models: expected a list, found a mapping"),
        ("models: [a]", "models[0]: expected a mapping, found 'a'"),
        (
            "models: [{name: m, engine: fake, tasks: chat}]",
            "models[0].tasks: expected a list, found 'chat'; write [chat]",
        ),
        (
            "models: [{name: m, engine: fake, tasks: [sing]}]",
            f"models[0].tasks[0]: expected one of {', '.join(Task)}, found 'sing'",
        ),
        (
            "models: [{name: m, engine: fake, tasks: []}]",
            f"models[0].tasks: is empty; name at least one of {', '.join(Task)}",
        ),
        (
            "models: [{name: m m, engine: fake, tasks: [chat]}]",
            "models[0].name: letters, digits and . _ / - only, 128 at most",
        ),
        (
            "models: [{name: chat, engine: fake, tasks: [chat]}]",
            "models[0].name: 'chat' is the name of a task; choose another",
        ),
        (
            "models: [{name: m, engine: gpt, tasks: [chat], source: 'path:/m'}]",
            (f"models[0].engine: expected one of {', '.join(factory.NAMES)}, found 'gpt'"),
        ),
        (
            "models: [{name: m, engine: openvino, tasks: [chat]}]",
            "models[0].source: is missing; for example package:NAME==VERSION/path or path:/dir",
        ),
        (
            "models: [{name: m, engine: fake, tasks: [translate]}]",
            "models[0].pairs: is missing; a model that translates names its pairs, such as [en-pt]",
        ),
        (
            "models: [{name: m, engine: fake, tasks: [chat], pairs: [en-pt]}]",
            "models[0].pairs: only a model with the task translate has pairs",
        ),
        (
            (
                "models: [{name: m, engine: marian, tasks: [translate], "
                "source: 'firefox:en-pt', pairs: [en-pt, pt-BR-en]}]"
            ),
            "models[0].pairs[1]: firefox:en-pt translates the other way, en-pt",
        ),
        (
            model("adapters: [{name: x, source: 'path:/x'}]"),
            "models[0].adapters[0].name: the engine fake takes no adapters; those that do: vllm",
        ),
        (
            (
                "models: [{name: m, engine: vllm, tasks: [chat], source: 'path:/m', "
                "adapters: [{name: x, source: 'path:/x', tasks: [autocomplete]}]}]"
            ),
            "models[0].adapters[0].tasks: autocomplete is not among those of its base, m",
        ),
        (
            (
                "models: [{name: m, engine: vllm, tasks: [chat], source: 'path:/m', "
                "adapters: [{name: m, source: 'path:/x'}]}]"
            ),
            "models[0].adapters[0].name: 'm' is taken by an earlier model",
        ),
        (f"models: [{MODEL}, {MODEL}]", "models[1].name: 'm' is taken by an earlier model"),
        (
            model("queue: {concurrency: -1}"),
            "models[0].queue.concurrency: must be a number, 0 or more",
        ),
        (
            model("queue: {headroom: 1}"),
            "models[0].queue.headroom: expected a share from 0 to less than 1, found 1.0",
        ),
        (
            f"{GOOD}access: {{tenants: [{{name: acme, weight: 0}}]}}",
            "access.tenants[0].weight: must be a number greater than 0",
        ),
        (
            f'{GOOD}access: {{tenants: [{{name: "acme "}}]}}',
            "access.tenants[0].name: letters, digits and . _ - only, 64 at most, as of a key",
        ),
        (
            f"{GOOD}access: {{origins: [app.example.org]}}",
            (
                "access.origins[0]: expected one such as https://app.example.org, "
                "found 'app.example.org'"
            ),
        ),
        (
            f'{GOOD}access: {{hosts: ["a.example.org:80"]}}',
            (
                "access.hosts[0]: expected a name without port such as hexkey.example.org, "
                "found 'a.example.org:80'"
            ),
        ),
        (model("load_timeout_s: 0"), "models[0].load_timeout_s: must be a number greater than 0"),
        (model("options: 1"), "models[0].options: expected a mapping, found 1"),
        (model("sha256: {a: 1}"), "models[0].sha256.a: expected text, found 1; put it in quotes"),
    ],
)
def test_a_mistake_is_named_with_its_path(text: str, error: str) -> None:
    assert errors(text) == [error]


@pytest.mark.parametrize("pair", ["en", "en-", "EN-PT", "en-pt-br", "auto-pt", "en_pt", ""])
def test_a_bad_pair_is_named(pair: str) -> None:
    text = f"models: [{{name: m, engine: fake, tasks: [translate], pairs: [en-pt, '{pair}']}}]"
    (error,) = errors(text)
    assert error.startswith("models[0].pairs[1]: expected two language codes such as en-pt")


def test_a_bad_source_says_the_forms_there_are() -> None:
    (error,) = errors(model("source: 'http://x/y'"))
    assert error.startswith("models[0].source: ")
    assert "package:NAME==VERSION" in error


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: *m", "an alias is not taken here"),
        ("models: 2020-13-45", "month must be in 1..12"),
        (f"models: {'9' * 10_000}", "4300 digits"),
        ("models: !!bool maybe", "maybe"),
        ("models: !!timestamp maybe", ""),
        ("models: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("models: [", "expected the node content"),
        ("a: 1\n---\na: 1", "single document"),
        (b"models: \xe9", "unacceptable character"),
        (b"models: \x00", "unacceptable character"),
        (b"\xff\xfe\xff", "unacceptable character"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(text: str | bytes, says: str) -> None:
    (error,) = errors(text)
    assert error.startswith("its YAML cannot be read: ")
    assert says in error


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("models:\n\t- name: m", "line 2, column 1", "; indent with spaces"),
        ("models:\n  - name: m\n   engine: fake", "line 3, column 4", "as the lines around it?"),
        ("models: a: b", "line 1, column 10", "as the lines around it, or to be quoted?"),
        ("a: *m", "line 1, column 4", "an alias is not taken here; write the value out"),
        (b"a: \x00", "unacceptable character #x0000", "at position 3"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_place(text: str | bytes, place: str, hint: str) -> None:
    (error,) = errors(text)
    assert error.startswith(f"its YAML cannot be read: {place}: ")
    assert error.endswith(hint)
    assert "byte string" not in error


BOMBS = {
    "aliases": "a: &a [x, x]\n" + "".join(f"{c}: &{c} [{'*a,' * 9}]\n" for c in "bcdefgh"),
    "aliases in options": model("options: {a: &a [1, 1], b: &b [*a, *a], c: [*b, *b]}"),
    "merges": "a: &a {x: 1}\nb: &b {<<: [*a, *a]}\nc: {<<: [*b, *b]}",
    "a cycle": "models: &a [*a]",
    "depth": "models: " + "[" * 100_000,
    "balanced depth": "models: " + "[" * 3000 + "]" * 3000,
    "depth of mappings": "{a: " * 50_000,
    "a long number": f"{GOOD}limits: {{stop_grace_s: 1{'0' * 4000}}}",
    "a huge number": f"{GOOD}limits: {{lame_duck_s: 0x{'f' * 6000}}}",
    "a long value": f"{GOOD}cache_dir: [a]\nlog: {{level: {'x' * 100_000}, json: {'y' * 10_000}}}",
    "pairs in pairs": "models: [!!pairs [a: !!pairs [b: [1, 2, 3]]]]",
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_bomb_is_refused_soon_and_in_few_words(name: str) -> None:
    begun = time.process_time()
    found = errors(BOMBS[name])
    assert time.process_time() - begun < 10
    assert sum(map(len, found)) < 2000


def test_as_many_mistakes_as_a_file_may_hold_are_told_soon() -> None:
    keys = [f"k{number}" for number in range(50_000)]
    begun = time.process_time()
    found = errors(GOOD + "".join(f"{key}:\n" for key in keys))
    assert time.process_time() - begun < 10
    assert [line.partition(":")[0] for line in found] == keys


def test_a_large_file_is_not_even_parsed() -> None:
    assert errors(b"#" * (MAX_BYTES + 1)) == [f"it is larger than {MAX_BYTES} bytes"]


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_give_a_config_or_an_error(data: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_config(data)


KEYS = st.sampled_from(["models", "name", "tasks", "listen", "log", "http", "engine", "options"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab", max_size=3)
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=12
)


@given(DATA)
def test_any_data_gives_a_config_or_errors_with_paths(data: object) -> None:
    lines = ["models: it can be used"]
    try:
        parse_config(yaml.safe_dump(data).encode())
    except ConfigError as error:
        lines = error.errors
    assert lines
    assert all(": " in line for line in lines)


@pytest.mark.parametrize(
    ("address", "split"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),  # noqa: S104 - read, not bound
        ("localhost:65535", ("localhost", 65535)),
        ("my_box-1.example:1", ("my_box-1.example", 1)),
        ("[::1]:8080", ("::1", 8080)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
        *((bad, None) for bad in ("", ":", "a", "a:", ":80", "a:65536", "a:-1", "a:1x", "a: 1")),
        *((bad, None) for bad in ("a:\u0661", "::1:80", "[::1]", "[::1:80", "::1]:80", "[]:80")),
        *((bad, None) for bad in ("[[::1]]:80", "[a]:80", "a b:80", "a/b:80", "http://a:80")),
        (f"a:{'9' * 5000}", None),
        ("a:80\n", None),
    ],
)
def test_an_address_is_a_host_and_a_port(address: str, split: tuple[str, int] | None) -> None:
    assert split_address(address) == split


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_not(text: str) -> None:
    split = split_address(text)
    assert split is None or (split[0] and 0 <= split[1] <= 0xFFFF)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD)
    assert load(path).models[0].name == "m"


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_what_is_no_readable_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be used") as caught:
        load(tmp_path / name)
    assert caught.value.errors[0].startswith("it cannot be read: ")


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match="is larger than"):
        load(Path("/dev/zero"))
