"""The ASGI application: routes, the session WebSocket, health, metrics, the console's files, and the limits on all."""

from contextlib import suppress
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Response, WebSocket
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect, WebSocketState

from tongpin.gateway.api import problems
from tongpin.gateway.api.routes import (
    audit,
    auth,
    credentials,
    events,
    groups,
    joint_channels,
    media,
    oidc,
    people,
    terms,
    things,
    transmissions,
    webhooks,
)
from tongpin.gateway.api.schemas import HealthOut, ProblemOut
from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.errors import StoreError

PREFIX = "/api/v1"
MAX_BODY = 1024 * 1024
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "media-src 'self' blob:; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}
_NO_CONSOLE = (
    "Tongpin is running, but its console was not built.\n"
    "Install with the console: pip install . (without TONGPIN_CONSOLE=no). The API is at /api/v1.\n"
)


class Limits:
    """Bodies have a limit, answers have their headers. Plain ASGI: Starlette's own kind costs a join a millisecond."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        path: str = scope["path"]
        added = dict(HEADERS)
        if path.startswith("/api/docs"):
            # Swagger's page loads its scripts from elsewhere; it is documentation, not the console.
            del added["Content-Security-Policy"]
        if path in ("/", "/index.html"):
            added["Cache-Control"] = "no-cache"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        if not length.isdigit() or int(length) > MAX_BODY:
            refused = problems.problem(413, "body-too-large", f"a body may hold {MAX_BODY} bytes")
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send_with_headers)


class SocketAdapter:
    """Starlette's WebSocket as the session service wants it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> str | None:
        """The next text message; None when the client has gone, or sent what is no text."""
        try:
            return await self._socket.receive_text()
        except (WebSocketDisconnect, RuntimeError, KeyError):
            return None

    async def send(self, text: str) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.send_text(text)

    async def close(self) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.close()


def create_app(services: ApiServices) -> FastAPI:
    """The whole HTTP side over these services."""
    app = bare_app()
    app.state.services = services

    @app.websocket(f"{PREFIX}/session")
    async def session(socket: WebSocket, ticket: str = "") -> None:
        identity = services.tickets.redeem(ticket)
        if identity is None or services.revocations.is_revoked(identity):
            await socket.close(4401, "the ticket is unknown, used or over")
            return
        await socket.accept()
        await services.serve_session(SocketAdapter(socket), identity)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> HealthOut:
        return HealthOut(status="ok")

    @app.get("/readyz", include_in_schema=False)
    async def readyz(response: Response) -> HealthOut:
        legs = services.legs()
        online = sum(leg.online for leg in legs)
        try:
            await services.ping_store()
            has_database = True
        except StoreError:
            has_database = False
            response.status_code = 503
        is_whole = has_database and online == len(legs)
        return HealthOut(
            status="ok" if is_whole else "degraded", database=has_database, legs_online=online, legs=len(legs)
        )

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(services.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    if (services.console / "index.html").is_file():
        app.mount("/", StaticFiles(directory=services.console, html=True), name="console")
    else:

        @app.get("/", include_in_schema=False)
        async def no_console() -> PlainTextResponse:
            return PlainTextResponse(_NO_CONSOLE)

    return app


def bare_app() -> FastAPI:
    """Routes and error handling without services: enough for the OpenAPI document."""
    app = _DocumentedApp(
        title="Tongpin",
        description="Dispatch gateway: walkie-talkies and browsers of several agencies on the same frequency.",
        version=version("tongpin"),
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url="/api/docs",
        redoc_url=None,
    )
    problems.add_handlers(app)
    for module in (
        auth,
        credentials,
        oidc,
        people,
        things,
        groups,
        joint_channels,
        terms,
        media,
        audit,
        events,
        transmissions,
        webhooks,
    ):
        app.include_router(module.router, prefix=PREFIX)

    app.add_middleware(Limits)
    return app


class _DocumentedApp(FastAPI):
    """Says of every operation that its errors are problem documents."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            schemas["Problem"] = ProblemOut.model_json_schema()
            answer = {"$ref": "#/components/schemas/Problem"}
            for operations in document["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
                    for status, text in (("4XX", "The caller's error"), ("503", "Not available now")):
                        content = {"application/problem+json": {"schema": answer}}
                        operation["responses"][status] = {"description": text, "content": content}
        return super().openapi()


def openapi() -> dict[str, object]:
    """The OpenAPI document."""
    return bare_app().openapi()
