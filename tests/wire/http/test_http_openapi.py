"""The OpenAPI document against the server: schemathesis generates what nobody thought of."""

from __future__ import annotations

import asyncio
import sys
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from hexkey.errors import Code
from hexkey.wire.http.access import Access
from hexkey.wire.http.table import OPERATIONS
from tests.wire.http.http_house import open_house

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wire.http.http_house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Not positive_data_acceptance: that a model exists, say, no schema can tell.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,negative_data_rejection,unsupported_method,allow_header_conformance"
)


# No number of tokens that a generated request may ask for takes long.
FAST = 256


OF: dict[Access, tuple[str, ...]] = {
    Access.OPEN: (), Access.CALLER: (), Access.METRICS: ("metrics",), Access.ADMIN: ("admin",)
}  # fmt: skip


async def test_every_operation_is_documented(house: House) -> None:
    async with house.client() as client:
        document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for operation in OPERATIONS:
        entry = document["paths"][operation.path][operation.method.lower()]
        assert entry["summary"]
        assert bool(entry["security"]) is (operation.access is not Access.OPEN)
        assert ({} in entry["security"]) is (operation.access in {Access.CALLER, Access.METRICS})
        scopes = [scope for way in entry["security"] for scopes in way.values() for scope in scopes]
        assert set(scopes) == {*OF[operation.access]}
        assert {*chain(*entry["security"])} <= {*document["components"]["securitySchemes"]}
        statuses = set(entry["responses"])
        if operation.body:
            missing = str(operation.dialect.statuses[Code.NOT_FOUND])
            assert {"400", missing, "408", "413", "415", "500", "503", "504"} <= statuses


@pytest.mark.timeout(480)  # some forty operations, on a machine that may do other things as well
async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    # A generated deadline of a millisecond is rightly not kept.
    (tmp_path / "schemathesis.toml").write_text(
        '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "4xx", 503, 504]\n'
    )
    async with open_house(tokens_per_step=FAST) as house:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", "run", f"{house.url}/openapi.json",
            "--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--seed", "7",
            "--max-examples", "8", "--request-timeout", "10", "--continue-on-failure",
            "--suppress-health-check", "all", "--no-color", "--generation-database", "none",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-8000:]
