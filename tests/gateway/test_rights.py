"""The table of rights: what it says in the documents, and how it is asked."""

from itertools import product
from pathlib import Path

import pytest

from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import Role
from tongpin.gateway.rights import (
    POSTS,
    RIGHTS,
    Identity,
    Reach,
    Right,
    check_post,
    may,
    reach,
    reference,
    require,
    require_somewhere,
)

DOCS = Path(__file__).parents[2] / "docs"
CHINESE = {Reach.NONE: "–", Reach.OWN: "本部门", Reach.OWN_AND_CENTRE: "本部门 + 中心", Reach.ALL: "全部"}


def who(role: Role, agency: str | None = None, verbs: frozenset[Right] | None = None) -> Identity:
    return Identity("u-1", "chen", role, agency, verbs)


def test_the_document_has_the_table() -> None:
    said = (DOCS / "roles.md").read_text("utf-8")
    assert reference() in said, "run: python -c 'from tongpin.gateway.rights import reference; print(reference())'"


def test_the_chinese_document_has_the_same_reaches() -> None:
    rows = {}
    for line in (DOCS / "roles.zh-CN.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].strip("`") in set(Right):
            rows[Right(cells[0].strip("`"))] = cells[2:]
    assert rows == {right: [CHINESE[extent] for extent in reaches.values()] for right, reaches in RIGHTS.items()}


@pytest.mark.parametrize(
    ("role", "agency", "right", "allowed"),
    [
        (Role.ADMIN, None, Right.MANAGE, {"gongan", "chengguan", None}),
        (Role.AGENCY_ADMIN, "gongan", Right.MANAGE, {"gongan"}),
        (Role.DISPATCHER, "gongan", Right.TALK, {"gongan", None}),
        (Role.DISPATCHER, None, Right.TALK, {"gongan", "chengguan", None}),
        (Role.DISPATCHER, "gongan", Right.CONSENT, {"gongan"}),
        (Role.DISPATCHER, None, Right.CONSENT, {None}),
        (Role.ADMIN, None, Right.CONSENT, {None}),
        (Role.OFFICER, "gongan", Right.TALK, {"gongan", None}),
        (Role.OFFICER, "gongan", Right.OVERRIDE, set()),
        (Role.AUDITOR, "gongan", Right.AUDIT, {"gongan"}),
        (Role.AUDITOR, "gongan", Right.TALK, set()),
        (Role.AUDITOR, None, Right.AUDIT, {"gongan", "chengguan", None}),
        (Role.DISPATCHER, None, Right.MANAGE_USERS, set()),
    ],
)
def test_whose_things_a_right_reaches(role: Role, agency: str | None, right: Right, allowed: set[str | None]) -> None:
    caller = who(role, agency)
    assert {owner for owner in ("gongan", "chengguan", None) if may(caller, right, owner)} == allowed


@pytest.mark.parametrize("right", Right)
def test_a_role_that_is_not_held_there_may_nothing(right: Right) -> None:
    """However such a user came into the database: an admin with an agency has not the platform in his hands."""
    assert reach(who(Role.ADMIN, "gongan"), right) is Reach.NONE
    assert reach(who(Role.AGENCY_ADMIN), right) is Reach.NONE


def test_a_key_may_its_verbs_only() -> None:
    key = who(Role.ADMIN, None, frozenset({Right.SEE}))
    assert [right for right in Right if may(key, right, "gongan")] == [Right.SEE]


def test_a_refusal_names_the_right_and_the_owner() -> None:
    with pytest.raises(CallerError, match=r"'chen' has no right 'things.manage' at agency 'chengguan'") as caught:
        require(who(Role.AGENCY_ADMIN, "gongan"), Right.MANAGE, "chengguan")
    assert (caught.value.status, caught.value.code) == (403, "not-allowed")
    with pytest.raises(CallerError, match="at the command centre"):
        require(who(Role.AGENCY_ADMIN, "gongan"), Right.MANAGE, None)
    with pytest.raises(CallerError, match=r"no right 'users.manage'$"):
        require_somewhere(who(Role.OFFICER, "gongan"), Right.MANAGE_USERS)
    require_somewhere(who(Role.AGENCY_ADMIN, "gongan"), Right.MANAGE_USERS)


def test_roles_are_held_where_the_table_has_a_column() -> None:
    refused = set()
    for role, agency in product(Role, (None, "gongan")):
        try:
            check_post(role, agency)
        except CallerError as error:
            refused.add((role, agency, error.code))
    assert refused == {
        (Role.ADMIN, "gongan", "role-without-agency"),
        (Role.AGENCY_ADMIN, None, "role-needs-agency"),
    }
    assert len(POSTS) == 2 * len(Role) - len(refused)
