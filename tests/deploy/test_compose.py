"""Compose, Prometheus, Grafana and systemd agree on names, ports and files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexkey.config import ListenConfig, load
from tests.deploy.conftest import DEPLOY, ROOT
from tests.deploy.dockerfile import Dockerfile

SERVICES = ["hexkey", "prometheus", "grafana"]


def read(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text())


COMPOSE = read("compose.yaml")
GPU = read("compose.gpu.yaml")


def mounts(service: str) -> dict[str, str]:
    """What lies where in a container: its folder or file there, to a path or volume here."""
    pairs = (one.split(":") for one in COMPOSE["services"][service]["volumes"])
    return {pair[1]: pair[0] for pair in pairs}


def test_there_are_three_services() -> None:
    assert list(COMPOSE["services"]) == SERVICES
    assert set(GPU["services"]) == {"hexkey"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_comes_back_drops_rights_and_stays_on_loopback(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["restart"] == "unless-stopped"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in service["ports"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_exists_and_cannot_be_written_to(name: str) -> None:
    for line in COMPOSE["services"][name]["volumes"]:
        source, _, *mode = line.split(":")
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
            assert mode == ["ro"], line
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_a_foreign_image_is_pinned_names_no_registry_and_has_a_health_check(name: str) -> None:
    service = COMPOSE["services"][name]
    repository, _, tag = service["image"].partition(":")
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag)
    assert "." not in repository
    port = service["ports"][0].split(":")[1]
    assert f"127.0.0.1:{port}/" in service["healthcheck"]["test"][-1]


def test_our_image_is_built_from_a_stage_that_exists() -> None:
    file = Dockerfile(ROOT / "Dockerfile")
    build = COMPOSE["services"]["hexkey"]["build"]
    assert (DEPLOY / build["context"] / "Dockerfile").samefile(ROOT / "Dockerfile")
    assert build["target"] in file.stages
    assert GPU["services"]["hexkey"]["build"]["target"] in file.stages
    ports = {one.split(":")[2] for one in COMPOSE["services"]["hexkey"]["ports"]}
    assert ports == set(file.of("cpu", "EXPOSE")[-1].words)
    inside = mounts("hexkey")
    assert file.of("cpu", "VOLUME")[-1].text in inside
    assert file.of("cpu", "CMD")[-1].exec_form[1] in inside


def test_with_a_gpu_the_configuration_for_it_is_served() -> None:
    # Compose merges volumes by where they are mounted.
    source, where = GPU["services"]["hexkey"]["volumes"][0].removesuffix(":ro").split(":")
    assert where in mounts("hexkey")
    config = load((DEPLOY / source).resolve())
    assert {model.engine for model in config.models} >= {"vllm"}


def test_prometheus_scrapes_services_at_their_ports() -> None:
    config = read("prometheus/prometheus.yml")
    jobs = {
        one["job_name"]: one["static_configs"][0]["targets"] for one in config["scrape_configs"]
    }
    assert jobs["hexkey"] == [f"hexkey:{ListenConfig().http.rpartition(':')[2]}"]
    for (target,) in jobs.values():
        name, _, port = target.partition(":")
        service = COMPOSE["services"]["prometheus" if name == "localhost" else name]
        assert f"127.0.0.1:{port}:{port}" in service["ports"]
    words = COMPOSE["services"]["prometheus"]["command"]
    (file,) = [word.partition("=")[2] for word in words if word.startswith("--config.file=")]
    folder = DEPLOY / mounts("prometheus")[str(Path(file).parent)]
    assert (folder / Path(file).name).exists()
    assert all((folder / name).exists() for name in config["rule_files"])


def test_grafana_finds_prometheus_and_its_dashboards() -> None:
    (source,) = read("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    port = COMPOSE["services"]["prometheus"]["ports"][0].split(":")[1]
    assert source["url"] == f"http://prometheus:{port}"
    scrape = read("prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape
    inside = mounts("grafana")
    assert "/etc/grafana/provisioning" in inside
    (provider,) = read("grafana/provisioning/dashboards/hexkey.yaml")["providers"]
    folder = DEPLOY / inside[provider["options"]["path"]]
    home = Path(
        COMPOSE["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    )
    assert str(home.parent) == provider["options"]["path"]
    assert (folder / home.name).exists()


def test_the_systemd_unit_is_one_and_is_hardened(tmp_path: Path) -> None:
    unit = (DEPLOY / "systemd" / "hexkey.service").read_text()
    stop = re.search(r"TimeoutStopSec=(\d+)", unit)
    assert stop
    assert int(stop[1]) > 30
    assert "DynamicUser=yes" in unit
    # The unit's command is where an installation puts it; here any program will do.
    copy = tmp_path / "hexkey.service"
    copy.write_text(unit.replace("/opt/hexkey/bin/hexkey", "/bin/true"))
    for words in (["verify"], ["security", "--offline=true", "--threshold=20"]):
        command = ["systemd-analyze", *words, str(copy)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Unknown" not in done.stderr
