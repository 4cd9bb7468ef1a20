"""Schemathesis over the whole REST API of a served instance: no 5xx, and no answer that the document does not name."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.scenarios.service import PASSWORD

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
SETTINGS = settings(max_examples=6, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
ENDLESS = {"/api/v1/events"}
"""Streams: their tests read them."""


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    token: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """``tongpin serve`` with two agencies, and an admin's token."""
    folder = tmp_path_factory.mktemp("served")
    config = folder / "tongpin.yaml"
    content = {
        "data_folder": str(folder / "data"),
        "server": {"host": "127.0.0.1", "port": 0},
        "agencies": [{"id": "gongan", "name": "Police"}, {"id": "chengguan", "name": "Urban"}],
        "talk_groups": [{"id": "police-1", "name": "Police 1", "agency": "gongan"}, {"id": "all", "name": "All"}],
    }
    config.write_text(yaml.safe_dump(content))
    tongpin = [sys.executable, "-P", "-m", "tongpin.gateway"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    words = ["user", "add", "chief", "--role", "admin", "--password-stdin", "--config", str(config)]
    subprocess.run([*tongpin, *words], input=f"{PASSWORD}\n", text=True, check=True, env=env)
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [*tongpin, "serve", "--config", str(config)], stdout=subprocess.PIPE, stderr=log, text=True, env=env
    )
    try:
        assert process.stdout is not None
        found = re.search(r"https?://\S+", process.stdout.readline())
        assert found is not None, (folder / "log").read_text()
        url = found.group()
        login = httpx.post(f"{url}/api/v1/auth/token", data={"username": "chief", "password": PASSWORD}, timeout=60)
        yield Served(url, login.json()["access_token"])
    finally:
        process.terminate()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()
        log.close()
        print((folder / "log").read_text()[-5_000:])


@pytest.mark.timeout(400)
def test_no_answer_is_a_surprise(served: Served) -> None:
    schema = schemathesis.openapi.from_url(f"{served.url}/api/v1/openapi.json")
    headers = {"Authorization": f"Bearer {served.token}"}
    wrong: list[str] = []
    count = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        if operation.path in ENDLESS:
            continue

        @given(case=operation.as_strategy())
        @SETTINGS
        def check(case: schemathesis.Case[Any]) -> None:
            nonlocal count
            count += 1
            case.validate_response(case.call(headers=headers, timeout=60), checks=CHECKS)

        try:
            check()
        except Exception as error:
            wrong.append(f"{operation.method.upper()} {operation.path}: {error!r} {getattr(error, '__notes__', '')}")
    print(f"{count} requests")
    assert wrong == []


def test_the_whole_api_is_covered(served: Served) -> None:
    document = httpx.get(f"{served.url}/api/v1/openapi.json", timeout=60).json()
    assert len(document["paths"]) > 20
    assert set(document["paths"]) >= ENDLESS
    assert json.dumps(document).count("application/problem+json") > 40
