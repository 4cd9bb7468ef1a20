"""``tongpin verify`` and ``tongpin audit``: the audit chain, without a running service."""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tongpin.config.load import ConfigError, load
from tongpin.gateway.auth import load_secret
from tongpin.gateway.chain import ChainVerifier, Checkpoint, CheckpointKey, Fault, Finding, read_checkpoint
from tongpin.gateway.clock import SystemClock
from tongpin.gateway.errors import TongpinError

if TYPE_CHECKING:
    from tongpin.gateway.audit import AuditStore

audit = typer.Typer(no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", help="The configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


def _fail(text: str, code: int = 1) -> typer.Exit:
    typer.echo(f"tongpin: {text}", err=True)
    return typer.Exit(code)


def _with_audit(
    config: Path | None, work: Callable[["AuditStore", CheckpointKey], Coroutine[None, None, None]]
) -> None:
    """Run over the configuration's database as it stands; nothing is migrated or made."""
    from tongpin.gateway.app import storage_url
    from tongpin.gateway.storage.audit import SqlAudit
    from tongpin.gateway.storage.store import Store

    async def run() -> None:
        settings = load(config, os.environ)
        key = CheckpointKey(load_secret(settings.data_folder))
        store = Store(storage_url(settings))
        try:
            await work(SqlAudit(store), key)
        finally:
            await store.close()

    try:
        asyncio.run(run())
    except ConfigError as error:
        raise _fail(str(error), 2) from error
    except TongpinError as error:
        raise _fail(str(error)) from error


@audit.command()
def checkpoint(config: ConfigOption = None) -> None:
    """Print where the chain stands, as one line of JSON: keep it, or send it away."""

    async def work(store: "AuditStore", key: CheckpointKey) -> None:
        from tongpin.gateway.audit import checkpoint_now

        point = await checkpoint_now(store, key, SystemClock())
        if point is None:
            raise _fail("the audit log has no entry yet")
        typer.echo(json.dumps(point.content()))

    _with_audit(config, work)


def verify(
    file: Annotated[Path | None, typer.Argument(help="An export of the audit log, JSON or NDJSON.")] = None,
    database: Annotated[bool, typer.Option("--database", help="Check the log in the database instead.")] = False,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A file with a checkpoint that must be in the chain; may stand again.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check an exported audit chain, and name every entry that was changed, removed, inserted or moved.

    Exit code 0: whole; 1: not whole, or it cannot be read.
    """
    if (file is None) is not database:
        raise _fail("name a file, or say --database", 2)
    if file is None:
        _verify_database(config, as_json)
        return
    try:
        points = [read_checkpoint(json.loads(path.read_text("utf-8"))) for path in checkpoint or ()]
    except (OSError, ValueError) as error:
        raise _fail(f"the checkpoint cannot be read: {error}") from error
    try:
        verifier, has_end = verify_file(file, points)
    except (OSError, UnicodeDecodeError) as error:
        raise _fail(f"{file} cannot be read: {error}") from error
    findings = verifier.finish()
    _tell(verifier.count, verifier.last, findings, verifier.fault_count, as_json)
    if not has_end and not as_json:
        typer.echo("nothing says where the chain ends: give a --checkpoint to see whether it was cut short")


def verify_file(file: Path, points: list[Checkpoint]) -> tuple[ChainVerifier, bool]:
    """Feed a file to a verifier; also whether anything tells where the chain ends.

    Raises:
        OSError, UnicodeDecodeError: it cannot be read.
    """
    items = list(_items(file))
    for _, item in items:
        if isinstance(item, dict) and "checkpoint" in item:
            try:
                points = [*points, read_checkpoint(item)]
            except ValueError:
                continue  # found below
    verifier = ChainVerifier(checkpoints=points)
    for line, item in items:
        if isinstance(item, ValueError):
            verifier.find(Fault.MALFORMED, line, f"line {line} is not JSON: it was changed or cut")
        elif isinstance(item, dict) and "checkpoint" in item:
            try:
                read_checkpoint(item)
            except ValueError as error:
                verifier.find(Fault.MALFORMED, line, f"line {line}: {error}")
        else:
            verifier.feed(item)
    if not verifier.count and not verifier.fault_count:
        verifier.find(Fault.MALFORMED, 0, "there is no entry in the file")
    return verifier, bool(points)


def _items(file: Path) -> Iterator[tuple[int, object]]:
    """What stands in the file, with its line (1 for a document of many lines); a ValueError where JSON is broken."""
    text = file.read_text("utf-8")
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict) and isinstance(document.get("items"), list):
        yield from ((1, item) for item in document["items"])
        if document.get("checkpoint") is not None:
            yield 1, {"checkpoint": document["checkpoint"]}
    elif isinstance(document, list):
        yield from ((1, item) for item in document)
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except (ValueError, RecursionError):
                    yield number, ValueError()


def _verify_database(config: Path | None, as_json: bool) -> None:
    async def work(store: "AuditStore", key: CheckpointKey) -> None:
        from tongpin.gateway.audit import verify_store

        found = await verify_store(store, key, is_full=True)
        _tell(found.count, found.last, found.findings, len(found.findings), as_json)

    _with_audit(config, work)


def _tell(count: int, last: int, findings: "tuple[Finding, ...] | list[Finding]", faults: int, as_json: bool) -> None:
    """Print the result; raises typer.Exit 1 when the chain is not whole."""
    if as_json:
        listed = [{"fault": item.fault.value, "entry": item.entry, "text": item.text} for item in findings]
        result = {"is_whole": not findings, "count": count, "last": last, "findings": listed, "fault_count": faults}
        typer.echo(json.dumps(result))
    elif not findings:
        typer.echo(f"the chain is whole: {count} entries, the last is {last}")
    else:
        for item in findings:
            typer.echo(f"{item.fault.value}: {item.text}")
        typer.echo(f"the chain is NOT whole: {faults} faults in {count} entries")
    if findings:
        raise typer.Exit(1)
