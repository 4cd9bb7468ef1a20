"""The command line's verbs for radios: what works without a running service, and mends what a dead one left."""

import json
import os
import threading
from pathlib import Path
from typing import Annotated

import typer

from tongpin.config.load import ConfigError, load
from tongpin.config.models import Config, LegConfig
from tongpin.gateway.errors import DeviceError, TongpinError

_UNKEY_S = 5.0
"""A driver that takes longer hangs; the other legs do not wait for it."""

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The configuration file; without it the embedded default.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


def read(path: Path | None) -> Config:
    """The configuration, or every problem with it on standard error and exit code 2."""
    try:
        return load(path, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(2) from error


legs = typer.Typer(no_args_is_help=True)


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
    settings = read(config)
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


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say what this machine lacks for the configuration, one line each: what is wrong and how to mend it.

    Opens no keying line and may run beside the service. Exit code 1 when something is wrong.
    """
    from dataclasses import asdict

    from tongpin.gateway.doctor import Verdict, examine

    findings = examine(read(config))
    is_well = all(finding.verdict is not Verdict.BAD for finding in findings)
    if as_json:
        typer.echo(json.dumps({"ok": is_well, "findings": [asdict(finding) for finding in findings]}))
    else:
        for finding in findings:
            cure = f"; {finding.cure}" if finding.cure else ""
            typer.echo(f"{finding.verdict:<5} {finding.subject}: {finding.text}{cure}")
    if not is_well:
        raise typer.Exit(1)


@legs.command("test")
def leg_test(
    name: Annotated[str, typer.Argument(help="The leg's name.")],
    config: ConfigOption = None,
    listen: Annotated[float, typer.Option(help="Seconds to wait for somebody to speak; 0 = for nobody.", min=0)] = 20.0,
    tone: Annotated[float, typer.Option(help="Seconds of 1 kHz when nobody was heard.", min=0.1, max=20)] = 1.0,
    calibrate: Annotated[bool, typer.Option(help="Set levels by 1 kHz tones, both ways.")] = False,
    confirm_polarity: Annotated[
        bool, typer.Option(help="I watch the transmitter: it is on only while this test keys it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Key a leg, play back what it hears, and measure level, squelch tail, delay and whether it hears itself.

    It transmits: use a dummy load or a free channel. Exit code 0 = green, 1 = something is wrong.
    """
    from tongpin.gateway.cli_leg import examine_leg

    settings = read(config)
    leg = next((known for known in settings.legs if known.name == name), None)
    if leg is None:
        typer.echo(f"tongpin: the configuration has no leg {name!r}", err=True)
        raise typer.Exit(2)
    try:
        is_green = examine_leg(settings, leg, listen, tone, calibrate, confirm_polarity, as_json)
    except TongpinError as error:
        typer.echo(f"tongpin: {error}", err=True)
        raise typer.Exit(1) from None
    if not is_green:
        raise typer.Exit(1)
