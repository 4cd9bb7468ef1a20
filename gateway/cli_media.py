"""``tongpin say`` and ``tongpin listen``: talk and listen over WHIP and WHEP from a shell.

They are a standard WebRTC client (aiortc), not the gateway's own transport: what they hear, any client hears. So they
prove a path after an installation, and speak announcements from programs.
"""

import asyncio
import ssl
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tongpin.gateway.errors import CallerError, TongpinError

if TYPE_CHECKING:
    import httpx
    from aiortc import RTCPeerConnection

Use = Callable[[], Awaitable[None]]

UrlOption = Annotated[str, typer.Option(help="The gateway's address.")]
UserOption = Annotated[str | None, typer.Option(help="Log in as; the password is read from standard input.")]
TokenOption = Annotated[str | None, typer.Option(envvar="TONGPIN_TOKEN", help="An access token or API key instead.")]
CaOption = Annotated[Path | None, typer.Option(help="The CA's certificate, when it is not a public one.")]
GroupArgument = Annotated[str, typer.Argument(help="The talk group's id.")]
URL = "http://127.0.0.1:8080"
CONNECT_S = 15.0
LEAD_S = 0.5
"""Silence before the first word, while connection and floor are got."""
TAIL_S = 1.0


def say(
    group: GroupArgument,
    file: Annotated[Path, typer.Argument(help="A WAV file.")],
    url: UrlOption = URL,
    user: UserOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
) -> None:
    """Speak a WAV file into a talk group (WHIP); its voice asks for the floor."""
    _run(_say(group, file, url, user, token, ca))


def listen(
    group: GroupArgument,
    out: Annotated[Path, typer.Option(help="A WAV file to write: 48 kHz mono.")],
    seconds: Annotated[float, typer.Option(min=0.1, max=86_400, help="How long.")] = 10.0,
    url: UrlOption = URL,
    user: UserOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
) -> None:
    """Record what a talk group hears (WHEP); only while somebody talks there is sound."""
    _run(_listen(group, out, seconds, url, user, token, ca))


def _run(work: Coroutine[None, None, None]) -> None:
    try:
        asyncio.run(work)
    except TongpinError as error:
        typer.echo(f"tongpin: {error}", err=True)
        raise typer.Exit(1) from error


async def _login(client: "httpx.AsyncClient", user: str | None, token: str | None) -> None:
    """Put the bearer token into the client's headers."""
    if user is not None:
        password = sys.stdin.readline().rstrip("\n")
        answer = await client.post("/api/v1/auth/token", data={"username": user, "password": password})
        if answer.status_code != 200:
            raise CallerError(401, "no-login", f"the gateway refused the log-in: {_detail(answer)}")
        token = answer.json()["access_token"]
    if token is None:
        raise CallerError(401, "no-login", "name --user (and give the password on standard input) or --token")
    client.headers["Authorization"] = f"Bearer {token}"


def _detail(answer: "httpx.Response") -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"


async def _connected(
    pc: "RTCPeerConnection", url: str, user: str | None, token: str | None, ca: Path | None, path: str, use: Use
) -> None:
    """Log in, exchange offer and answer at ``path``, run ``use`` while connected, and end the resource.

    Raises:
        CallerError: the gateway cannot be reached, or refused; the text says which.
    """
    import httpx
    from aiortc import RTCSessionDescription

    verify: bool | ssl.SSLContext = ssl.create_default_context(cafile=str(ca)) if ca is not None else True
    try:
        async with httpx.AsyncClient(base_url=url, timeout=CONNECT_S, verify=verify) as client:
            await _login(client, user, token)
            await pc.setLocalDescription(await pc.createOffer())
            sdp = pc.localDescription.sdp
            answer = await client.post(path, content=sdp, headers={"Content-Type": "application/sdp"})
            if answer.status_code != 201:
                raise CallerError(answer.status_code, "refused", f"the gateway refused: {_detail(answer)}")
            try:
                await pc.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
                await use()
            finally:
                await client.delete(answer.headers["Location"])
    except (httpx.HTTPError, OSError) as error:
        raise CallerError(502, "unreachable", f"{url} cannot be reached: {error}") from error
    finally:
        await pc.close()


async def _until_connected(pc: "RTCPeerConnection") -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + CONNECT_S
    while pc.connectionState != "connected":
        if loop.time() > until or pc.connectionState in ("failed", "closed"):
            raise CallerError(504, "no-media", "no media connection: is the gateway's UDP port open to this machine?")
        await asyncio.sleep(0.02)


async def _say(group: str, file: Path, url: str, user: str | None, token: str | None, ca: Path | None) -> None:
    from aiortc import RTCConfiguration, RTCPeerConnection

    from tongpin.gateway.media_client import Speech
    from tongpin.gateway.radio.wavefile import read_wav

    speech = Speech(read_wav(file), LEAD_S, TAIL_S)
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver(speech, direction="sendonly")

    async def use() -> None:
        await _until_connected(pc)
        speech.begin()
        await speech.finished.wait()

    await _connected(pc, url, user, token, ca, f"/api/v1/whip/{group}", use)


async def _listen(
    group: str, out: Path, seconds: float, url: str, user: str | None, token: str | None, ca: Path | None
) -> None:
    from aiortc import RTCConfiguration, RTCPeerConnection

    from tongpin.gateway.media_client import record

    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = pc.addTransceiver("audio", direction="recvonly").receiver  # its track comes with the answer
    out.unlink(missing_ok=True)

    async def use() -> None:
        await _until_connected(pc)
        heard_s = await record(receiver.track, out, seconds)
        typer.echo(f"{heard_s:.1f} s of sound in {out}")

    await _connected(pc, url, user, token, ca, f"/api/v1/whep/{group}", use)
