"""config/schema.json and docs/config.md say what the models say."""

from pathlib import Path

from tongpin.config.models import Config
from tongpin.config.schema import schema_text

ROOT = Path(__file__).parents[2]


def test_schema_file_is_the_models() -> None:
    text = (ROOT / "config" / "schema.json").read_text("utf-8")
    assert text == schema_text(), "run: python -m tongpin.config.schema > config/schema.json"


def test_the_document_names_every_section_and_key() -> None:
    text = (ROOT / "docs" / "config.md").read_text("utf-8")
    definitions = Config.model_json_schema()["$defs"]
    keys = {key for part in definitions.values() for key in part.get("properties", {})} | set(Config.model_fields)
    assert {key for key in keys if f"`{key}`" not in text} == set()
