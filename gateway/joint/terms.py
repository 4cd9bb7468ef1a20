"""Standing agreements and templates: who may make and end them, with an audit line each."""

import secrets
from dataclasses import replace
from datetime import datetime

from tongpin.channels.joint import Agreement, Member, MemberKind
from tongpin.config.models import Config
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import CallerError
from tongpin.gateway.joint.records import Template, TermsStore
from tongpin.gateway.joint.wire import moment
from tongpin.gateway.records import AuditDraft, Json
from tongpin.gateway.rights import Identity, Right, may, require

MOST = 1_000
SEED = "configuration"


class Terms:
    """Over a store. Every method raises StoreError when that fails; nothing was applied then."""

    def __init__(self, store: TermsStore, clock: Clock) -> None:
        self.store = store
        self._clock = clock

    async def agree(
        self,
        caller: Identity,
        name: str,
        agencies: tuple[str, ...],
        *,
        includes_centre: bool,
        valid_from: datetime | None,
        valid_until: datetime | None,
        document: str | None,
    ) -> Agreement:
        """Put an agreement into force. The command centre records what the agencies have signed on paper.

        Raises:
            CallerError: 403 for anybody else than the command centre's admins, 422 fewer than two parties, or an end
                before the beginning.
        """
        require(caller, Right.AGREE, None)
        if caller.agency is not None:
            raise CallerError(403, "not-allowed", "an agreement binds several agencies: the command centre records it")
        agencies = tuple(sorted(set(agencies)))
        if len(agencies) + includes_centre < 2:
            raise CallerError(422, "too-few-parties", "an agreement has two parties or more")
        if valid_from is not None and valid_until is not None and valid_until <= valid_from:
            raise CallerError(422, "ends-before-start", "valid_until lies before valid_from")
        if len(await self.store.agreements()) >= MOST:
            raise CallerError(409, "too-many", f"{MOST} agreements are in force; end some first")
        made = Agreement(
            id=f"ag-{secrets.token_hex(6)}",
            name=name,
            agencies=agencies,
            includes_centre=includes_centre,
            created_by=caller.username,
            created_at=self._clock.at(),
            valid_from=valid_from,
            valid_until=valid_until,
            document=document,
        )
        await self.store.save_agreement(made, is_new=True, audit=[_made(made, caller.username)])
        return made

    async def end_agreement(self, agreement_id: str, caller: Identity) -> Agreement:
        """No longer in force; what was consented by it stays. Any of its agencies may. Raises CallerError 403, 404."""
        for found in await self.store.agreements():
            if found.id == agreement_id:
                if not any(may(caller, Right.AGREE, agency) for agency in found.agencies):
                    require(caller, Right.AGREE, None)
                ended = replace(found, ended_at=self._clock.at(), ended_by=caller.username)
                draft = AuditDraft("agreement.ended", caller.username, found.id, caller.agency)
                await self.store.save_agreement(ended, is_new=False, audit=[draft])
                return ended
        raise CallerError(404, "no-such-agreement", f"no agreement {agreement_id!r} is in force")

    async def template(self, template_id: str) -> Template:
        """Raises CallerError 404."""
        for found in await self.store.templates():
            if found.id == template_id:
                return found
        raise CallerError(404, "no-such-template", f"there is no template {template_id!r}")

    async def save_template(self, template: Template, caller: Identity, *, is_new: bool) -> Template:
        """Make, change or retire one. Raises CallerError 403, 409 when the id is taken."""
        require(caller, Right.TEMPLATES, template.agency)
        if is_new and len(await self.store.templates()) >= MOST:
            raise CallerError(409, "too-many", f"there are {MOST} templates; retire some first")
        action = "made" if is_new else "retired" if template.is_retired else "changed"
        draft = AuditDraft(f"template.{action}", caller.username, template.id, template.agency, {"name": template.name})
        await self.store.save_template(template, is_new=is_new, audit=[draft])
        return template


def _made(agreement: Agreement, actor: str) -> AuditDraft:
    detail: dict[str, Json] = {
        "agencies": [*agreement.agencies],
        "includes_centre": agreement.includes_centre,
        "valid_until": moment(agreement.valid_until),
    }
    return AuditDraft("agreement.made", actor, agreement.id, None, detail)


async def seed_terms(store: TermsStore, config: Config, at: datetime) -> None:
    """What the file names and the store does not have yet is made; what was changed or ended since then stays."""
    known = {agreement.id for agreement in await store.agreements(with_ended=True)}
    for named in config.agreements:
        if named.id not in known:
            made = Agreement(named.id, named.name, tuple(sorted(named.agencies)), named.includes_centre, SEED, at)
            await store.save_agreement(made, is_new=True, audit=[_made(made, SEED)])
    templates = {template.id for template in await store.templates(with_retired=True)}
    for kind in config.templates:
        if kind.id not in templates:
            members = tuple(Member(MemberKind.TALK_GROUP, group) for group in kind.talk_groups)
            policy = tuple(sorted(kind.priority_policy.items()))
            template = Template(kind.id, kind.name, kind.purpose, members, kind.duration_s, None, kind.event, policy)
            draft = AuditDraft("template.made", SEED, kind.id, None, {"name": kind.name})
            await store.save_template(template, is_new=True, audit=[draft])
