"""Checks a Tongpin export: ``python verify.py [EXPORT.zip]``; without a name, the unpacked folder it lies in.

Needs Python 3.8 or newer and nothing else. Exit code 0: every file is as it was exported, and every recording is the
one that the audit log knows. Exit code 1: what is wrong is named, one line each.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from pathlib import Path


def _read(source: Path) -> dict[str, bytes]:
    """Name to bytes, of a zip or a folder."""
    if source.is_dir():
        return {
            path.relative_to(source).as_posix(): path.read_bytes()
            for path in sorted(source.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
    with zipfile.ZipFile(source) as archive:
        names = archive.namelist()
        if len(set(names)) != len(names):
            raise ValueError("a name stands twice in the zip")
        return {name: archive.read(name) for name in names}


def _canonical_hash(entry: dict[str, object]) -> str:
    content = {name: value for name, value in entry.items() if name != "hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def problems(source: str) -> list[str]:
    """Everything that is wrong, as lines of text; an empty list when nothing is."""
    found: list[str] = []
    try:
        held = _read(Path(source))
        manifest = json.loads(held.pop("manifest.json"))
        listed = manifest["files"]
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        return [f"not a readable export: {error}"]
    for name in sorted(set(listed) | set(held)):
        if name not in held:
            found.append(f"{name}: missing")
        elif name not in listed:
            found.append(f"{name}: was not exported")
        elif hashlib.sha256(held[name]).hexdigest() != listed[name]:
            found.append(f"{name}: changed since the export")
    if found:
        return found
    recorded = {}
    for number, line in enumerate(held["audit.ndjson"].decode().splitlines(), 1):
        entry = json.loads(line)
        if _canonical_hash(entry) != entry["hash"]:
            found.append(f"audit.ndjson line {number}: the entry does not match its hash")
        if entry["action"] == "transmission.recorded":
            recorded[entry["subject"]] = entry["detail"]
    for row in json.loads(held["timeline.json"]):
        if row["file"] is None or row["state"] == "open":
            continue
        known = recorded.get(row["id"])
        if known is None:
            found.append(f"{row['id']}: the audit log does not know this recording")
        elif known["sha256"] != hashlib.sha256(held[row["file"]]).hexdigest():
            found.append(f"{row['file']}: not the recording that the audit log knows")
    return found


def main() -> int:
    source = sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).resolve().parent)
    lines = problems(source)
    for line in lines:
        print(line)
    if not lines:
        print("all files are as they were exported")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
