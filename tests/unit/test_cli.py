"""The command line, run in this process: what it says and the status it ends with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hexkey import __version__, app, cli, config
from hexkey.cli import BAD_CONFIG, FAILED, main
from hexkey.engines import factory
from hexkey.errors import Code, ServeError
from hexkey.models.errors import ModelError
from hexkey.types import Task

GOOD = """
models:
  - {name: talker, engine: fake, tasks: [chat, autocomplete]}
  - {name: parrot, engine: fake, tasks: [translate], pairs: [en-pt, pt-en]}
"""


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """What ``serve`` makes of the log ends with the test; loggers of later ones would keep it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return str(path)


def exit_of(arguments: list[str]) -> object:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def test_check_of_a_good_file_says_what_it_covers(
    good: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", good]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{good} is good.\n")
    assert "translate     parrot (en-pt, pt-en)" in out
    assert "chat          talker\n" in out
    assert err == ""


def test_check_of_a_bad_file_says_everything_that_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("models: [{name: m, engine: fake, tasks: [sing]}]\nlisten: {htpp: 1}")
    assert main(["check", str(path)]) == BAD_CONFIG
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"{path} cannot be used:",
        f"  models[0].tasks[0]: expected one of {', '.join(Task)}, found 'sing'",
        "  listen.htpp: unknown key; did you mean 'http'?",
    ]


def test_check_knows_the_options_of_every_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    models = [
        f"{{name: {engine}, engine: {engine}, source: 'path:/m', options: {{threads: x, sped: 1}},"
        f" tasks: [{task}], pairs: [{'en-pt' if task == 'translate' else ''}]}}"
        for engine in factory.NAMES
        for task in sorted(factory.TASKS.get(engine, {"chat"}))[:1]
    ]
    path.write_text(f"models: [{', '.join(models)}]")
    assert main(["check", str(path)]) == BAD_CONFIG
    said = capsys.readouterr().err
    for index, engine in enumerate(factory.NAMES):
        assert f"models[{index}].options.sped: unknown key" in said
        if engine != "fake":
            assert f"models[{index}].options.threads: expected a whole number, found 'x'" in said


@pytest.mark.parametrize("command", ["check", "serve", "pull"])
def test_a_missing_file_is_a_bad_configuration(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(tmp_path / "none.yaml")]) == BAD_CONFIG
    assert "it cannot be read: No such file" in capsys.readouterr().err


def test_the_default_configuration_is_the_quickstart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    assert main(["check"]) == 0
    assert capsys.readouterr().out.startswith(f"{cli.DEFAULT} is good.")


@pytest.mark.parametrize("command", ["serve", "check", "pull"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of([command, "--help"]) == 0
    assert f"usage: hexkey {command}" in capsys.readouterr().out
    assert exit_of(["--help"]) == 0
    assert command in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(["--version"]) == 0
    assert capsys.readouterr().out == f"hexkey {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["sing"], ["serve", "--prot", "1"], ["check", "a", "b"], ["serve", "--http"]]
)
def test_what_is_no_command_line_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_of(arguments) == 2
    assert "usage: hexkey" in capsys.readouterr().err


def test_addresses_of_the_command_line_win_and_are_checked(
    good: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[config.Config] = []

    async def serve(settings: config.Config, *_: object) -> None:
        served.append(settings)

    monkeypatch.setattr(app, "serve", serve)
    assert main(["serve", good, "--http", "[::1]:0", "--grpc", ""]) == 0
    assert served[0].listen == config.ListenConfig("[::1]:0", "")
    assert main(["serve", good]) == 0
    assert served[1].listen == config.ListenConfig()
    assert main(["serve", good, "--http", "", "--grpc", "x"]) == BAD_CONFIG
    assert capsys.readouterr().err.splitlines() == [
        "the command line cannot be used:",
        "  --http: expected host:port, found ''",
        "  --grpc: expected host:port, found 'x'",
    ]


def test_whether_keys_are_needed_is_said_by_the_command_line_or_the_environment(
    good: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[str] = []

    async def serve(settings: config.Config, *_: object) -> None:
        served.append(settings.access.keys)

    monkeypatch.setattr(app, "serve", serve)
    for environment, arguments in (("", []), ("on", []), ("on", ["--keys", "off"])):
        monkeypatch.setenv("HEXKEY_KEYS", environment)
        assert main(["serve", good, *arguments]) == 0
    assert served == ["auto", "on", "off"]
    for unclear in ("ON", "true", "1", "of"):
        monkeypatch.setenv("HEXKEY_KEYS", unclear)
        assert main(["serve", good]) == BAD_CONFIG
        assert capsys.readouterr().err.splitlines() == [
            "the environment cannot be used:",
            f"  HEXKEY_KEYS: expected one of auto, on, off, found '{unclear}'",
        ]
    assert len(served) == 3


def test_help_is_written_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("serve", "check", "keys", "costs", "route", "models", "load"):
        assert exit_of([command, "--help"]) == 0
        assert "``" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ModelError("no such model"), FAILED),
        (ServeError(Code.UNAVAILABLE, "cannot load"), FAILED),
        (OSError(98, "Address already in use"), FAILED),
        (KeyboardInterrupt(), 130),
    ],
)
def test_a_failure_is_told_in_a_line_and_by_the_status(
    error: BaseException,
    status: int,
    good: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def serve(*_: object) -> None:
        raise error

    monkeypatch.setattr(app, "serve", serve)
    assert main(["serve", good]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == (status == FAILED)
    assert "Traceback" not in err


def test_pull_of_a_model_without_files(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", good]) == 0
    assert "talker: " in capsys.readouterr().out
