"""Cursors of lists: where the next page begins, as an opaque text."""

import base64
import json
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from tongpin.gateway.errors import CallerError

Limit = Annotated[int, Query(ge=1, le=500, description="Items of a page.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`next` of the page before.")]
Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """``next`` is the ``cursor`` of the following page; null on the last one."""

    items: list[Item]
    next: str | None


def write_cursor(*values: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(values, ensure_ascii=False).encode()).decode().rstrip("=")


def read_cursor(text: str, count: int) -> list[str]:
    """The values. Raises CallerError 422 for a text that no page gave."""
    try:
        values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError as error:
        raise bad_cursor() from error
    if not isinstance(values, list) or len(values) != count or not all(isinstance(value, str) for value in values):
        raise bad_cursor()
    return values


def bad_cursor() -> CallerError:
    return CallerError(422, "bad-cursor", "the cursor is not one that a page gave; begin without it")
