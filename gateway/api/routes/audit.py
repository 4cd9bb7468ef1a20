"""The audit log: read, exported, checked."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from tongpin.gateway.api.deps import Services, With
from tongpin.gateway.api.schemas import AuditEntryOut, AuditPage, CheckpointOut, FindingOut, VerdictOut
from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.audit import AuditQuery, all_entries
from tongpin.gateway.chain import AuditEntry, Checkpoint
from tongpin.gateway.errors import CallerError
from tongpin.gateway.rights import Identity, Reach, Right, reach

router = APIRouter(tags=["audit"])

NDJSON = "application/x-ndjson"
MAX_SEQUENCE = 2**63 - 1
Auditor = Annotated[Identity, Depends(With(Right.AUDIT))]
Text = Annotated[str | None, Query(max_length=200)]


class Order(StrEnum):
    OLDEST_FIRST = "asc"
    NEWEST_FIRST = "desc"


class Form(StrEnum):
    JSON = "json"
    NDJSON = "ndjson"


def _sees_all(caller: Identity) -> bool:
    return reach(caller, Right.AUDIT) is Reach.ALL


def _entry_out(entry: AuditEntry) -> dict[str, object]:
    return {"id": str(entry.sequence), "name": entry.action, **entry.content()}


def _checkpoint_out(point: Checkpoint) -> CheckpointOut:
    return CheckpointOut.model_validate(point.content())


@router.get(
    "/audit",
    response_model=AuditPage,
    responses={200: {"content": {NDJSON: {}}, "description": "A page, or with `format=ndjson` all that matches."}},
)
async def audit(
    caller: Auditor,
    services: Services,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    action: Annotated[Text, Query(description="e.g. `floor.granted`, or `floor.*`")] = None,
    actor: Text = None,
    agency: Text = None,
    subject: Text = None,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$", description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    order: Order = Order.OLDEST_FIRST,
    format: Form = Form.JSON,  # noqa: A002 - the name of the parameter
) -> AuditPage | Response:
    """The log, filtered. An agency's people see the entries of their agency.

    `format=ndjson` gives everything that matches, one entry a line; the whole log ends with a line that has the
    checkpoint. `tongpin verify FILE` checks a file of either form.
    """
    query = AuditQuery(
        after=int(cursor) if cursor is not None else None,
        limit=limit,
        is_newest_first=order is Order.NEWEST_FIRST,
        since=since,
        until=until,
        action=action,
        actor=actor,
        agency=agency,
        subject=subject,
        only_agency=None if _sees_all(caller) else caller.agency,
    )
    is_whole_log = _sees_all(caller) and order is Order.OLDEST_FIRST
    is_whole_log = is_whole_log and {since, until, action, actor, agency, subject} == {None}
    if format is Form.NDJSON:
        point = await services.audit.checkpoint() if is_whole_log else None
        return StreamingResponse(_lines(services, replace(query, limit=1000), point), media_type=NDJSON)
    point = await services.audit.checkpoint() if is_whole_log else None
    entries = await services.audit.store.entries(query)
    is_last = len(entries) < limit
    if point is not None and entries and point.sequence != entries[-1].sequence:
        point = None  # more has come meanwhile, or more pages follow
    return AuditPage(
        items=[AuditEntryOut.model_validate(_entry_out(entry)) for entry in entries],
        next=None if is_last else str(entries[-1].sequence),
        checkpoint=_checkpoint_out(point) if point is not None and is_last else None,
    )


async def _lines(services: ApiServices, query: AuditQuery, point: Checkpoint | None) -> AsyncIterator[str]:
    async for entry in all_entries(services.audit.store, query):
        if point is not None and entry.sequence > point.sequence:
            break
        yield json.dumps(_entry_out(entry), ensure_ascii=False) + "\n"
    if point is not None:
        yield json.dumps({"checkpoint": point.content()}) + "\n"


@router.get("/audit/checkpoint")
async def checkpoint(caller: Auditor, services: Services) -> CheckpointOut:
    """Where the chain stands now: to print, or to send to somebody else, who can prove later what was cut off."""
    point = await services.audit.checkpoint()
    if point is None:
        raise CallerError(404, "no-audit-entries", "the audit log has no entry yet")
    return _checkpoint_out(point)


@router.post("/audit/verify")
async def verify(caller: Auditor, services: Services) -> VerdictOut:
    """Check the whole chain in the database, and against every checkpoint kept there."""
    found = await services.audit.verdict(is_full=True)
    findings = [FindingOut(fault=item.fault, entry=item.entry, text=item.text) for item in found.findings]
    return VerdictOut(is_whole=found.is_whole, first=found.first, last=found.last, count=found.count, findings=findings)
