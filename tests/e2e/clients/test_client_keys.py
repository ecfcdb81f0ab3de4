"""Each client gives its key in its own way, and knows by its own error that one is missing.

Only the keys are of interest here, so the models are fake.
"""

from __future__ import annotations

import urllib.error
from collections.abc import Callable, Iterator

import anthropic
import deepl
import ollama
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from libretranslatepy import LibreTranslateAPI
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from tests.e2e.conftest import Served, serve
from tests.e2e.test_keys import key

CONFIG = """
cost: {price_per_hour: "3.6"}
access:
  keys: "on"
  tenants: [{name: poor, budget_per_day: "0.000000001"}]
models:
  - {name: text, engine: fake, tasks: [autocomplete, chat]}
  - {name: words, engine: fake, tasks: [translate], pairs: [en-pt]}
"""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str, str]]:
    """A server that asks for keys, a good key, and one whose budget is soon spent."""
    folder = tmp_path_factory.mktemp("client-keys")
    config = folder / "keys.yaml"
    config.write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEXKEY_STATE", str(folder / "state"))
        good, poor = key("acme"), key("poor")
        with serve(config) as served:
            assert served.http, "".join(served.out + served.log)
            yield served, good, poor


def ask_deepl(url: str, key: str) -> object:
    return deepl.DeepLClient(key, server_url=url).translate_text("a", target_lang="PT-BR")


def ask_libretranslate(url: str, key: str) -> object:
    return LibreTranslateAPI(url, api_key=key).translate("a", "en", "pt")


def ask_anthropic(url: str, key: str) -> object:
    client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
    return client.messages.create(
        model="chat", max_tokens=1, messages=[{"role": "user", "content": "a"}]
    )


def ask_mistral(url: str, key: str) -> object:
    with Mistral(api_key=key, server_url=url) as client:
        return client.fim.complete(model="auto", prompt="a", max_tokens=1)


def ask_ollama(url: str, key: str) -> object:
    client = ollama.Client(host=url, headers={"authorization": f"Bearer {key}"})
    return client.generate("text", "a", options={"num_predict": 1})


def ask_huggingface(url: str, key: str) -> object:
    client = InferenceClient(provider="hf-inference", api_key=key)
    return client.translation("a", model=f"{url}/models/words")


CLIENTS: list[tuple[Callable[[str, str], object], type[Exception]]] = [
    (ask_deepl, deepl.AuthorizationException),
    (ask_libretranslate, urllib.error.HTTPError),
    (ask_anthropic, anthropic.AuthenticationError),
    (ask_mistral, SDKError),
    (ask_ollama, ollama.ResponseError),
    (ask_huggingface, HfHubHTTPError),
]


@pytest.mark.parametrize(("ask", "refusal"), CLIENTS)
def test_a_key_opens_and_a_wrong_one_is_told(
    locked: tuple[Served, str, str],
    ask: Callable[[str, str], object],
    refusal: type[Exception],
) -> None:
    served, good, _ = locked
    assert ask(served.http, good)
    with pytest.raises(refusal) as refused:
        ask(served.http, good[:-4] + "AAAA")
    if isinstance(refused.value, urllib.error.HTTPError):
        assert refused.value.code == 401


def test_deepls_usage_is_the_callers_own(locked: tuple[Served, str, str]) -> None:
    served, good, poor = locked
    mine = deepl.DeepLClient(good, server_url=served.http)
    others = deepl.DeepLClient(poor, server_url=served.http)

    def counts() -> list[int | None]:
        return [one.get_usage().character.count for one in (mine, others)]

    before, theirs = counts()
    assert before is not None
    mine.translate_text("four", source_lang="EN", target_lang="PT-BR")
    assert counts() == [before + 4, theirs]


def test_deepl_knows_a_spent_budget(locked: tuple[Served, str, str]) -> None:
    served, _, poor = locked
    ask_deepl(served.http, poor)
    with pytest.raises(deepl.QuotaExceededException):
        ask_deepl(served.http, poor)
