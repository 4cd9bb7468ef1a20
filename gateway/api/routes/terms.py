"""Standing agreements between agencies, and templates of joint channels."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends

from tongpin.channels.joint import Agreement
from tongpin.gateway.api.deps import Services, Viewer, With
from tongpin.gateway.api.joint_schemas import (
    AgreementIn,
    AgreementOut,
    TemplateChange,
    TemplateIn,
    TemplateOut,
)
from tongpin.gateway.api.routes.joint_channels import check_agencies, members_of
from tongpin.gateway.errors import CallerError
from tongpin.gateway.joint.records import Template
from tongpin.gateway.joint.wire import member_json
from tongpin.gateway.rights import Identity, Right

router = APIRouter(tags=["agreements and templates"])

Agreer = Annotated[Identity, Depends(With(Right.AGREE))]
Writer = Annotated[Identity, Depends(With(Right.TEMPLATES))]


def _agreement_out(agreement: Agreement) -> AgreementOut:
    return AgreementOut(
        id=agreement.id,
        name=agreement.name,
        agencies=list(agreement.agencies),
        includes_centre=agreement.includes_centre,
        valid_from=agreement.valid_from,
        valid_until=agreement.valid_until,
        document=agreement.document,
        created_by=agreement.created_by,
        created_at=agreement.created_at,
        ended_at=agreement.ended_at,
        ended_by=agreement.ended_by,
    )


def _template_out(template: Template) -> TemplateOut:
    return TemplateOut.model_validate(
        {
            "id": template.id,
            "name": template.name,
            "purpose": template.purpose,
            "members": [member_json(member) for member in template.members],
            "duration_s": template.duration_s,
            "agency": template.agency,
            "event": template.event,
            "priority_policy": dict(template.policy),
            "lead_agency": template.lead_agency,
        }
    )


@router.get("/agreements")
async def agreements(caller: Viewer, services: Services, with_ended: bool = False) -> list[AgreementOut]:
    """Agreements in force, the oldest first."""
    return [_agreement_out(found) for found in await services.terms.store.agreements(with_ended=with_ended)]


@router.post("/agreements", status_code=201)
async def make_agreement(body: AgreementIn, caller: Agreer, services: Services) -> AgreementOut:
    """Record what agencies have signed: from then on they consent at once to what one of them proposes."""
    await check_agencies(services, body.agencies)
    made = await services.terms.agree(
        caller,
        body.name,
        tuple(body.agencies),
        includes_centre=body.includes_centre,
        valid_from=body.valid_from,
        valid_until=body.valid_until,
        document=body.document,
    )
    return _agreement_out(made)


@router.delete("/agreements/{agreement_id}")
async def end_agreement(agreement_id: str, caller: Agreer, services: Services) -> AgreementOut:
    """End it; any of its agencies may. What was consented by it stays."""
    return _agreement_out(await services.terms.end_agreement(agreement_id, caller))


@router.get("/templates")
async def templates(caller: Viewer, services: Services) -> list[TemplateOut]:
    return [_template_out(template) for template in await services.terms.store.templates()]


@router.post("/templates", status_code=201)
async def make_template(body: TemplateIn, caller: Writer, services: Services) -> TemplateOut:
    """What a kind of operation usually needs; used by ``template`` in POST /joint-channels."""
    await check_agencies(services, [body.agency, body.lead_agency, *body.priority_policy.values()])
    template = Template(
        id=body.id,
        name=body.name,
        purpose=body.purpose,
        members=members_of(body.talk_groups, body.members),
        duration_s=body.duration_s,
        agency=body.agency,
        event=body.event,
        policy=tuple(sorted(body.priority_policy.items())),
        lead_agency=body.lead_agency,
    )
    if not template.members:
        raise CallerError(422, "incomplete", "a template needs talk_groups or members")
    return _template_out(await services.terms.save_template(template, caller, is_new=True))


@router.get("/templates/{template_id}")
async def read_template(template_id: str, caller: Viewer, services: Services) -> TemplateOut:
    return _template_out(await services.terms.template(template_id))


@router.patch("/templates/{template_id}")
async def change_template(template_id: str, body: TemplateChange, caller: Writer, services: Services) -> TemplateOut:
    """What is not named stays; joint channels that were made from it do, too."""
    template = await services.terms.template(template_id)
    policy = body.priority_policy
    await check_agencies(services, [body.lead_agency, *(policy or {}).values()])
    members = template.members
    if body.talk_groups is not None or body.members is not None:
        members = members_of(body.talk_groups or [], body.members or []) or template.members
    changed = replace(
        template,
        name=body.name or template.name,
        purpose=body.purpose or template.purpose,
        members=members,
        duration_s=body.duration_s or template.duration_s,
        event=body.event or template.event,
        policy=tuple(sorted(policy.items())) if policy is not None else template.policy,
        lead_agency=body.lead_agency or template.lead_agency,
    )
    return _template_out(await services.terms.save_template(changed, caller, is_new=False))


@router.delete("/templates/{template_id}", status_code=204)
async def retire_template(template_id: str, caller: Writer, services: Services) -> None:
    template = await services.terms.template(template_id)
    await services.terms.save_template(replace(template, is_retired=True), caller, is_new=False)
