"""WHIP (RFC 9725) and WHEP: standard WebRTC clients talk and listen."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from tongpin.gateway.api.deps import Caller, Services, check_group
from tongpin.gateway.errors import CallerError
from tongpin.gateway.rights import Identity, Right

router = APIRouter(tags=["media"])

SDP = "application/sdp"
MAX_OFFER = 32 * 1024


async def _offer(request: Request) -> str:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != SDP:
        raise CallerError(415, "sdp-expected", f"send the offer as {SDP}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_OFFER:
            raise CallerError(413, "sdp-too-large", f"the offer is larger than {MAX_OFFER} bytes")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CallerError(422, "sdp-malformed", "the offer is not UTF-8") from error


async def _answer(
    open_resource: Callable[[str, str, Identity], Awaitable[tuple[str, str]]],
    kind: str,
    group: str,
    request: Request,
    caller: Identity,
) -> Response:
    offer = await _offer(request)
    resource, answer = await open_resource(group, offer, caller)
    headers = {"Location": f"/api/v1/{kind}/{group}/{resource}"}
    return Response(answer, 201, headers, media_type=SDP)


@router.post("/whip/{talk_group}", status_code=201, response_class=Response)
async def publish(talk_group: str, request: Request, caller: Caller, services: Services) -> Response:
    """Talk with a standard publisher: voice activity asks for the floor. The body is the SDP offer."""
    check_group(services, caller, talk_group, Right.TALK)
    return await _answer(services.clients.publish, "whip", talk_group, request, caller)


@router.post("/whep/{talk_group}", status_code=201, response_class=Response)
async def play(talk_group: str, request: Request, caller: Caller, services: Services) -> Response:
    """Listen with a standard player. The body is the SDP offer."""
    check_group(services, caller, talk_group, Right.LISTEN)
    return await _answer(services.clients.play, "whep", talk_group, request, caller)


@router.delete("/whip/{talk_group}/{resource}")
@router.delete("/whep/{talk_group}/{resource}")
async def end(talk_group: str, resource: str, caller: Caller, services: Services) -> Response:
    """End the connection."""
    await services.clients.delete(resource, caller.user)
    return Response(status_code=200)


@router.options("/whip/{talk_group}", include_in_schema=False)
@router.options("/whep/{talk_group}", include_in_schema=False)
async def options(talk_group: str) -> Response:
    """What the endpoint takes."""
    return Response(status_code=204, headers={"Accept-Post": SDP, "Allow": "POST, OPTIONS"})
