"""The order of a stop: not ready, then no new requests, then an end to what outlasts the grace."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from tests.e2e.conftest import serve
from tests.ports import spare
from tests.waiting import until
from tests.wire.grpc import frames

LAME_S, GRACE_S, LONG = 8.0, 1.0, 5000
CONFIG = f"""
models:
  - {{name: slow, engine: fake, tasks: [autocomplete], options: {{step_ms: 20}}}}
limits: {{lame_duck_s: {LAME_S}, stop_grace_s: {GRACE_S}}}
"""
Status = health_pb2.HealthCheckResponse


def test_it_is_not_ready_then_closed_then_over(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    body = {"prefix": "x", "max_tokens": LONG}
    heard: list[int] = []
    with (
        serve(path) as served,
        grpc.insecure_channel(served.grpc) as channel,
        ThreadPoolExecutor(3) as pool,
        socket.create_connection(served.grpc.split(":")) as raw,  # type: ignore[arg-type]
    ):
        raw.sendall(frames.HELLO)

        def watch() -> None:
            call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            with contextlib.suppress(grpc.RpcError):
                heard.extend(update.status for update in call)

        def outlast() -> grpc.StatusCode:
            message = pb.AutocompleteRequest(prefix="x", max_tokens=LONG)
            stub = pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            try:
                for _ in stub.StreamAutocomplete(message):
                    pass
            except grpc.RpcError as error:
                code: grpc.StatusCode = error.code()
                return code
            return grpc.StatusCode.OK

        watching = threading.Thread(target=watch)
        watching.start()
        url = f"{served.http}/v1/autocomplete"
        streamed = pool.submit(httpx.post, url, json={**body, "stream": True}, timeout=60)
        whole = pool.submit(httpx.post, url, json=body, timeout=60)
        called = pool.submit(outlast)
        until(lambda: served.metric('requests_in_flight{model="slow"}') == 3)
        until(lambda: heard == [Status.SERVING], 10)
        served.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        # Not ready, and said so: what a balancer has sent by then is served.
        until(lambda: httpx.get(f"{served.http}/ready").status_code == 503, 10)
        assert httpx.post(url, json={**body, "max_tokens": 2}, timeout=10).status_code == 200
        assert time.monotonic() - begun < LAME_S, "too slow a machine to tell"
        until(lambda: heard == [Status.SERVING, Status.NOT_SERVING], 10)
        assert frames.GOAWAY in frames.kinds(raw)
        assert served.process.wait(30) == 0
        took_s = time.monotonic() - begun
        assert LAME_S + GRACE_S < took_s < LAME_S + GRACE_S + 30, "half a second on a quiet machine"
        assert '"code":"stopping"' in streamed.result().text.rstrip().rpartition("data: ")[2]
        assert whole.result().status_code == 503
        assert called.result() is grpc.StatusCode.UNAVAILABLE
        watching.join(10)


def test_nobody_has_to_hear_of_a_stop_before_it_was_ready(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    loading = CONFIG.replace("step_ms: 20", "step_ms: 20, load_ms: 600000")
    path.write_text(loading.replace(f"lame_duck_s: {LAME_S}", "lame_duck_s: 600"))
    http = f"127.0.0.1:{spare()}"
    command = [sys.executable, "-m", "hexkey.cli", "serve", str(path), "--http", http]
    with subprocess.Popen([*command, "--grpc", "127.0.0.1:0"]) as process:
        try:
            until(lambda: answers(f"http://{http}/health"), 30)
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        finally:
            process.kill()


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url).is_success
    return False
