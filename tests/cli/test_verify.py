"""``tongpin verify`` and ``tongpin audit`` as a person or a script calls them."""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tongpin.gateway.chain import GENESIS, AuditEntry
from tongpin.gateway.cli import app

RUN = CliRunner()


def _lines(count: int) -> list[str]:
    lines, previous = [], GENESIS
    for number in range(1, count + 1):
        at = datetime(2026, 3, 4, 19, 40, number, tzinfo=UTC)
        entry = AuditEntry(number, at, "floor.granted", "陈", None, "g", {}, previous).sealed()
        previous = entry.hash
        lines.append(json.dumps(entry.content(), ensure_ascii=False))
    return lines


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "audit.ndjson"
    path.write_text("\n".join(_lines(6)) + "\n", "utf-8")
    return path


def test_a_whole_file(file: Path) -> None:
    done = RUN.invoke(app, ["verify", str(file)])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "the chain is whole: 6 entries, the last is 6",
        "nothing says where the chain ends: give a --checkpoint to see whether it was cut short",
    ]


@pytest.mark.parametrize("form", ["array", "page"])
def test_a_whole_document(form: str, file: Path) -> None:
    items = [json.loads(line) for line in _lines(6)]
    file.write_text(json.dumps(items if form == "array" else {"items": items, "next": None}, indent=1), "utf-8")
    assert RUN.invoke(app, ["verify", str(file)]).exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("陈", "王", "changed: entry 1 was changed: its content does not give its hash"),
        ('"sequence": 4', '"sequence": 5', "changed: entry 5 was changed: its content does not give its hash"),
        ('{"sequence": 3', '{"sequ', "malformed: line 3 is not JSON: it was changed or cut"),
    ],
)
def test_a_fault_is_named_and_is_exit_code_1(old: str, new: str, told: str, file: Path) -> None:
    text = file.read_text("utf-8")
    lines = text.replace(old, new, 1).splitlines()
    if told.startswith("malformed"):
        lines[2] = lines[2][:20]
    file.write_text("\n".join(lines), "utf-8")
    done = RUN.invoke(app, ["verify", str(file)])
    assert done.exit_code == 1
    assert told in done.stdout
    told_json = json.loads(RUN.invoke(app, ["verify", str(file), "--json"]).stdout)
    assert told_json["is_whole"] is False
    assert told.partition(": ")[2] in [item["text"] for item in told_json["findings"]]


def test_a_checkpoint_shows_that_a_file_was_cut(file: Path, tmp_path: Path) -> None:
    last = json.loads(_lines(6)[-1])
    point = tmp_path / "point.json"
    point.write_text(json.dumps({"sequence": 6, "hash": last["hash"], "at": last["at"]}))
    assert RUN.invoke(app, ["verify", str(file), "--checkpoint", str(point)]).exit_code == 0
    file.write_text("\n".join(_lines(6)[:4]), "utf-8")
    done = RUN.invoke(app, ["verify", str(file), "--checkpoint", str(point)])
    assert done.exit_code == 1
    assert "the chain ends at entry 4, but a checkpoint saw entry 6: it was cut short" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["verify"], 2, "name a file, or say --database"),
        (["verify", "no-such-file"], 1, "no-such-file cannot be read"),
        (["verify", __file__, "--checkpoint", __file__], 1, "the checkpoint cannot be read"),
        (["verify", "/dev/null"], 1, ""),
    ],
)
def test_wrong_calls_are_one_line(words: list[str], code: int, told: str) -> None:
    done = RUN.invoke(app, words)
    assert done.exit_code == code
    assert told in done.stderr


def test_a_broken_checkpoint_line_is_a_fault(file: Path) -> None:
    file.write_text(file.read_text("utf-8") + '{"checkpoint": {"sequence": 6}}\n', "utf-8")
    done = RUN.invoke(app, ["verify", str(file)])
    assert (done.exit_code, done.stdout.splitlines()[0]) == (
        1,
        "malformed: line 7: a checkpoint is an object with sequence, hash and at",
    )


def test_the_database_is_checked_where_it_stands(tmp_path: Path) -> None:
    config = tmp_path / "tongpin.yaml"
    config.write_text(f"data_folder: {tmp_path / 'data'}\n")
    assert RUN.invoke(app, ["db", "upgrade", "--config", str(config)]).exit_code == 0
    done = RUN.invoke(app, ["audit", "checkpoint", "--config", str(config)])
    assert (done.exit_code, done.stderr) == (1, "tongpin: the audit log has no entry yet\n")
    database = next(tmp_path.rglob("tongpin.db"))
    with sqlite3.connect(database) as connection:
        for line in _lines(3):
            entry = json.loads(line)
            entry |= {"detail": "{}", "at": entry["at"].replace("T", " ").replace("+00:00", ".000000")}
            names = ", ".join(entry)
            marks = ", ".join(f":{name}" for name in entry)
            connection.execute(f"INSERT INTO audit ({names}) VALUES ({marks})", entry)
    connection.close()
    done = RUN.invoke(app, ["verify", "--database", "--config", str(config)])
    assert (done.exit_code, done.stdout) == (0, "the chain is whole: 3 entries, the last is 3\n")
    point = json.loads(RUN.invoke(app, ["audit", "checkpoint", "--config", str(config)]).stdout)
    assert (point["sequence"], point["hash"]) == (3, json.loads(_lines(3)[2])["hash"])
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE sequence = 2")
    connection.close()
    done = RUN.invoke(app, ["verify", "--database", "--config", str(config)])
    assert done.exit_code == 1
    assert "changed: entry 2 was changed" in done.stdout
