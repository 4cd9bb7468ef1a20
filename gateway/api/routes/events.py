"""What happened, as it happens: the whole picture, and server-sent events that bring it up to date."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from tongpin.gateway.api.deps import Services, Viewer
from tongpin.gateway.api.schemas import ViewOut

router = APIRouter(tags=["events"])

STREAM = "text/event-stream"


@router.get("/view")
async def view(caller: Viewer, services: Services) -> ViewOut:
    """The whole picture and the number of the last event in it: events from there on bring it up to date."""
    sequence, picture = await services.picture()
    return ViewOut.model_validate({"sequence": sequence, "view": picture})


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {STREAM: {"schema": {"type": "string"}}}, "description": "An endless stream."}},
)
async def events(
    caller: Viewer,
    services: Services,
    last_event_id: Annotated[
        str | None, Header(description="The id of the last event seen: what was missed comes first.", max_length=40)
    ] = None,
    kind: Annotated[list[str] | None, Query(max_length=50, description="Only these kinds; may stand again.")] = None,
) -> StreamingResponse:
    """Follow what happens. Each message has `id`, `event` (its kind) and `data` (JSON).

    An event `reset` says that what was missed is no longer known: read `GET /view` again and go on from its number.
    A comment comes every 15 s while nothing happens. At most 8 streams a user.
    """
    stream = services.open_stream(caller, last_event_id, frozenset(kind or ()))
    return StreamingResponse(
        stream, media_type=STREAM, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
