"""The command line's verbs for radios: what works without a running service, and mends what a dead one left."""

import json
import os
import threading
from pathlib import Path
from typing import Annotated

import typer

from tongpin.config.load import ConfigError, load
from tongpin.config.models import Config, LegConfig
from tongpin.gateway.errors import DeviceError

_UNKEY_S = 5.0
"""A driver that takes longer hangs; the other legs do not wait for it."""

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The configuration file; without it the embedded default.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


def _config(path: Path | None) -> Config:
    """The configuration, or every problem with it on standard error and exit code 2."""
    try:
        return load(path, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(2) from error


class _Unkeying(threading.Thread):
    """Drives one leg's line inactive; ``result`` is empty when that worked."""

    def __init__(self, leg: LegConfig) -> None:
        super().__init__(daemon=True)
        self.leg = leg
        self.result = "the keying line does not answer"

    def run(self) -> None:
        from tongpin.gateway.radio.drivers import drive_inactive

        try:
            drive_inactive(self.leg)
            self.result = ""
        except DeviceError as error:
            self.result = str(error)


def unkey(
    names: Annotated[list[str] | None, typer.Argument(help="Legs by name.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every leg of the configuration.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drive keying lines inactive, without the service: after it has died, or when a transmitter sticks.

    Exit code 0 when every line is inactive, 1 when one could not be reached, 2 when it is not clear which are meant.
    """
    settings = _config(config)
    known = {leg.name: leg for leg in settings.legs}
    unknown = [name for name in names or [] if name not in known]
    if unknown or bool(names) == everything:
        why = f"the configuration has no leg {unknown[0]!r}" if unknown else "name legs, or say --all"
        typer.echo(f"tongpin: {why}", err=True)
        raise typer.Exit(2)
    chosen = list(known.values()) if everything else [known[name] for name in names or []]
    workers = [_Unkeying(leg) for leg in chosen]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(_UNKEY_S)
    failed = [worker for worker in workers if worker.result]
    if as_json:
        rows = [{"leg": w.leg.name, "kind": w.leg.keyer.kind, "ok": not w.result, "reason": w.result} for w in workers]
        typer.echo(json.dumps({"legs": rows}))
    else:
        for worker in workers:
            line = f"{worker.leg.name}: {worker.result or 'inactive'} ({worker.leg.keyer.kind})"
            typer.echo(line, err=bool(worker.result))
        if not workers:
            typer.echo("the configuration has no legs")
    if failed:
        raise typer.Exit(1)
