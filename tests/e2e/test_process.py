"""The life of the process: signals, ports, broken models, broken configurations."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.conftest import ROOT, Served, serve
from tests.waiting import until

FAKE = """
models:
  - {name: slow, engine: fake, tasks: [autocomplete, chat, translate], pairs: [en-pt],
     options: {step_ms: 20}}
"""


@pytest.fixture
def fake_config(tmp_path: Path) -> Path:
    path = tmp_path / "fake.yaml"
    path.write_text(FAKE)
    return path


def run(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hexkey.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        check=False,
    )


def ready(served: Served) -> bool:
    try:
        return httpx.get(f"{served.http}/ready").is_success
    except httpx.HTTPError:
        return False


def replaced(served: Served, host: psutil.Process) -> bool:
    """Whether another process runs the model ``m``."""
    with contextlib.suppress(AssertionError):
        return bool(served.host_of("m") != host)
    return False


def ask(served: Served, tokens: int) -> httpx.Response:
    body = {"prefix": "hello", "max_tokens": tokens}
    return httpx.post(f"{served.http}/v1/autocomplete", json=body, timeout=30)


def test_a_second_term_signal_ends_at_once(fake_config: Path) -> None:
    with serve(fake_config) as served, ThreadPoolExecutor(1) as pool:
        lost = pool.submit(ask, served, 5000)
        until(lambda: served.metric('requests_in_flight{model="slow"}') == 1)
        children = served.children()
        served.process.send_signal(signal.SIGTERM)
        until(lambda: not ready(served), what="the stop")
        assert served.process.poll() is None
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(10)
        assert lost.exception() is not None
        psutil.wait_procs(children, timeout=10)
        assert not any(child.is_running() for child in children)


def test_a_model_is_loaded_anew_though_nobody_sees_how_that_goes(
    tmp_path: Path, firefox_en_pt: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        f"models: [{{name: m, engine: marian, source: 'path:{firefox_en_pt}', tasks: [translate], "
        "pairs: [en-pt]}]"
    )
    command = [sys.executable, "-m", "hexkey.cli", "serve", str(config)]
    with subprocess.Popen(
        [*command, "--http", "127.0.0.1:0", "--grpc", ""],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = "".join(iter(process.stdout.readline, "Try:\n"))
        process.stdout.close()
        served = Served(process, http=re.findall(r"http://[\d.:]+", said)[0])
        try:
            host = served.host_of("m")
            host.kill()
            # That nothing is ready meanwhile may be over before anybody has asked.
            until(lambda: replaced(served, host), what="another host")
            until(lambda: ready(served), what="the restart")
        finally:
            process.terminate()
    assert process.returncode == 0


def test_it_listens_where_it_says_and_nowhere_else(quickstart: Served) -> None:
    processes = [psutil.Process(quickstart.process.pid), *quickstart.children()]
    assert len(processes) > 3
    listening = {
        f"{one.laddr.ip.removeprefix('::ffff:')}:{one.laddr.port}"
        for process in processes
        for one in process.net_connections("inet")
        if one.status == psutil.CONN_LISTEN or not one.raddr
    }
    assert listening == {quickstart.http.removeprefix("http://"), quickstart.grpc}


def test_a_term_signal_while_models_are_fetched_ends_at_once(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        f"cache_dir: {tmp_path}/cache\n"
        "models: [{name: m, engine: marian, source: 'firefox:en-pt', tasks: [translate], "
        "pairs: [en-pt]}]"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an index that never answers
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        process = subprocess.Popen(
            [sys.executable, "-m", "hexkey.cli", "serve", str(config), "--http", "127.0.0.1:0"],
            env={**os.environ, "PIP_INDEX_URL": index},
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        with process, silent.accept()[0]:
            children = psutil.Process(process.pid).children(recursive=True)
            assert children
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 128 + signal.SIGTERM
            _, alive = psutil.wait_procs(children, timeout=20)
            assert not alive


def test_killing_the_server_leaves_no_process_behind(fake_config: Path) -> None:
    with serve(fake_config) as served:
        children = served.children()
        assert children
        os.kill(served.process.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


WATCHED = """
import resource, sys
from hexkey import cli
status = cli.main(sys.argv[1:])
print("memory of children:", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


@pytest.mark.parametrize("wire", ["--http", "--grpc"])
def test_a_port_in_use_is_said_before_anything_is_started(fake_config: Path, wire: str) -> None:
    """The one that has it is ready to share it, as gRPC's servers are by default."""
    other = "--grpc" if wire == "--http" else "--http"
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [
                *(sys.executable, "-c", WATCHED, "serve", str(fake_config)),
                *(wire, address, other, "127.0.0.1:0"),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert f"in use by process {os.getpid()} (" in ended.stderr
    assert ended.stderr.rstrip().endswith(f"stop it or choose another: {address}")
    assert ended.stdout == "memory of children: 0\n", "a host was started"
    assert "Traceback" not in ended.stdout + ended.stderr


def test_two_servers_never_share_a_port(fake_config: Path) -> None:
    with serve(fake_config) as served:
        http = served.http.removeprefix("http://")
        for wire, address in (("--http", http), ("--grpc", served.grpc)):
            other = "--grpc" if wire == "--http" else "--http"
            ended = run("serve", str(fake_config), wire, address, other, "127.0.0.1:0")
            assert ended.returncode == 1
            assert f"in use by process {served.process.pid} (" in ended.stderr
        assert ready(served)


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("models: [{name: m, engin: fake, tasks: [chat]}]", 2, "models[0].engin: unknown key"),
        ("models: []", 2, "models: is empty"),
        (
            "models: [{name: m, engine: openvino, source: 'path:/nowhere/m.gguf', tasks: [chat]}]",
            1,
            "/nowhere/m.gguf does not exist",
        ),
        (
            "models: [{name: m, engine: fake, tasks: [chat], options: {load_error: no luck}}]",
            1,
            "model 'm' cannot load: no luck",
        ),
    ],
)
def test_what_cannot_be_served_is_said_with_its_place(
    tmp_path: Path, text: str, status: int, said: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    ended = run("serve", str(path), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    assert ended.returncode == status
    assert said in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_corrupt_model_is_refused_by_its_hash(tmp_path: Path, firefox_en_pt: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(firefox_en_pt, folder)
    model = next(folder.glob("model.*.bin"))
    good = hashlib.sha256(model.read_bytes()).hexdigest()
    with model.open("r+b") as file:
        file.seek(5_000_000)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    config = tmp_path / "c.yaml"
    config.write_text(
        f"models: [{{name: m, engine: marian, source: 'path:{folder}', tasks: [translate], "
        f"pairs: [en-pt], sha256: {{{model.name}: '{good}'}}}}]"
    )
    ended = run("serve", str(config), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    assert ended.returncode == 1
    assert model.name in ended.stderr
    assert "SHA-256" in ended.stderr


def test_a_truncated_model_fails_with_its_reason(tmp_path: Path, firefox_en_pt: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(firefox_en_pt, folder)
    model = next(folder.glob("model.*.bin"))
    os.truncate(model, 1_000_000)
    config = tmp_path / "c.yaml"
    config.write_text(
        f"models: [{{name: m, engine: marian, source: 'path:{folder}', tasks: [translate], "
        "pairs: [en-pt]}]"
    )
    ended = run("serve", str(config), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    assert ended.returncode == 1
    assert model.name in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


HURRY = """
import subprocess, time
from hexkey import app
download = subprocess.Popen(["sleep", "60"])
host = subprocess.Popen(["sleep", "60"], process_group=0)
app._end_downloads()
ended = download.wait(10)
time.sleep(0.2)
print(ended, host.poll(), flush=True)
host.kill()
"""


def test_an_end_in_a_hurry_ends_downloads_and_leaves_hosts_to_their_lifelines() -> None:
    """A host that is signalled ends alone, and what its library has started lives on."""
    done = subprocess.run([sys.executable, "-c", HURRY], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(-signal.SIGTERM), "None"]
