"""The manual names what there is: every alert, every port, every file."""

from __future__ import annotations

import re

from hexkey.config import LimitsConfig, ListenConfig
from tests.deploy.conftest import DEPLOY, ROOT
from tests.deploy.queries import rules

TEXT = (ROOT / "docs" / "operations.md").read_text()


def test_it_stays_short() -> None:
    assert len(TEXT.splitlines()) <= 120


def test_it_says_of_every_alert_what_it_means_and_how_urgent_it_is() -> None:
    severity = {rule["alert"]: rule["labels"]["severity"] for rule in rules("alerts.yml")}
    rows = dict(re.findall(r"^\| (Hexkey\w+) \| ([^|]+) \|", TEXT, re.MULTILINE))
    assert {name: text.rpartition("; ")[2].strip() for name, text in rows.items()} == severity


def test_its_numbers_are_those_of_the_server_and_of_the_rules() -> None:
    for address in (ListenConfig().http, ListenConfig().grpc):
        assert f"| {address.rpartition(':')[2]} |" in TEXT
    assert f"({LimitsConfig().stop_grace_s:g} s)" in TEXT
    recorded = (DEPLOY / "prometheus" / "rules.yml").read_text()
    for edge in set(re.findall(r'le="([^"]+)"', recorded)):
        assert f"within {float(edge):g} s" in TEXT


def test_a_first_key_under_systemd_is_made_as_the_units_user_where_it_looks() -> None:
    unit = (DEPLOY / "systemd" / "hexkey.service").read_text()
    (command,) = re.findall(r"sudo systemd-run (.*?)\n```", TEXT, re.DOTALL)
    words = command.replace("\\\n", " ").split()
    given = {words[index + 1] for index, word in enumerate(words) if word == "-p"}
    assert given == {
        "User=hexkey",  # what DynamicUser makes of the unit's name
        *re.findall(r"^(?:DynamicUser|StateDirectory|StateDirectoryMode)=.*", unit, re.MULTILINE),
    }
    (kept,) = re.findall(r"HEXKEY_STATE=%S/(\S+)", unit)
    assert f"HEXKEY_STATE=/var/lib/{kept}" in words
    (program,) = re.findall(r"^ExecStart=(\S+)", unit, re.MULTILINE)
    assert words[words.index(program) + 1 :] == ["keys", "create", "acme"]


def test_files_that_it_names_exist() -> None:
    named = re.findall(r"\b(?:deploy|configs)/[\w./-]+\w", TEXT)
    assert len(named) > 4
    assert [name for name in named if not (ROOT / name).exists()] == []
