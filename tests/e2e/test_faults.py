"""What goes wrong in operation, done to a running server: it says so, serves on and recovers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hexkey.v1 import inference_pb2 as pb
from hexkey.v1 import inference_pb2_grpc as pb_grpc
from tests.e2e.conftest import Served, serve
from tests.ports import spare
from tests.waiting import until
from tests.wire.grpc import frames

SLOW_AND_FAST = """
models:
  - {name: slow, engine: fake, tasks: [autocomplete], options: {load_ms: 1000, step_ms: 20}}
  - {name: fast, engine: fake, tasks: [autocomplete, translate], pairs: [en-pt]}
"""
Status = health_pb2.HealthCheckResponse


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "two.yaml"
    path.write_text(SLOW_AND_FAST)
    return path


@contextlib.contextmanager
def stub(served: Served) -> Iterator[pb_grpc.InferenceServiceStub]:
    with grpc.insecure_channel(served.grpc) as channel:
        yield pb_grpc.InferenceServiceStub(channel)  # type: ignore[no-untyped-call]


def state(served: Served, model: str) -> str:
    said: str = httpx.get(f"{served.http}/ready").json()["models"][model]
    return said


def ask(served: Served, model: str, tokens: int = 3, **more: object) -> httpx.Response:
    body = {"model": model, "prefix": "hello", "max_tokens": tokens, **more}
    return httpx.post(f"{served.http}/v1/autocomplete", json=body, timeout=60)


def typical_s(ask: Callable[[], httpx.Response], times: int = 50) -> float:
    """The median time of so many answers."""
    took = [ask().elapsed.total_seconds() for _ in range(times)]
    return statistics.median(took)


def inside(served: Served) -> float:
    """The requests that run or wait, by one scrape: one may begin to run between two."""
    series = ('hexkey_queue_requests{model="slow"', 'hexkey_requests_in_flight{model="slow"}')
    lines = httpx.get(f"{served.http}/metrics", timeout=30).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))


def test_a_host_that_hangs_is_told_by_both_wires_within_ten_seconds(config: Path) -> None:
    heard: list[int] = []

    def watch() -> None:
        with grpc.insecure_channel(served.grpc) as channel:
            call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            with contextlib.suppress(grpc.RpcError):
                heard.extend(update.status for update in call)

    with serve(config) as served:
        watching = threading.Thread(target=watch)
        watching.start()
        until(lambda: heard == [Status.SERVING], 10)
        host = served.host_of("slow")
        ready = f"{served.http}/ready"
        body = {"model": "slow", "prefix": "x", "max_tokens": 5000, "stream": True}
        with httpx.stream("POST", f"{served.http}/v1/autocomplete", json=body, timeout=60) as stuck:
            lines = stuck.iter_lines()
            assert any('"delta"' in line for line in lines)
            os.kill(host.pid, signal.SIGSTOP)
            # The rest goes on while nobody knows yet.
            assert ask(served, "fast").status_code == 200
            assert until(lambda: httpx.get(ready).status_code == 503, 20) < 10
            assert '"code":"unavailable"' in [line for line in lines if line][-1]
        until(lambda: httpx.get(ready).status_code == 200, 20)
        until(lambda: heard[1:] == [Status.NOT_SERVING, Status.SERVING], 10)
        assert ask(served, "slow").status_code == 200
        assert not host.is_running() or host.status() == psutil.STATUS_ZOMBIE
        served.process.send_signal(signal.SIGTERM)
        watching.join(10)


def test_a_model_that_crashes_over_and_over_disturbs_no_other(
    tmp_path: Path, firefox_en_pt: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(firefox_en_pt, folder)
    model = next(folder.glob("model.*.bin"))
    path = tmp_path / "c.yaml"
    path.write_text(
        f"""
models:
  - {{name: frail, engine: marian, source: 'path:{folder}', tasks: [translate], pairs: [en-pt]}}
  - {{name: fast, engine: fake, tasks: [autocomplete]}}
"""
    )
    with serve(path) as served:
        before_s = typical_s(lambda: ask(served, "fast"))
        aside = model.rename(tmp_path / "aside")
        os.kill(served.host_of("frail").pid, signal.SIGKILL)
        body = {"text": "Good morning.", "source": "en", "target": "pt"}
        url = f"{served.http}/v1/translate"
        loads = 'engine_restarts_total{model="frail",reason="load"}'
        until(lambda: served.metric(loads) >= 2, 60)
        begun = time.monotonic()
        refused = httpx.post(url, json=body, timeout=60)
        assert (refused.status_code, time.monotonic() - begun < 2) == (503, True)
        assert "'frail' does not serve now" in refused.json()["error"]["message"]
        assert typical_s(lambda: ask(served, "fast")) < 3 * before_s + 0.05
        aside.rename(model)
        until(lambda: state(served, "frail") == "ready", 30)
        assert httpx.post(url, json=body, timeout=60).status_code == 200


def test_answers_that_are_read_whole_outlive_the_process_of_their_model(config: Path) -> None:
    tokens, callers = 100, 8
    message = pb.AutocompleteRequest(model="slow", prefix="hello", max_tokens=tokens)

    def whole(number: int) -> int:
        if number % 2:
            return int(stubs.Autocomplete(message, timeout=60).usage.output_tokens)
        return int(ask(served, "slow", tokens).json()["usage"]["output_tokens"])

    def streamed() -> str:
        return ask(served, "slow", tokens, stream=True).text

    with serve(config) as served, stub(served) as stubs, ThreadPoolExecutor(callers + 1) as pool:
        answers = [pool.submit(whole, number) for number in range(callers)]
        stream = pool.submit(streamed)
        until(lambda: served.metric('requests_in_flight{model="slow"}') == callers + 1, 30)
        steps = served.metric('engine_step_seconds_count{model="slow"}')
        until(lambda: served.metric('engine_step_seconds_count{model="slow"}') > steps + 2, 30)
        os.kill(served.host_of("slow").pid, signal.SIGKILL)
        assert [answer.result() for answer in answers] == [tokens] * callers
        assert '"code":"unavailable"' in stream.result(), "which was seen"
        written = 'tokens_total{direction="output",model="slow",task="autocomplete"}'
        assert served.metric(written) > tokens * callers + callers, "they had begun"
        outcomes = {one: requests(served, one) for one in ("ok", "error")}
        assert outcomes == {"ok": callers, "error": 1}


def requests(served: Served, outcome: str) -> float:
    """How many requests ended so, over both wires."""
    series = 'requests_total{model="slow",outcome="%s",protocol="%s",task="autocomplete"}'
    return sum(served.metric(series % (outcome, protocol)) for protocol in ("http", "grpc"))


def test_a_term_signal_under_load_of_both_wires_loses_nothing(config: Path) -> None:
    tokens, canary = 150, "zx-canary-payload-zx"
    body = {"model": "slow", "prefix": canary, "max_tokens": tokens}
    message = pb.AutocompleteRequest(model="slow", prefix=canary, max_tokens=tokens)

    def over_http(number: int) -> bool:
        stream = number % 2 == 0
        answer = client.post("/v1/autocomplete", json={**body, "stream": stream})
        return "w149" in answer.text and ("[DONE]" in answer.text) == stream

    def over_grpc(number: int) -> bool:
        if number % 2:
            usage = stubs.Autocomplete(message, timeout=60).usage
        else:
            *_, last = stubs.StreamAutocomplete(message, timeout=60)
            usage = last.usage
        return bool(usage.output_tokens == tokens)

    config.write_text(SLOW_AND_FAST.replace("{name: slow,", "{name: slow, stall_timeout_s: 60,"))
    with (
        serve(config) as served,
        stub(served) as stubs,
        httpx.Client(base_url=served.http, timeout=60, limits=httpx.Limits()) as client,
        ThreadPoolExecutor(100) as pool,
    ):
        host = served.host_of("slow")
        os.kill(host.pid, signal.SIGSTOP)  # so that nobody is through before the last has come
        try:
            answers = [pool.submit(ask, one) for ask in (over_http, over_grpc) for one in range(50)]
            until(lambda: inside(served) == 100, 30)  # some of them in the queue
            served.process.send_signal(signal.SIGTERM)
        finally:
            os.kill(host.pid, signal.SIGCONT)
        assert [answer.result() for answer in answers] == [True] * 100
        assert served.process.wait(10) == 0, "it waited longer than its last answer"
    outcomes = [json.loads(line).get("outcome") for line in served.log]
    assert outcomes.count("ok") == len([one for one in outcomes if one]) == 100
    assert canary not in "".join(served.log)


def test_after_a_kill_the_same_addresses_serve_again(config: Path) -> None:
    http, grpc_address = (f"127.0.0.1:{spare()}" for _ in range(2))
    with (
        serve(config, http=http, grpc=grpc_address) as served,
        ThreadPoolExecutor(4) as pool,
    ):
        lost = [pool.submit(ask, served, "slow", 5000) for _ in range(4)]
        until(lambda: served.metric('requests_in_flight{model="slow"}') == 4, 10)
        os.kill(served.process.pid, signal.SIGKILL)
        assert all(one.exception() for one in lost)
    with serve(config, http=http, grpc=grpc_address) as again, stub(again) as stubs:
        assert (again.http, again.grpc) == (served.http, served.grpc)
        assert ask(again, "fast").status_code == 200
        assert stubs.Autocomplete(pb.AutocompleteRequest(prefix="a", model="fast", max_tokens=1)).id


def test_a_log_that_nobody_reads_stops_no_request(config: Path) -> None:
    with serve(config, read_log=False) as served, httpx.Client(base_url=served.http) as client:
        body = {"model": "fast", "prefix": "x", "max_tokens": 1}
        for _ in range(600):  # 300 bytes each: the pipe holds 64 KiB
            assert client.post("/v1/autocomplete", json=body, timeout=5).status_code == 200
        assert "\nhexkey_log_lines_dropped 0.0" in client.get("/metrics").text
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(10) == 0


def test_an_engine_that_prints_what_nobody_reads_serves_on(config: Path) -> None:
    with serve(config, read_log=False) as served:
        pid = served.host_of("fast").pid
        for _ in range(3):  # 190 kB each
            assert ask(served, "fast", 3, prefix="[[shout]]").status_code == 200
        until(lambda: served.metric("log_lines_dropped") > 0, 10)
        assert served.host_of("fast").pid == pid
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(10) == 0


def test_what_engines_and_clients_make_libraries_print_is_no_line_of_ours(config: Path) -> None:
    forged = b'\n{"event":"request","model":"forged"}\n\x1b[31m'
    with serve(config) as served:
        host, _, port = served.grpc.partition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(frames.HELLO + frames.goaway(forged))
            client.shutdown(socket.SHUT_WR)
            client.settimeout(10)
            while client.recv(4096):
                pass
        with socket.create_connection((host, int(port))) as client:
            client.sendall(forged)
            client.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                while client.recv(4096):
                    pass
        assert ask(served, "fast", 3, prefix="[[shout]]").status_code == 200
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(10) == 0
    lines = [json.loads(line) for line in served.log]
    assert "forged" not in "".join(served.log)
    printed = [line for line in lines if line["event"] == "engine prints"]
    assert {(line["model"], line["text"]) for line in printed} == {
        ("fast", "more than is read \ufffd")
    }


def test_a_server_out_of_file_descriptors_refuses_and_recovers(config: Path) -> None:
    # For longer than the 5 s that httpx keeps one: a new connection finds no descriptor.
    lasting = httpx.Limits(keepalive_expiry=None)
    with serve(config) as served, httpx.Client(base_url=served.http, limits=lasting) as kept:
        assert kept.get("/health").status_code == 200
        server = psutil.Process(served.process.pid)
        server.rlimit(psutil.RLIMIT_NOFILE, (server.num_fds() + 40,) * 2)
        port = int(served.http.rpartition(":")[2])
        crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(80)]
        try:
            time.sleep(0.5)
            used = sum(server.cpu_times()[:2])
            time.sleep(1)
            assert sum(server.cpu_times()[:2]) - used < 0.7, "it spins"
            assert kept.post(
                "/v1/autocomplete", json={"model": "fast", "prefix": "x", "max_tokens": 1}
            ).is_success
        finally:
            for one in crowd:
                one.close()
        until(lambda: _answers(served), 5)


def _answers(served: Served) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{served.http}/health", timeout=1).status_code == 200
    return False


def test_large_inputs_hold_nobody_up(config: Path) -> None:
    text = "Ünïcödé words, as many as are taken. " * 10_000
    message = pb.TranslateRequest(text=[text], source="en", target="pt")
    sent: list[str] = []
    ended = threading.Event()

    def send(stubs: pb_grpc.InferenceServiceStub) -> None:
        body = {"text": text, "source": "en", "target": "pt"}
        while not ended.is_set():
            # The whole front end has seen it when the engine says that it is too long.
            refused = httpx.post(f"{served.http}/v1/translate", json=body, timeout=60)
            assert "8192" in refused.json()["error"]["message"]
            with pytest.raises(grpc.RpcError, match="8192"):
                stubs.Translate(message, timeout=60)
            sent.append(text)

    with (
        serve(config) as served,
        stub(served) as stubs,
        httpx.Client(base_url=served.http, timeout=30) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        before_s = typical_s(lambda: client.get("/health"), 100)
        senders = [pool.submit(send, stubs) for _ in range(2)]
        took: list[float] = []
        while len(sent) < 6 and not any(sender.done() for sender in senders):
            took.append(client.get("/health").elapsed.total_seconds())
        ended.set()
        for sender in senders:
            sender.result()
    assert statistics.median(took) < 3 * before_s + 0.05


def test_clients_that_do_not_read_cost_little_and_slow_nobody(config: Path) -> None:
    tokens = 8000
    body = json.dumps({"model": "fast", "prefix": "x", "max_tokens": tokens, "stream": True})
    asked = (
        f"POST /v1/autocomplete HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    message = pb.AutocompleteRequest(model="fast", prefix="x", max_tokens=tokens)
    call = frames.HELLO + frames.call_of("StreamAutocomplete", message.SerializeToString())
    with serve(config) as served, contextlib.ExitStack() as crowd:
        before_s = typical_s(lambda: ask(served, "fast"))
        server = psutil.Process(served.process.pid)
        held = server.memory_info().rss
        for address, words in ((served.http[7:], asked.encode()), (served.grpc, call)):
            host, _, port = address.partition(":")
            for _ in range(50):
                client = crowd.enter_context(socket.socket())
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect((host, int(port)))
                client.sendall(words)
        # gRPC takes a whole answer; HTTP's clients are waited for with what they have not read.
        until(lambda: sum('"protocol":"grpc"' in line for line in served.log) == 50, 60)
        until(lambda: served.metric('engine_running{model="fast"}') == 0, 60)
        assert server.memory_info().rss - held < 32 << 20
        assert typical_s(lambda: ask(served, "fast")) < 3 * before_s + 0.05
