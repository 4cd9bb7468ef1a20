"""Logs: structured, to standard error; as lines for people or as JSON for machines."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET = ("password", "token", "ticket", "secret", "authorization")


def _without_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """No secret reaches a log, whoever passes it."""
    for key in event:
        if any(word in key.lower() for word in _SECRET):
            event[key] = "***"
    return event


def set_up(*, as_json: bool = False, level: int = logging.INFO) -> None:
    """Route structlog and the standard library's logging to standard error."""
    steps: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_secrets,
    ]
    last: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*steps, structlog.processors.format_exc_info if as_json else _keep, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # uvicorn names the whole address of each WebSocket: the ticket is in it.
    for noisy in ("aioice", "aiortc", "alembic", "uvicorn.error", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _keep(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return event
