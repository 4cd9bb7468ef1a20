"""The audit log by REST: who sees what, filters, pages, exports that ``tongpin verify`` accepts."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.inside import Inside, config_of, inside
from tongpin.gateway.cli_audit import verify_file
from tongpin.gateway.records import AuditDraft


@pytest.fixture
async def district(tmp_path: Path, storage_url: str) -> AsyncIterator[Inside]:
    async with inside(config_of(tmp_path, storage_url)) as made:
        for number in range(12):
            agency = (None, "gongan", "chengguan")[number % 3]
            made.gateway.audit.record(AuditDraft("floor.granted", "陈", f"g-{number}", agency, {"talk": number}))
        await made.gateway.audit.checkpoint()
        yield made


async def test_an_agency_sees_its_own_and_the_centre_all(district: Inside) -> None:
    expected: dict[str, set[str | None]] = {
        "chief": {None, "gongan", "chengguan"},
        "overseer": {None, "gongan", "chengguan"},
        "police-chief": {"gongan"},
        "police-auditor": {"gongan"},
    }
    for username, agencies in expected.items():
        async with district.client(username) as client:
            answer = await client.get("/audit", params={"agency": "chengguan"})
            assert len(answer.json()["items"]) == (4 if "chengguan" in agencies else 0), username
            items = (await client.get("/audit")).json()["items"]
            assert {item["agency"] for item in items} == agencies, username
    for username in ("desk", "police-desk"):
        async with district.client(username) as client:
            for path in ("/audit", "/audit/checkpoint"):
                assert (await client.get(path)).status_code == 403
            assert (await client.post("/audit/verify")).status_code == 403
    async with district.client() as client:
        assert (await client.get("/audit")).status_code == 401


async def test_pages_put_together_are_the_log_and_verify(district: Inside, tmp_path: Path) -> None:
    async with district.client("chief") as client:
        pages, cursor = [], None
        while True:
            params = {"limit": "5"} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/audit", params=params)).json()
            pages.append(page)
            cursor = page["next"]
            if cursor is None:
                break
        newest = (await client.get("/audit", params={"order": "desc", "limit": 1})).json()["items"]
    items = [item for page in pages for item in page["items"]]
    assert [item["sequence"] for item in items] == list(range(1, 13))
    assert [(item["id"], item["name"]) for item in newest] == [("12", "floor.granted")]
    assert [page["checkpoint"] is not None for page in pages] == [False, False, True]
    file = tmp_path / "export.json"
    file.write_text(json.dumps({"items": items, "checkpoint": pages[-1]["checkpoint"]}))
    verifier, has_end = verify_file(file, [])
    assert (verifier.count, verifier.finish(), has_end) == (12, [], True)


async def test_the_export_in_lines_verifies_and_a_cut_one_does_not(district: Inside, tmp_path: Path) -> None:
    async with district.client("chief") as client:
        answer = await client.get("/audit", params={"format": "ndjson"})
        point = (await client.get("/audit/checkpoint")).json()
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = answer.text.splitlines()
    assert len(lines) == 13
    assert json.loads(lines[-1])["checkpoint"]["hash"] == point["hash"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.write_text(answer.text, "utf-8")
    cut.write_text("\n".join([*lines[:8], lines[-1]]), "utf-8")
    assert verify_file(whole, [])[0].finish() == []
    assert [item.text for item in verify_file(cut, [])[0].finish()] == [
        "the chain ends at entry 8, but a checkpoint saw entry 12: it was cut short"
    ]


async def test_filters_and_their_limits(district: Inside) -> None:
    async with district.client("overseer") as client:
        found = (await client.get("/audit", params={"subject": "g-4", "action": "floor.*", "actor": "陈"})).json()
        assert [item["detail"] for item in found["items"]] == [{"talk": 4}]
        assert found["checkpoint"] is None
        at = found["items"][0]["at"]
        assert (await client.get("/audit", params={"until": at})).json()["items"] != []
        for wrong in ({"limit": "0"}, {"limit": "1001"}, {"cursor": "x"}, {"since": "2026-01-01T00:00:00"}):
            assert (await client.get("/audit", params=wrong)).status_code == 422, wrong
        export = await client.get("/audit", params={"format": "ndjson", "subject": "g-4"})
        assert len(export.text.splitlines()) == 1


async def test_the_chain_is_verified_on_demand(district: Inside) -> None:
    async with district.client("chief") as client:
        assert (await client.post("/audit/verify")).json() == {
            "is_whole": True,
            "first": 1,
            "last": 12,
            "count": 12,
            "findings": [],
        }
