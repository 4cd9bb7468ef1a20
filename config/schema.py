"""The configuration's JSON Schema, for editors: ``python -m tongpin.config.schema > config/schema.json``."""

import json
import sys

from tongpin.config.models import Config


def schema_text() -> str:
    """The text of ``config/schema.json``; a test holds the file to it."""
    return json.dumps(Config.model_json_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
