"""Keys, quotas and administration of a real server, over both wires and from the command line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import openai
import pytest
from grpc_status import rpc_status

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from hexkey.v1 import open_inference_pb2
from hexkey.wire.http.access import Access
from hexkey.wire.http.operation import Operation
from hexkey.wire.http.table import OPERATIONS
from tests.e2e.conftest import ROOT, Clock, Served, serve
from tests.waiting import until
from tests.wire.grpc.grpc_house import details_of

CONFIG = """
cost: {price_per_hour: "3.6"}
access:
  keys: "on"
  tenants:
    - {name: few, requests_per_minute: 2}
    - {name: poor, budget_per_day: "0.000000001"}
models:
  - {name: text, engine: fake, tasks: [autocomplete, chat]}
  - {name: other, engine: fake, tasks: [chat, translate], pairs: [en-pt]}
"""
BODY = {"prefix": "x", "max_tokens": 2}
OPEN = {"ServerLive", "ServerReady", "ServerMetadata"}


def hexkey(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hexkey.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )


def key(tenant: str, *scopes: str) -> str:
    done = hexkey("keys", "create", tenant, *(f"--scope={scope}" for scope in scopes))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("keys")
    path = folder / "keys.yaml"
    path.write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEXKEY_STATE", str(folder / "state"))
        yield path


@pytest.fixture(scope="module")
def keys(config: Path) -> dict[str, str]:
    assert config.exists()
    return {
        "any": key("acme"),
        "narrow": key("acme", "task:chat", "model:text"),
        "metrics": key("ops", "metrics"),
        "admin": key("ops", "admin"),
        "few": key("few"),
        "poor": key("poor"),
    }


@pytest.fixture(scope="module")
def locked(config: Path, keys: dict[str, str]) -> Iterator[Served]:
    assert keys
    with serve(config) as served:
        assert served.http, "".join(served.out + served.log)
        yield served


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def post(served: Served, path: str, body: object, key: str = "") -> httpx.Response:
    headers = bearer(key) if key else {}
    return httpx.post(f"{served.http}{path}", json=body, headers=headers, timeout=30)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_every_operation_asks_for_what_the_table_says(
    locked: Served, keys: dict[str, str], operation: Operation
) -> None:
    method, path = operation.method, operation.path.replace("{id}", "text")
    access = operation.access

    def status(key: str) -> int:
        headers = bearer(key) if key else {}
        content = b"{}" if method == "POST" else None
        return httpx.request(
            method, f"{locked.http}{path}", content=content, headers=headers, timeout=30
        ).status_code

    wrong = keys["any"][:-4] + "AAAA"
    if access is Access.OPEN:
        assert status("") not in {401, 403}
        return
    assert status("") in {401, 403}
    assert status(wrong) in {401, 403}
    if access is Access.ADMIN:
        assert status(keys["any"]) == status(keys["metrics"]) == 403
    if access is Access.METRICS:
        assert status(keys["narrow"]) == 403
        assert status(keys["metrics"]) == 200
    if access is Access.CALLER:
        assert status(keys["any"]) not in {401, 403}


def test_every_rpc_needs_a_key(locked: Served, keys: dict[str, str]) -> None:
    own = pb.DESCRIPTOR.services_by_name["InferenceService"]
    protocol = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert {one.name for one in protocol.methods} > OPEN
    named = [(own.full_name, one.name) for one in own.methods]
    # Its file is in a package of ours, since nobody else's may be; its name on the wire is theirs.
    named += [("inference.GRPCInferenceService", one.name) for one in protocol.methods]
    with grpc.insecure_channel(locked.grpc) as channel:
        for service, method in named:
            if method in OPEN:
                assert channel.unary_unary(f"/{service}/{method}", None, None)(b"") is not None
                continue
            call = channel.unary_stream(f"/{service}/{method}", None, None)
            for metadata in ((), (("authorization", "Bearer hk_aaaaaaaa_" + "x" * 43),)):
                with pytest.raises(grpc.RpcError) as caught:
                    list(call(b"", metadata=metadata, timeout=10))
                assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED, method
        stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        ask = pb.AutocompleteRequest(prefix="x", max_tokens=2)
        for name in ("authorization", "x-api-key"):
            value = keys["any"] if name == "x-api-key" else f"Bearer {keys['any']}"
            assert stub.Autocomplete(ask, metadata=((name, value),)).choices
        with pytest.raises(grpc.RpcError) as caught:
            stub.Autocomplete(ask, metadata=(("x-api-key", keys["narrow"]),))
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_key_opens_its_tasks_and_models_only(locked: Served, keys: dict[str, str]) -> None:
    messages = [{"role": "user", "content": "x"}]
    narrow = openai.OpenAI(base_url=f"{locked.http}/v1", api_key=keys["narrow"], max_retries=0)
    assert narrow.chat.completions.create(model="auto", messages=messages).model == "text"  # type: ignore[arg-type]
    with pytest.raises(openai.PermissionDeniedError):
        narrow.chat.completions.create(model="other", messages=messages)  # type: ignore[arg-type]
    with pytest.raises(openai.PermissionDeniedError):
        narrow.completions.create(model="auto", prompt="x")
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{locked.http}/v1", api_key="sk-x", max_retries=0).models.list()


def test_quotas_and_budgets_are_kept(locked: Served, keys: dict[str, str]) -> None:
    statuses = [post(locked, "/v1/autocomplete", BODY, keys["few"]).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = post(locked, "/v1/autocomplete", BODY, keys["few"])
    assert refused.json()["error"]["code"] == "requests_exhausted"
    assert 0 < int(refused.headers["retry-after"]) <= 30
    with grpc.insecure_channel(locked.grpc) as channel:
        stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        metadata = (("x-api-key", keys["few"]),)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Autocomplete(pb.AutocompleteRequest(prefix="x"), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    told = details_of(rpc_status.from_call(caught.value))  # type: ignore[arg-type]  # a Call, too
    assert told["ErrorInfo"].reason == "REQUESTS_EXHAUSTED"
    assert 0 < told["RetryInfo"].retry_delay.seconds <= 30
    assert post(locked, "/v1/autocomplete", BODY, keys["poor"]).status_code == 200
    broke = post(locked, "/v1/autocomplete", BODY, keys["poor"])
    assert broke.status_code == 429
    assert broke.json()["error"]["code"] == "budget_exhausted"
    assert post(locked, "/v1/autocomplete", BODY, keys["any"]).status_code == 200


def test_who_is_not_let_in_is_counted(locked: Served, keys: dict[str, str]) -> None:
    def counted(reason: str) -> float:
        text = httpx.get(f"{locked.http}/metrics", headers=bearer(keys["metrics"])).text
        found = re.search(
            rf'^hexkey_rejected_total{{reason="{reason}",task="_none"}} (.+)$', text, re.MULTILINE
        )
        return float(found[1]) if found else 0.0

    before = counted("api_key_invalid"), counted("admin_only")
    assert post(locked, "/v1/autocomplete", BODY).status_code == 401
    assert post(locked, "/v1/admin/load", {"model": "text"}, keys["any"]).status_code == 403
    with grpc.insecure_channel(locked.grpc) as channel:
        stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError):
            stub.ListModels(pb.ListModelsRequest())
    assert (counted("api_key_invalid"), counted("admin_only")) == (before[0] + 2, before[1] + 1)


def test_no_key_is_ever_logged(locked: Served, keys: dict[str, str]) -> None:
    headers = bearer(keys["any"]) | {"x-request-id": "the-last-one"}
    url = f"{locked.http}/v1/autocomplete"
    assert httpx.post(url, json=BODY, headers=headers, timeout=30).status_code == 200
    until(lambda: any("the-last-one" in line for line in locked.log), what="the log of all before")
    told = "".join(locked.log + locked.out)
    assert '"tenant":"acme"' in told.replace(" ", "")
    for one in keys.values():
        assert one not in told
        assert one[12:] not in told


def test_the_operator_administers_from_the_command_line(locked: Served) -> None:
    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        return hexkey(*arguments, "--server", locked.http)

    assert "text" in ask("models").stdout
    assert ask("unload", "text").returncode == 0
    assert "stopped" in ask("models").stdout
    assert ask("load", "text").returncode == 0
    missing = ask("load", "nothing")
    assert missing.returncode == 1
    assert "there is: text, other" in missing.stderr
    refused = hexkey("load", "text", "--server", locked.http, "--key", "none")
    assert refused.returncode == 1
    assert "key" in refused.stderr


def test_a_reload_under_load_fails_no_request_and_a_bad_one_changes_nothing(
    locked: Served, keys: dict[str, str], config: Path
) -> None:
    answers: list[int] = []
    stop = threading.Event()

    def client() -> None:
        with httpx.Client(headers=bearer(keys["any"]), timeout=30) as session:
            while not stop.is_set():
                answers.append(
                    session.post(f"{locked.http}/v1/autocomplete", json=BODY).status_code
                )

    clients = [threading.Thread(target=client) for _ in range(4)]
    for one in clients:
        one.start()
    try:
        config.write_text(CONFIG.replace("{name: text, engine: fake", "{name: text, engine: fak"))
        bad = hexkey("reload", "--server", locked.http)
        assert bad.returncode == 1
        assert "models[0].engine: expected one of" in bad.stderr
        changed = CONFIG.replace(
            "tasks: [autocomplete, chat]}", "tasks: [autocomplete, chat], options: {step_ms: 1}}"
        )
        config.write_text(changed + "  - {name: third, engine: fake, tasks: [chat]}\n")
        good = hexkey("reload", "--server", locked.http)
        assert good.returncode == 0, good.stderr
        assert "text, other, third" in good.stdout
        config.write_text(changed)
        locked.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while "third" in hexkey("models", "--server", locked.http).stdout:
            assert time.monotonic() < deadline
    finally:
        stop.set()
        for one in clients:
            one.join()
        config.write_text(CONFIG)
    assert len(answers) > 20
    assert set(answers) == {200}
    metrics = httpx.get(f"{locked.http}/metrics", headers=bearer(keys["metrics"])).text
    assert 'hexkey_config_reloads_total{result="refused"} 1.0' in metrics
    assert "hexkey_config_generation 3.0" in metrics


def test_a_public_address_is_refused_without_keys(tmp_path: Path) -> None:
    path = tmp_path / "open.yaml"
    # Nor is a model looked for first, which may take minutes.
    path.write_text("models: [{name: m, engine: openvino, source: 'path:/none', tasks: [chat]}]")
    environment = {**os.environ, "HEXKEY_STATE": str(tmp_path / "state")}
    done = subprocess.run(
        [sys.executable, "-m", "hexkey.cli", "serve", str(path), "--http", "0.0.0.0:0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert done.returncode == 1
    assert "hexkey keys create" in done.stderr
    assert "--keys off" in done.stderr


def test_a_budget_is_still_spent_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    clock(0)  # else a day may end in between
    path = tmp_path / "budget.yaml"
    path.write_text(CONFIG + f"usage: {{folder: {tmp_path / 'usage'}}}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEXKEY_STATE", str(tmp_path / "state"))
        poor, other = key("poor"), key("acme")
        with serve(path) as first:
            assert post(first, "/v1/autocomplete", BODY, poor).status_code == 200
            first.process.send_signal(signal.SIGTERM)
            assert first.process.wait(30) == 0
        with serve(path) as second:
            assert post(second, "/v1/autocomplete", BODY, other).status_code == 200
            broke = post(second, "/v1/autocomplete", BODY, poor)
            assert broke.json()["error"]["code"] == "budget_exhausted"
