"""Joint channels: several agencies' talk groups on the same frequency, for a purpose and a time."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from tongpin.channels.joint import JointChannel, JointState, Member, MemberKind
from tongpin.channels.schedule import Recurrence
from tongpin.gateway.api.deps import Services, Viewer, With
from tongpin.gateway.api.joint_schemas import (
    ConsentIn,
    JointChannelChange,
    JointChannelIn,
    JointChannelOut,
    MemberIn,
    PreviewOut,
)
from tongpin.gateway.api.paging import Cursor, Limit, Page, bad_cursor, read_cursor, write_cursor
from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.errors import CallerError
from tongpin.gateway.joint.answers import KEPT_FOR
from tongpin.gateway.joint.preview import preview_json
from tongpin.gateway.joint.records import Answer, ChannelQuery, Sort
from tongpin.gateway.joint.requests import Outlook, Proposal, Wish
from tongpin.gateway.joint.wire import API_PATH, moment, record_json
from tongpin.gateway.rights import Identity, Right

router = APIRouter(tags=["joint channels"])

Proposer = Annotated[Identity, Depends(With(Right.PROPOSE))]
Consenter = Annotated[Identity, Depends(With(Right.CONSENT))]
Runner = Annotated[Identity, Depends(With(Right.RUN))]
DryRun = Annotated[bool, Query(description="Only say what would happen.")]
IfMatch = Annotated[str | None, Header(description="The ETag that was read; 412 when it is another one now.")]
Key = Annotated[str | None, Header(alias="Idempotency-Key", description="The same request again has one effect.")]


def _out(channel: JointChannel, response: Response) -> JointChannelOut:
    response.headers["ETag"] = f'"{channel.version}"'
    return JointChannelOut.model_validate(record_json(channel))


def members_of(talk_groups: Sequence[str], members: Sequence[MemberIn]) -> tuple[Member, ...]:
    """Talk groups by id and other members, each once."""
    found = [Member(MemberKind.TALK_GROUP, group) for group in talk_groups]
    return tuple(dict.fromkeys([*found, *(_member(member) for member in members)]))


def _member(member: MemberIn | str) -> Member:
    if isinstance(member, str):
        return Member(MemberKind.TALK_GROUP, member)
    if member.agency is not None and member.kind is not MemberKind.GRID:
        raise CallerError(422, "agency-without-grid", "only a grid can be narrowed to the people of an agency")
    return Member(member.kind, member.id, member.agency)


async def check_agencies(services: ApiServices, named: Sequence[str | None]) -> None:
    """Raise CallerError 404 for an agency that there is not."""
    wanted = {agency for agency in named if agency}
    if wanted:
        missing = sorted(wanted - {agency.id for agency in await services.people.agencies()})
        if missing:
            raise CallerError(404, "no-such-agency", f"there is no agency {', '.join(missing)}")


def _version(if_match: str | None) -> int | None:
    """The version of an If-Match header; None when it does not matter. Raises CallerError 412."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isdigit() or len(text) > 9:
        raise CallerError(412, "changed-meanwhile", "If-Match is not an ETag that we gave")
    return int(text)


async def _proposal(body: JointChannelIn, services: ApiServices) -> Proposal:
    """The body, with what it leaves open taken from the template."""
    template = await services.terms.template(body.template) if body.template is not None else None
    members = members_of(body.talk_groups, body.members)
    name, purpose, expires_at = body.name, body.purpose, body.expires_at
    if template is not None:
        begin = body.starts_at or services.clock.at()
        name, purpose, members = name or template.name, purpose or template.purpose, members or template.members
        expires_at = expires_at or begin + timedelta(seconds=template.duration_s)
    if name is None or purpose is None or expires_at is None or not members:
        needed = "name, purpose, expires_at and talk_groups or members are needed, or a template with them"
        raise CallerError(422, "incomplete", needed)
    policy = body.priority_policy
    pairs = tuple(sorted(policy.items())) if policy is not None else template.policy if template is not None else ()
    lead = body.lead_agency
    if lead is None and body.event is None and template is not None:
        lead = template.lead_agency
    await check_agencies(services, [lead, *(agency for _, agency in pairs)])
    recurrence = body.recurrence
    return Proposal(
        name=name,
        purpose=purpose,
        members=members,
        expires_at=expires_at,
        lead_agency=lead,
        event=body.event or (template.event if template is not None else None),
        policy=pairs,
        starts_at=body.starts_at,
        recurrence=Recurrence(recurrence.rule, recurrence.zone, recurrence.duration_s) if recurrence else None,
        may_take_over=body.take_over,
        incident=body.incident,
        template=body.template,
        is_draft=body.draft,
    )


def _preview(outlook: Outlook, services: ApiServices) -> PreviewOut:
    view = services.dispatcher.view()
    found = preview_json(outlook, services.joint_channels.standing, view, services.clock.at())
    return PreviewOut.model_validate(found)


@router.get("/joint-channels")
async def joint_channels(
    caller: Viewer,
    services: Services,
    state: Annotated[list[JointState] | None, Query()] = None,
    agency: str | None = None,
    awaits: str | None = None,
    talk_group: str | None = None,
    event: str | None = None,
    incident: str | None = None,
    sort: Sort = Sort.CREATED,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[JointChannelOut]:
    """Joint channels, page by page. ``agency``: takes part, proposed or leads; ``awaits``: whose consent is missing."""
    after: tuple[datetime | str, str] | None = None
    if cursor is not None:
        value, last = read_cursor(cursor, 2)
        after = (value, last)
        if sort.lstrip("-") != "name":
            try:
                after = (datetime.fromisoformat(value), last)
            except ValueError as error:
                raise bad_cursor() from error
    query = ChannelQuery(frozenset(state or ()), agency, awaits, talk_group, event, incident, sort, after, limit + 1)
    found = [*await services.joint_store.find(query)]
    page, more = found[:limit], len(found) > limit
    following = None
    if more:
        sorted_by = {"created_at": page[-1].created_at, "expires_at": page[-1].expires_at}.get(sort.lstrip("-"))
        following = write_cursor(moment(sorted_by) or page[-1].name, page[-1].id)
    return Page(items=[JointChannelOut.model_validate(record_json(one)) for one in page], next=following)


@router.post("/joint-channels", status_code=201, responses={200: {"model": PreviewOut, "description": "A dry run"}})
async def open_joint_channel(
    body: JointChannelIn,
    caller: Proposer,
    services: Services,
    response: Response,
    dry_run: DryRun = False,
    idempotency_key: Key = None,
) -> Response:
    """Open a joint channel: at once when every agency that takes part has consented by a standing agreement.

    409 names the joint channel that a group is in already. With ``Idempotency-Key`` the same request again answers
    the same and opens nothing.
    """
    if dry_run:
        outlook = await services.joint_channels.foresee(await _proposal(body, services), caller)
        return Response(_preview(outlook, services).model_dump_json(), media_type="application/json")
    if idempotency_key is None:
        return _created(await services.joint_channels.create(await _proposal(body, services), caller))
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    async with services.answers.turn(caller.user, idempotency_key):
        answer = await services.answers.given(caller.user, idempotency_key, digest)
        if answer is None:

            def answering(channel: JointChannel) -> Answer:
                location, text = f"{API_PATH}/{channel.id}", _text(channel)
                until = services.clock.at() + KEPT_FOR
                return Answer(caller.user, idempotency_key, digest, 201, location, text, until)

            channel = await services.joint_channels.create(await _proposal(body, services), caller, answering)
            answer = answering(channel)
            services.answers.remember(answer)
    return _answer(answer.status, answer.location, answer.body)


def _text(channel: JointChannel) -> str:
    return JointChannelOut.model_validate(record_json(channel)).model_dump_json()


def _created(channel: JointChannel) -> Response:
    return _answer(201, f"{API_PATH}/{channel.id}", _text(channel))


def _answer(status: int, location: str, text: str) -> Response:
    return Response(text, status, {"Location": location, "ETag": '"1"'}, media_type="application/json")


@router.get("/joint-channels/{channel_id}")
async def read_joint_channel(
    channel_id: str, caller: Viewer, services: Services, response: Response
) -> JointChannelOut:
    """One of them, with its ETag for If-Match."""
    return _out(await services.joint_channels.read(channel_id), response)


@router.patch("/joint-channels/{channel_id}", responses={200: {"model": JointChannelOut | PreviewOut}})
async def change_joint_channel(
    channel_id: str,
    body: JointChannelChange,
    caller: Runner,
    services: Services,
    response: Response,
    dry_run: DryRun = False,
    if_match: IfMatch = None,
) -> JointChannelOut | PreviewOut:
    """Extend or shorten it, add and remove members, let another agency lead. Needs ``If-Match`` (428 without)."""
    if if_match is None:
        raise CallerError(428, "if-match-needed", "send If-Match with the ETag of what you have read")
    policy = tuple(sorted(body.priority_policy.items())) if body.priority_policy is not None else None
    await check_agencies(services, [body.lead_agency, *(agency for _, agency in policy or ())])
    wish = Wish(
        name=body.name,
        purpose=body.purpose,
        expires_at=body.expires_at,
        add=tuple(_member(member) for member in body.add),
        remove=tuple(_member(member) for member in body.remove),
        lead_agency=body.lead_agency,
        event=body.event,
        policy=policy,
    )
    version = _version(if_match)
    if dry_run:
        return _preview(await services.joint_channels.foresee_change(channel_id, version, wish, caller), services)
    return _out(await services.joint_channels.change(channel_id, version, wish, caller), response)


@router.post("/joint-channels/{channel_id}/propose")
async def propose_joint_channel(
    channel_id: str, caller: Runner, services: Services, response: Response, if_match: IfMatch = None
) -> JointChannelOut:
    """Ask the agencies of a draft for their consent."""
    return _out(await services.joint_channels.propose(channel_id, _version(if_match), caller), response)


@router.post("/joint-channels/{channel_id}/consents")
async def consent(
    channel_id: str,
    body: ConsentIn,
    caller: Consenter,
    services: Services,
    response: Response,
    if_match: IfMatch = None,
) -> JointChannelOut:
    """Consent or refuse for your agency. The last consent that was missing puts everybody on the same frequency.

    A refusal before it is active ends it; while it is active it takes out your agency's talk groups.
    """
    if body.decision == "refuse" and body.reason is None:
        raise CallerError(422, "reason-needed", "a refusal needs a reason")
    channel = await services.joint_channels.decide(
        channel_id,
        body.agency,
        _version(if_match),
        caller,
        is_granted=body.decision == "grant",
        reason=body.reason,
    )
    return _out(channel, response)


@router.post("/joint-channels/{channel_id}/close")
async def close_joint_channel(
    channel_id: str, caller: Runner, services: Services, response: Response, if_match: IfMatch = None
) -> JointChannelOut:
    """Take it down: every talk group has its own floor again. One that is not active yet is cancelled."""
    return _out(await services.joint_channels.close(channel_id, _version(if_match), caller), response)
