"""What a configuration covers, and what of it nothing serves."""

from __future__ import annotations

from hexkey.config import parse_config
from hexkey.coverage import covered, idle, uncovered

MODELS = """
models:
  - {name: a, engine: fake, tasks: [translate, chat], pairs: [pt-en, en-pt]}
  - {name: b, engine: fake, tasks: [translate], pairs: [pt-en, en-de]}
  - {name: c, engine: fake, tasks: [chat]}
  - {name: many, engine: fake, tasks: [translate], languages: [fr, it], labels: {region: eu}}
"""


def lines(routing: str = "{}") -> tuple[list[str], list[str]]:
    config = parse_config(f"routing: {routing}\n{MODELS}".encode())
    return [one.strip() for one in covered(config)], uncovered(config)


def test_each_pair_is_at_the_model_that_gets_it_and_pivots_say_their_way() -> None:
    said, missing = lines()
    assert said == [
        "chat          a, then c",
        "translate     a (en-pt, pt-en)",
        "b (en-de)",
        "many (fr-it, it-fr)",
        "pt-de through pt-en by a, en-de by b",
    ]
    assert missing == [
        "no model does: autocomplete, embed, rerank, classify, transcribe, summarize"
    ]


def test_policies_are_told() -> None:
    said, _ = lines(
        "{pivot: false, policies: {chat: {policy: weighted, weights: {a: 9, c: 1}},"
        " translate: {policy: cheapest}}}"
    )
    assert said[0] == "chat          weighted (a 9, c 1): a, then c"
    assert said[1] == "translate     cheapest: a (en-pt, pt-en)"
    assert not any("through" in one for one in said)


def test_what_a_pin_leaves_unserved_is_told() -> None:
    said, missing = lines(
        "{policies: {translate: {policy: pinned, model: b}, chat: {policy: pinned, model: c}}}"
    )
    assert said[:2] == ["chat          pinned: c", "translate     pinned: b (en-de, pt-en)"]
    assert [one.partition(":")[0] for one in missing[1:]] == [
        "nothing serves en-pt of a",
        "nothing serves fr-it of many",
        "nothing serves it-fr of many",
    ]


def test_what_can_have_no_effect_without_a_price_is_told() -> None:
    text = f"""
access: {{tenants: [{{name: acme, budget_per_day: "5"}}, {{name: other, concurrent: 2}}]}}
routing: {{policies: {{chat: {{policy: cheapest}}, translate: {{policy: fastest}}}}}}
{MODELS}"""
    assert idle(parse_config(text.encode())) == [
        "the budget of acme never ends: give cost.price_per_hour or cost.owned",
        "chat by what is cheapest takes the first: give cost.price_per_hour or cost.owned",
    ]
    assert idle(parse_config(f'{text}cost: {{price_per_hour: "0.5"}}\n'.encode())) == []


def test_adapters_are_covered_as_models_and_may_be_pinned() -> None:
    text = """
routing: {policies: {translate: {policy: pinned, model: formal}}}
models:
  - name: base
    engine: vllm
    source: path:/base
    tasks: [chat, translate]
    pairs: [en-pt]
    adapters: [{name: pirate, source: "path:/x", tasks: [chat]}, {name: formal, source: "path:/y"}]
"""
    config = parse_config(text.encode())
    assert [one.strip() for one in covered(config)] == [
        "chat          base, then pirate, then formal",
        "translate     pinned: formal (en-pt)",
    ]
    assert len(uncovered(config)) == 1


def test_a_model_that_others_keep_from_being_loaded_is_told() -> None:
    text = """
routing: {policies: {chat: {policy: weighted, weights: {a: 9, b: 1}}}}
models:
  - {name: a, engine: fake, tasks: [chat]}
  - {name: b, engine: fake, tasks: [chat, summarize], load: on_request}
  - {name: c, engine: fake, tasks: [autocomplete], load: on_request}
"""
    said = idle(parse_config(text.encode()))
    assert len(said) == 1
    assert said[0].startswith("chat finds b only where a request names it")
    pinned = text.replace("{policy: weighted, weights: {a: 9, b: 1}}", "{policy: pinned, model: b}")
    assert idle(parse_config(pinned.encode())) == []
