"""An export is checked by the verifier in it, run as a court would run it: alone, with a bare Python."""

import csv
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tongpin.gateway.chain import GENESIS, AuditEntry
from tongpin.gateway.recording.export import ExportRow, write_export
from tongpin.gateway.recording.recorder import recorded
from tongpin.gateway.transmissions import Note, RecordingState, Transmission

AT = datetime(2026, 3, 4, 19, 40, tzinfo=UTC)


def transmission(number: int, sound: bytes) -> Transmission:
    return Transmission(
        id=f"20260304T194000-{number}",
        talk=number,
        started_at=AT + timedelta(seconds=number),
        ended_at=AT + timedelta(seconds=number + 1),
        talker="leg:police-radio",
        label="=cmd|' /C calc'!A0 <b>公安</b>",
        agency="gongan",
        unit=None,
        leg="police-radio",
        net="jc-1",
        talk_group="police-1",
        talk_groups=("police-1",),
        agencies=("gongan",),
        joint_channel="jc-1",
        priority="normal",
        origin="cos",
        file=f"{number}.ogg",
        state=RecordingState.COMPLETE,
        duration_ms=1_000,
        size_bytes=len(sound),
        sha256=hashlib.sha256(sound).hexdigest(),
    )


@pytest.fixture
def export(tmp_path: Path) -> Path:
    rows, lines, previous = [], [], GENESIS
    for number in (1, 2):
        sound = f"sound {number}".encode()
        (tmp_path / f"{number}.ogg").write_bytes(sound)
        row = transmission(number, sound)
        rows.append(ExportRow(row, [Note("n-1", row.id, "duty", AT, 200, "听到孩子")]))
        draft = recorded(row)
        entry = AuditEntry(
            number, AT, draft.action, draft.actor, draft.agency, draft.subject, draft.detail, previous
        ).sealed()
        previous = entry.hash
        lines.append(json.dumps(entry.content(), ensure_ascii=False))
    gone = replace(transmission(3, b""), state=RecordingState.EXPIRED)
    target = tmp_path / "export.zip"
    write_export(target, tmp_path, [*rows, ExportRow(gone, [])], "Fire <7>", "duty", AT, "\n".join(lines) + "\n")
    return target


def verify(target: Path, tmp_path: Path) -> tuple[int, str]:
    """The verifier from the zip, in an isolated interpreter without our packages."""
    script = tmp_path / "verify.py"
    with zipfile.ZipFile(target) as archive:
        script.write_bytes(archive.read("verify.py"))
    words = [sys.executable, "-I", "-S", str(script), str(target)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def changed(target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(target) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    change(held)
    out = target.with_name("changed.zip")
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in held.items():
            archive.writestr(name, data)
    return out


def test_a_whole_export_is_said_to_be_whole(export: Path, tmp_path: Path) -> None:
    assert verify(export, tmp_path) == (0, "all files are as they were exported\n")


def test_the_timeline_is_for_people_and_for_programs(export: Path) -> None:
    with zipfile.ZipFile(export) as archive:
        entries = json.loads(archive.read("timeline.json"))
        table = list(csv.DictReader(io.StringIO(archive.read("timeline.csv").decode("utf-8-sig"))))
        page = archive.read("timeline.html").decode()
        assert archive.testzip() is None
    assert [entry["file"] for entry in entries] == [f"audio/20260304T194000-{n}.ogg" for n in (1, 2)] + [None]
    assert entries[0]["notes"][0]["text"] == "听到孩子"
    assert entries[2]["state"] == "expired"
    assert table[0]["label"].startswith("'=cmd"), "a spreadsheet must not run what a radio's label says"
    assert "<b>" not in page and "&lt;b&gt;公安" in page and "Fire &lt;7&gt;" in page


def flip(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(held: dict[str, bytes]) -> None:
        held[name] = held[name][:-2] + bytes([held[name][-2] ^ 1]) + held[name][-1:]

    return change


@pytest.mark.parametrize(
    "name", ["audio/20260304T194000-1.ogg", "timeline.json", "timeline.csv", "timeline.html", "audit.ndjson"]
)
def test_a_flipped_bit_is_found_and_named(name: str, export: Path, tmp_path: Path) -> None:
    assert verify(changed(export, flip(name)), tmp_path) == (1, f"{name}: changed since the export\n")


def test_what_is_missing_or_added_is_named(export: Path, tmp_path: Path) -> None:
    def change(held: dict[str, bytes]) -> None:
        del held["audio/20260304T194000-2.ogg"]
        held["audio/other.ogg"] = b"x"

    code, said = verify(changed(export, change), tmp_path)
    assert code == 1
    assert said.splitlines() == [
        "audio/20260304T194000-2.ogg: missing",
        "audio/other.ogg: was not exported",
    ]


def renewed(name: str, data: Callable[[bytes], bytes]) -> Callable[[dict[str, bytes]], None]:
    """A forger who also mends the manifest."""

    def change(held: dict[str, bytes]) -> None:
        held[name] = data(held[name])
        manifest = json.loads(held["manifest.json"])
        manifest["files"][name] = hashlib.sha256(held[name]).hexdigest()
        held["manifest.json"] = json.dumps(manifest).encode()

    return change


def test_the_audit_log_finds_a_forger_who_mends_the_manifest(export: Path, tmp_path: Path) -> None:
    audio = "audio/20260304T194000-1.ogg"
    code, said = verify(changed(export, renewed(audio, lambda _: b"forged")), tmp_path)
    assert (code, said) == (1, f"{audio}: not the recording that the audit log knows\n")
    forged = renewed("audit.ndjson", lambda text: text.replace(b'"size_bytes": 7', b'"size_bytes": 8', 1))
    code, said = verify(changed(export, forged), tmp_path)
    assert code == 1 and "audit.ndjson line 1: the entry does not match its hash" in said
    code, said = verify(changed(export, renewed("audit.ndjson", lambda _: b"")), tmp_path)
    assert code == 1 and said.count("the audit log does not know this recording") == 2


def test_what_is_no_export_is_said(tmp_path: Path, export: Path) -> None:
    def change(held: dict[str, bytes]) -> None:
        del held["manifest.json"]

    code, said = verify(changed(export, change), tmp_path)
    assert code == 1 and said.startswith("not a readable export")
