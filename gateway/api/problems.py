"""Errors as RFC 9457 problem documents with stable types."""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tongpin.gateway.errors import CallerError, StoreError

_log = structlog.get_logger(__name__)

_TITLES = {
    400: "Bad request",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Unsupported media type",
    422: "Cannot be processed",
    428: "Precondition needed",
    429: "Too many requests",
    500: "Our fault",
    503: "Not available now",
}


def problem(
    status: int,
    code: str,
    detail: str,
    extra: dict[str, str | list[str]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A problem document. ``code`` is the stable end of its type."""
    content = {
        "type": f"urn:tongpin:problem:{code}",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        **(extra or {}),
    }
    return JSONResponse(content, status, headers, media_type="application/problem+json")


def add_handlers(app: FastAPI) -> None:
    """Every error that leaves the API is a problem document."""

    @app.exception_handler(CallerError)
    async def caller_error(request: Request, error: CallerError) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
        if isinstance(wait_s := error.extra.get("retry_after_s"), str):
            headers["Retry-After"] = wait_s
        return problem(error.status, error.code, str(error), error.extra, headers)

    @app.exception_handler(StoreError)
    async def store_error(request: Request, error: StoreError) -> JSONResponse:
        _log.error("store failed", path=request.url.path, reason=str(error))
        return problem(503, "store-unavailable", "the database does not answer; nothing was changed")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        wrong = [f"{'.'.join(str(step) for step in item['loc'])}: {item['msg']}" for item in error.errors()]
        return problem(422, "invalid", "; ".join(wrong[:5]), {"errors": wrong[:50]})

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        code = _TITLES.get(error.status_code, "error").lower().replace(" ", "-")
        return problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        _log.error("unforeseen error", path=request.url.path, exc_info=error)
        return problem(500, "internal", "something went wrong here; it has been logged")
