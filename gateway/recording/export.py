"""Evidence: a zip with the audio, a timeline for people and programs, the audit entries, and a verifier of its own.

The verifier is a single file that runs with Python's standard library only, so a court needs nothing of ours.
"""

import csv
import hashlib
import html
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from tongpin.gateway.transmissions import Note, Transmission

VERSION = 1


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One transmission of an export, with what was noted to it."""

    transmission: Transmission
    notes: Sequence[Note]


def write_export(
    target: Path, folder: Path, rows: Sequence[ExportRow], title: str, made_by: str, made_at: datetime, audit: str
) -> str:
    """Write the zip. Blocking.

    Returns:
        SHA-256 of the manifest, which names every other file's: with it in the audit log the whole zip can be proved.

    Args:
        folder: where the recordings lie.
        audit: the audit entries of these transmissions, one JSON object a line, as the chain has them.
    """
    hashes: dict[str, str] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:

        def add(name: str, data: bytes) -> None:
            hashes[name] = hashlib.sha256(data).hexdigest()
            archive.writestr(zipfile.ZipInfo(name, made_at.timetuple()[:6]), data)

        entries = []
        for row in rows:
            found = row.transmission
            name = f"audio/{found.id}.ogg"
            try:
                add(name, (folder / found.file).read_bytes())
            except FileNotFoundError:
                name = ""  # Expired, failed or still to be written: the timeline says so by its state.
            entries.append(_entry(row, name))
        add("timeline.json", json.dumps(entries, ensure_ascii=False, indent=1).encode())
        add("timeline.csv", _csv(entries))
        add("timeline.html", _html(entries, title).encode())
        add("audit.ndjson", audit.encode())
        add("verify.py", (files("tongpin.gateway.recording") / "verifier.py").read_bytes())
        manifest = {
            "format": "tongpin-export",
            "version": VERSION,
            "title": title,
            "made_by": made_by,
            "made_at": made_at.isoformat(),
            "files": hashes,
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True).encode()
        archive.writestr("manifest.json", text)
    return hashlib.sha256(text).hexdigest()


_Row = dict[str, object]


def _entry(row: ExportRow, name: str) -> _Row:
    found = row.transmission
    return {
        "id": found.id,
        "started_at": found.started_at.isoformat(),
        "ended_at": found.ended_at.isoformat() if found.ended_at is not None else None,
        "talker": found.talker,
        "label": found.label,
        "agency": found.agency,
        "unit": found.unit,
        "leg": found.leg,
        "net": found.net,
        "talk_group": found.talk_group,
        "talk_groups": list(found.talk_groups),
        "joint_channel": found.joint_channel,
        "priority": found.priority,
        "origin": found.origin,
        "cause": found.cause,
        "state": str(found.state.value),
        "duration_ms": found.duration_ms,
        "lost_ms": found.lost_ms,
        "size_bytes": found.size_bytes,
        "sha256": found.sha256,
        "file": name or None,
        "notes": [{"author": n.author, "at": n.at.isoformat(), "at_ms": n.at_ms, "text": n.text} for n in row.notes],
    }


_COLUMNS = ("started_at", "label", "agency", "unit", "talk_group", "joint_channel", "priority", "cause", "state")


def _csv(entries: Sequence[_Row]) -> bytes:
    """UTF-8 with a byte-order mark, which spreadsheets need; a leading = + - @ is quoted, which they would run."""
    out = io.StringIO()
    writer = csv.writer(out)
    columns = (*_COLUMNS, "duration_ms", "lost_ms", "sha256", "file", "id")
    writer.writerow(columns)
    for entry in entries:
        cells = ["" if entry[column] is None else str(entry[column]) for column in columns]
        writer.writerow(["'" + cell if cell[:1] in ("=", "+", "-", "@") else cell for cell in cells])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _html(entries: Sequence[_Row], title: str) -> str:
    shown = html.escape(title)
    rows = "\n".join(
        "<tr>"
        + "".join(f"<td>{html.escape('' if entry[c] is None else str(entry[c]))}</td>" for c in _COLUMNS)
        + f"<td>{int(str(entry['duration_ms'])) / 1000:.1f} s</td><td>"
        + (f'<audio controls preload="none" src="{html.escape(str(entry["file"]))}"></audio>' if entry["file"] else "")
        + "</td></tr>"
        for entry in entries
    )
    head = "".join(f"<th>{column.replace('_', ' ')}</th>" for column in (*_COLUMNS, "length", "sound"))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{shown}</title><style>'
        "body{font:15px system-ui,sans-serif;margin:2rem}table{border-collapse:collapse}"
        "td,th{border:1px solid #999;padding:.3rem .6rem;text-align:left}th{background:#eee}</style>"
        f"<h1>{shown}</h1><p>{len(entries)} transmissions. Check this folder with: <code>python verify.py</code></p>"
        f"<table><tr>{head}</tr>\n{rows}\n</table></html>\n"
    )
