"""docs/openapi.json is the document that the service gives; every operation names its errors."""

import json
from pathlib import Path
from typing import Any

from tongpin.gateway.api.app import openapi

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_kept_document_is_the_services() -> None:
    assert json.loads(FILE.read_text("utf-8")) == openapi(), "run: tongpin openapi > docs/openapi.json"


def test_every_operation_names_its_errors() -> None:
    document: Any = openapi()
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            content = operation["responses"]["4XX"]["content"]
            assert "application/problem+json" in content, (path, verb)
            assert operation["responses"]["503"], (path, verb)
    assert {"type", "title", "status", "detail"} == set(document["components"]["schemas"]["Problem"]["required"])
