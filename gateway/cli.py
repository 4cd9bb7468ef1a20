"""The command line. Heavy imports stand inside the verbs: ``tongpin --help`` must be quick."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from dataclasses import asdict
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tongpin.config.keyers import Cm108Keyer, GpioKeyer, KeyerConfig, RigctlKeyer, SerialKeyer
from tongpin.config.load import ConfigError, load
from tongpin.config.models import Config
from tongpin.gateway.cli_audit import audit, verify
from tongpin.gateway.cli_media import listen, say
from tongpin.gateway.cli_radio import doctor, legs, unkey
from tongpin.gateway.cli_users import users
from tongpin.gateway.demo import Chatter, demo_config, demo_users
from tongpin.gateway.errors import TongpinError

if TYPE_CHECKING:
    from tongpin.gateway.app import Ready

app = typer.Typer(
    help="Walkie-talkies and browsers of several agencies on the same frequency.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(say)
app.command()(listen)
app.add_typer(users, name="user", help="People who can log in.")
app.add_typer(audit, name="audit", help="The audit log.")
app.command()(verify)
app.command()(unkey)
app.command()(doctor)
app.add_typer(legs, name="leg", help="One radio.")
database = typer.Typer(no_args_is_help=True)
app.add_typer(database, name="db", help="The database.")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The configuration file; without it the embedded default.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


def fail(text: str, code: int = 1) -> NoReturn:
    """One line on standard error, and the end."""
    typer.echo(f"tongpin: {text}", err=True)
    raise typer.Exit(code)


def read_config(path: Path | None) -> Config:
    """The configuration, or every problem with it on standard error and exit code 2."""
    try:
        return load(path, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(2) from error


def run_service(work: Coroutine[None, None, None]) -> None:
    """Run to the end; a failure to start is one line."""
    try:
        asyncio.run(work)
    except* TongpinError as group:
        fail(str(group.exceptions[0]))


@app.command()
def serve(
    config: ConfigOption = None, log_json: Annotated[bool, typer.Option(help="Logs as JSON lines.")] = False
) -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    from tongpin.gateway import logs
    from tongpin.gateway.app import run

    settings = read_config(config)
    logs.set_up(as_json=log_json)
    run_service(run(settings, lambda ready: typer.echo(f"Tongpin is ready at {ready.url}")))


@app.command()
def demo(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 = any free one.", min=0, max=65535)] = 8080,
    chatter: Annotated[Chatter, typer.Option(help="How much the simulated radios talk.")] = Chatter.NORMAL,
    as_json: JsonOption = False,
) -> None:
    """The main job with nothing attached: two simulated radios, a console, users with printed passwords."""
    from tongpin.gateway import logs
    from tongpin.gateway.app import prepare_store, run
    from tongpin.gateway.cli_users import add_user
    from tongpin.gateway.demo_district import settle
    from tongpin.gateway.storage.repository import SqlRepository

    people = demo_users()
    logs.set_up(level=30)

    def ready(told: "Ready") -> None:
        if as_json:
            users = {person.role: {"username": person.username, "password": person.password} for person in people}
            message = {"url": told.url, "pid": os.getpid(), "udp_port": told.udp_port, "users": users}
            typer.echo(json.dumps(message))
        else:
            typer.echo(f"Tongpin's demo district is on the air: {told.url}")
            for person in people:
                typer.echo(f"  log in as {person.username:<10}  password {person.password}")
            typer.echo("Ctrl-C ends it; nothing is kept.")
        sys.stdout.flush()

    async def everything(folder: Path) -> None:
        # Until the service minds signals itself, they end the preparation, so that the folder goes in every case.
        loop, preparation = asyncio.get_running_loop(), asyncio.current_task()
        assert preparation is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, preparation.cancel)
        settings = demo_config(folder, host, port, chatter)
        store = await prepare_store(settings)
        try:
            await settle(SqlRepository(store))
            for person in people:
                await add_user(SqlRepository(store), person.username, person.password, person.role, None)
        finally:
            await store.close()
        await run(settings, ready)

    with tempfile.TemporaryDirectory(prefix="tongpin-demo-") as folder, contextlib.suppress(asyncio.CancelledError):
        run_service(everything(Path(folder)))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder for the configuration and the data.")] = Path(),
    username: Annotated[str, typer.Option(help="The first admin.")] = "admin",
) -> None:
    """Write a commented configuration, make the database, the first admin, a local CA and a certificate."""
    import secrets
    from importlib.resources import files

    from tongpin.gateway.app import prepare_store
    from tongpin.gateway.cli_users import add_user
    from tongpin.gateway.storage.repository import SqlRepository
    from tongpin.gateway.tls import ensure_certificate, own_names

    target = folder / "tongpin.yaml"
    if target.exists():
        fail(f"{target} exists already; move it away, or choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target.write_text(files("tongpin.config").joinpath("start.yaml").read_text("utf-8"), "utf-8")
    except OSError as error:
        fail(f"{target} cannot be written: {error.strerror}; choose another folder")
    settings = read_config(target)
    password = secrets.token_urlsafe(12)

    async def prepare() -> None:
        store = await prepare_store(settings)
        try:
            await add_user(SqlRepository(store), username, password, "admin", None)
        finally:
            await store.close()

    run_service(prepare())
    certificate = ensure_certificate(settings.data_folder / "tls", own_names(settings.server.host))
    typer.echo(f"configuration  {target}")
    typer.echo(f"database       {settings.data_folder / 'tongpin.db'}")
    typer.echo(f"local CA       {certificate.ca}  (trust it on the dispatchers' machines)")
    typer.echo(f"first admin    {username}, password {password}  (shown once; change it: tongpin user passwd)")
    typer.echo(f"next           tongpin serve --config {target}")


@app.command("check-config")
def check_config(file: Annotated[Path, typer.Argument(help="The configuration file.")]) -> None:
    """Say everything that is wrong with a configuration: file, line, key, reason. Exit code 2 when anything is."""
    settings = read_config(file)
    problems = leg_problems(settings)
    for problem in problems:
        typer.echo(f"{file}: {problem}", err=True)
    if problems:
        raise typer.Exit(2)
    typer.echo(f"{file}: fine ({len(settings.legs)} legs, {len(settings.talk_groups)} talk groups)")


def leg_problems(settings: Config) -> list[str]:
    """What only the codecs and drivers can tell of a leg: its gate expression, its tones, a COS that no line gives."""
    from tongpin.codecs.errors import ExpressionError, SignallingError
    from tongpin.codecs.signalling import SignallingDecoder
    from tongpin.gateway.radio.drivers import line_id
    from tongpin.gateway.radio.receive import gate_settings
    from tongpin.gateway.radio.signals import make_tone, signalling_settings

    problems = []
    for index, leg in enumerate(settings.legs):
        try:
            gate_settings(leg)
        except ExpressionError as error:
            problems.append(f"legs.{index}.gate.expression: {error}")
        try:
            SignallingDecoder(signalling_settings(leg.signalling))
            make_tone(leg.signalling)
        except SignallingError as error:
            problems.append(f"legs.{index}.signalling: {error}")
        if leg.has_cos and leg.card.kind != "sim" and not _gives_cos(leg.keyer):
            problems.append(f"legs.{index}.has_cos: no line gives COS; set keyer.cos_line, or has_cos: false")
        try:
            line_id(leg)
        except TongpinError as error:
            problems.append(f"legs.{index}.keyer: {error}")
    return problems


def _gives_cos(keyer: KeyerConfig) -> bool:
    match keyer:
        case SerialKeyer() | GpioKeyer():
            return keyer.cos_line is not None
        case Cm108Keyer():
            return keyer.cos_pin != "none"
        case RigctlKeyer():
            return keyer.reads_dcd
        case _:
            return False


@app.command()
def devices(as_json: JsonOption = False) -> None:
    """List sound devices and keying lines with the ids to put into the configuration."""
    from tongpin.gateway.radio.devices import (
        KeyingChip,
        SerialPort,
        SoundDevice,
        list_gpio_chips,
        list_keying_chips,
        list_serial_ports,
        list_sound_devices,
    )

    try:
        sounds, ports, chips = list_sound_devices(), list_serial_ports(), list_keying_chips()
    except TongpinError as error:
        fail(str(error))
    gpio = list_gpio_chips()
    if as_json:
        listed = {
            "sound": [asdict(row) for row in sounds],
            "serial": [asdict(row) for row in ports],
            "keying_chips": [asdict(row) for row in chips],
            "gpio": gpio,
        }
        typer.echo(json.dumps(listed))
        return
    tables: tuple[tuple[str, Sequence[SoundDevice | KeyingChip | SerialPort]], ...] = (
        ("sound devices", sounds),
        ("keying chips", chips),
        ("serial ports", ports),
    )
    for title, rows in tables:
        typer.echo(f"{title}:" if rows else f"{title}: none")
        for row in rows:
            typer.echo("  " + "  ".join(f"{key}={value}" for key, value in asdict(row).items()))
            if isinstance(row, KeyingChip):
                typer.echo(f'    card: {{kind: soundcard, device: "{row.stable_id}"}}')
                typer.echo("    keyer: {kind: cm108}")
    typer.echo("GPIO chips: " + (", ".join(gpio) or "none"))


@app.command()
def gates(
    file: Annotated[Path, typer.Argument(help="A WAV recording of what the radio gave.")],
    config: ConfigOption = None,
    leg: Annotated[str | None, typer.Option(help="The leg whose gate settings count; default: no COS line.")] = None,
    plot: Annotated[Path | None, typer.Option(help="An SVG file: waveform, gate, level, signs of speech.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a leg's receive gate over a recording and print when it opens and closes, and why."""
    from tongpin.codecs.errors import CodecError
    from tongpin.gateway.radio.gates_file import gate_events

    chosen = None
    if leg is not None:
        chosen = next((known for known in read_config(config).legs if known.name == leg), None)
        if chosen is None:
            fail(f"the configuration has no leg {leg!r}", 2)
    try:
        events = gate_events(file, chosen, plot)
    except (TongpinError, CodecError, OSError) as error:
        fail(f"{file}: {error}")
    if as_json:
        listed = [{"kind": event.kind, "at_s": round(event.at_s, 3), "cause": event.cause} for event in events]
        typer.echo(json.dumps({"events": listed}))
        return
    for event in events:
        typer.echo(f"{event.at_s:9.3f} s  {event.kind:<5}  {event.cause}")
    if not events:
        typer.echo("the gate never opened")


@database.command("upgrade")
def database_upgrade(config: ConfigOption = None) -> None:
    """Bring the database to this version's schema."""
    from tongpin.gateway.app import storage_url
    from tongpin.gateway.storage.migrate import upgrade

    settings = read_config(config)
    settings.data_folder.mkdir(parents=True, exist_ok=True)
    try:
        upgrade(storage_url(settings))
    except TongpinError as error:
        fail(str(error))
    typer.echo("the database is up to date")


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the REST API."""
    from tongpin.gateway.api.app import openapi as document

    typer.echo(json.dumps(document(), indent=2, ensure_ascii=False))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(package_version("tongpin"))


def main() -> None:
    """The entry point."""
    app()
