"""What the switchboard does becomes entries; a kind of effect without one is on a list of such kinds."""

from typing import get_args

from tests.channels.boards import FIRE, JOINT, POLICE, A, B, X, Y, Z, ask, switchboard
from tongpin.channels import commands as c
from tongpin.channels import effects as e
from tongpin.channels.ids import AgencyId, GroupId, PartyId, PartyKind, Priority
from tongpin.channels.switchboard import Switchboard
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.trail import NOT_AUDITED, Trail

GONGAN = AgencyId("gongan")


def entries(board: Switchboard, *commands: c.Command, now: float = 1.0) -> list[AuditDraft]:
    """What a trail that has seen the board's beginning writes of these commands."""
    written: list[AuditDraft] = []
    trail = Trail(written.append)
    for party in board.view().parties:
        trail(e.PartyAttached(party.party, party.kind, party.label, party.agency), 0.0)
    for group in board.view().groups:
        trail(e.GroupDefined(group.group, group.name, group.agency), 0.0)
    written.clear()
    for command in commands:
        for effect in board.apply(command, now):
            trail(effect, now)
    return written


def actions(drafts: list[AuditDraft]) -> list[str]:
    return [draft.action for draft in drafts]


def test_a_talk_is_granted_keys_the_radios_and_ends() -> None:
    found = entries(switchboard(), ask(X), c.ReleaseFloor(X))
    assert actions(found[:3]) == ["leg.keyed", "leg.keyed", "floor.granted"]
    assert sorted(actions(found[3:])) == ["floor.released", "leg.unkeyed", "leg.unkeyed"]
    keyed, granted = found[0], found[2]
    (released,) = [draft for draft in found if draft.action == "floor.released"]
    assert (granted.actor, granted.subject) == ("session:x", "fire")
    assert granted.detail == {"net": "fire", "talk": 1, "priority": "normal", "origin": "ptt"}
    assert (keyed.actor, keyed.subject) == ("system", A)
    assert released.detail == {"net": "fire", "talk": 1, "cause": "released"}


def test_who_waits_is_entered_once_and_who_gives_up_too() -> None:
    found = entries(switchboard(ask(X)), ask(Y), ask(Z), c.ReleaseFloor(Y), c.ReleaseFloor(Z))
    assert [(draft.action, draft.actor) for draft in found] == [
        ("floor.queued", Y),
        ("floor.queued", Z),
        ("floor.queue-left", Y),
        ("floor.queue-left", Z),
    ]


def test_a_refusal_names_its_cause_and_the_holder() -> None:
    officer = PartyId("session:o")
    attach = c.AttachParty(officer, PartyKind.SESSION, "chen", GONGAN, may_queue=False)
    board = switchboard(attach, c.SetMembership(officer, FIRE), ask(Y))
    (denied,) = entries(board, ask(officer))
    assert (denied.action, denied.actor, denied.agency) == ("floor.denied", "chen", GONGAN)
    assert denied.detail == {"cause": "taken", "holder": Y, "party": officer}


def test_preemption_and_override_have_actions_of_their_own() -> None:
    found = entries(switchboard(ask(A)), ask(X, Priority.EMERGENCY))
    assert ("floor.preempted", A) in [(draft.action, draft.actor) for draft in found]
    assert ("leg.deaf", A) in [(draft.action, draft.actor) for draft in found]
    found = entries(switchboard(ask(X)), c.OverrideFloor(FIRE, Y))
    assert [draft.action for draft in found if draft.actor == X] == ["floor.overridden"]
    found = entries(switchboard(ask(X)), ask(Y, Priority.HIGH), c.ReleaseFloor(X))
    assert [(draft.action, draft.detail["cause"]) for draft in found if draft.actor == X] == [
        ("floor.revoking", "preempted"),
        ("floor.preempted", "preempted"),
    ]


def test_an_entry_belongs_to_the_agency_of_who_did_it_or_else_of_the_group() -> None:
    police, officer = GroupId("gongan-1"), PartyId("session:o")
    board = switchboard(
        c.DefineGroup(police, "Police 1", GONGAN),
        c.AttachParty(officer, PartyKind.SESSION, "officer", AgencyId("chengguan")),
        c.SetMembership(officer, police),
        c.SetMembership(X, police),
    )
    assert [draft.agency for draft in entries(board, ask(officer, group=police), c.ReleaseFloor(officer))] == [
        "chengguan",
        "chengguan",
    ]
    assert [draft.agency for draft in entries(board, ask(X, group=police), c.ReleaseFloor(X))] == ["gongan", "gongan"]


def test_patches_and_parties_come_and_go() -> None:
    found = entries(
        switchboard(),
        c.InstallPatch(JOINT, "Fire at the mill", (FIRE, POLICE)),
        c.RemovePatch(JOINT),
        c.DetachParty(B),
        c.DetachParty(X),
    )
    assert actions(found) == ["patch.installed", "patch.removed", "leg.missing", "session.closed"]
    assert found[0].detail == {"name": "Fire at the mill", "groups": ["fire", "police"]}


def test_every_kind_of_effect_has_an_entry_or_is_known_to_have_none() -> None:
    """A new effect type must be thought of here."""
    written: list[AuditDraft] = []
    trail = Trail(written.append)
    group, party, net = FIRE, X, "n"
    samples: dict[str, object] = {
        "party": party, "group": group, "net": net, "patch": JOINT, "label": "x", "agency": None, "name": "x",
        "kind": PartyKind.SESSION, "groups": (group,), "talk": 1, "position": 1, "priority": Priority.NORMAL,
        "limit_at": 1.0, "grace_ends": 1.0, "left_s": 1.0, "holder": None, "source": party, "listeners": (),
        "may_listen": True, "may_talk": True, "priorities": (),
    }  # fmt: skip
    for kind in get_args(e.Effect):
        hints = {name: samples.get(name) for name in kind.__dataclass_fields__}
        for name, cause in (("cause", None), ("origin", None)):
            if name in hints:
                annotation = kind.__dataclass_fields__[name].type
                hints[name] = next(iter(annotation)) if cause is None else cause
        before = len(written)
        trail(kind(**hints), 1.0)
        assert (len(written) > before) is not issubclass(kind, NOT_AUDITED), kind.__name__
