"""The composition root: every part is made here, joined here, and taken down here in the reverse order."""

import asyncio
import errno
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
import uvicorn

from tongpin.channels.commands import DefineGroup
from tongpin.channels.ids import AgencyId, GroupId
from tongpin.channels.switchboard import Switchboard, SwitchboardSettings
from tongpin.config.models import Config, LegConfig, TlsFiles
from tongpin.gateway.api.app import create_app
from tongpin.gateway.api.services import ApiServices, LegState
from tongpin.gateway.audit import AuditLog
from tongpin.gateway.auth import Tickets, Tokens, load_secret
from tongpin.gateway.chain import CheckpointKey
from tongpin.gateway.clock import SystemClock
from tongpin.gateway.collector import Collector
from tongpin.gateway.errors import DeviceError, TongpinError
from tongpin.gateway.events.log import EventLog, Json, view_json
from tongpin.gateway.events.session import SessionService
from tongpin.gateway.events.stream import EventStreams
from tongpin.gateway.events.webhooks import WebhookSender
from tongpin.gateway.joint.answers import Answers
from tongpin.gateway.joint.members import LiveMembers
from tongpin.gateway.joint.nets import Nets
from tongpin.gateway.joint.scheduler import Scheduler
from tongpin.gateway.joint.service import JointChannels
from tongpin.gateway.joint.terms import Terms, seed_terms
from tongpin.gateway.joint.wire import record_json
from tongpin.gateway.keys import KeyService
from tongpin.gateway.leg_state import leg_json, leg_state
from tongpin.gateway.legs import Legs
from tongpin.gateway.legtests import DailyTests
from tongpin.gateway.login_limit import LoginLimiter
from tongpin.gateway.logins import LoginService
from tongpin.gateway.media.hub import Hub
from tongpin.gateway.metrics import Metrics
from tongpin.gateway.notify import keep_alive, notify
from tongpin.gateway.passwords import Passwords
from tongpin.gateway.places import Places
from tongpin.gateway.radio.claim import RadioClaim
from tongpin.gateway.radio.polarity import PolarityRecord
from tongpin.gateway.radio.supervisor import LegStatus
from tongpin.gateway.recording.service import Recordings
from tongpin.gateway.records import Agency, Role, TalkGroup
from tongpin.gateway.revocation import Revocations
from tongpin.gateway.runner import Runner
from tongpin.gateway.second_factor import SecondFactorService
from tongpin.gateway.sign_on import sign_on
from tongpin.gateway.signals import RadioSignals
from tongpin.gateway.storage.audit import SqlAudit
from tongpin.gateway.storage.credentials import SqlKeys, SqlLogins, SqlSecondFactors
from tongpin.gateway.storage.joint_channels import SqlJointChannels
from tongpin.gateway.storage.migrate import upgrade
from tongpin.gateway.storage.recordings import SqlTransmissions
from tongpin.gateway.storage.repository import SqlRepository
from tongpin.gateway.storage.store import Store
from tongpin.gateway.storage.terms import SqlTerms
from tongpin.gateway.storage.webhooks import SqlOutbox, SqlWebhooks
from tongpin.gateway.things import RadioId, Unit, UnitFilter
from tongpin.gateway.tls import ensure_certificate, own_names
from tongpin.gateway.trail import Trail
from tongpin.gateway.webhooks import SecretMaker
from tongpin.gateway.webrtc.engine import MediaEngine
from tongpin.gateway.webrtc.whip import StandardClients
from tongpin.gateway.wiring import KeyHandler, RouteHandler

_log = structlog.get_logger(__name__)

CONSOLE = Path(__file__).parent / "console" / "dist"


class StartError(TongpinError):
    """The service cannot start; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Told once everything listens. ``udp_port`` is that of all WebRTC peers."""

    url: str
    udp_port: int


def storage_url(config: Config) -> str:
    """The database's URL; by default a file in the data folder."""
    return config.storage.url or f"sqlite+aiosqlite:///{config.data_folder / 'tongpin.db'}"


async def prepare_store(config: Config) -> Store:
    """The store at its newest schema, with the configuration's agencies and talk groups in it."""
    config.data_folder.mkdir(parents=True, exist_ok=True)
    url = storage_url(config)
    await asyncio.to_thread(upgrade, url)
    store = Store(url, pool_size=config.storage.pool_size, statement_limit_s=config.storage.statement_limit_s)
    await _seed(SqlRepository(store), config)
    clock = SystemClock()
    await seed_terms(SqlTerms(store, clock), config, clock.at())
    return store


async def _seed(repository: SqlRepository, config: Config) -> None:
    """What the file names and the store does not have yet is made; what was changed by API since then stays."""
    agencies = {agency.id for agency in await repository.agencies(with_retired=True)}
    for agency in config.agencies:
        if agency.id not in agencies:
            await repository.save_agency(Agency(agency.id, agency.name, agency.color), is_new=True)
    groups = {group.id for group in await repository.talk_groups(with_retired=True)}
    for group in config.talk_groups:
        if group.id not in groups:
            await repository.save_talk_group(TalkGroup(group.id, group.name, group.agency), is_new=True)


class Gateway:
    """All parts of one running service, joined."""

    def __init__(self, config: Config, store: Store, spawn: Callable[[Awaitable[None]], None]) -> None:
        clock = SystemClock()
        floor = config.floor
        self.config = config
        self.repository = repository = SqlRepository(store)
        self.hub = Hub()
        self.runner = Runner(
            Switchboard(SwitchboardSettings(floor.grace_s, floor.inactivity_s, floor.hang_s, floor.warn_before_s)),
            self.hub.last_media_at,
        )
        self.log = EventLog(clock)
        secret = load_secret(config.data_folder)
        self.audit = AuditLog(SqlAudit(store), CheckpointKey(secret), clock)
        self.engine = MediaEngine(config.webrtc)
        logins = SqlLogins(store, clock)
        self.revocations = Revocations(logins)
        groups = {leg.name: GroupId(leg.talk_group) for leg in config.legs if leg.talk_group is not None}
        self.signals = RadioSignals(
            self.runner, self._unit_of, groups.get, lambda name: self.legs.opening_of(name), self.log.tell, spawn
        )
        self.legs = Legs(
            config.legs,
            self.runner,
            self.hub,
            groups.get,
            floor.end_of_media_s,
            self._leg_moved,
            self.signals,
            self.log.tell,
            PolarityRecord(config.data_folder).is_locked,
            self._leg_stuck,
        )
        self.sessions = SessionService(
            self.runner,
            self.hub,
            self.engine,
            self.log,
            clock,
            self.surroundings,
            self._levels,
            config.webrtc.slots,
            config.webrtc.ice_servers,
            floor.talk_limit_s,
            self.revocations,
            self.audit.record,
        )
        self.streams = EventStreams(self.log, self.revocations)
        webhooks, outbox = SqlWebhooks(store), SqlOutbox(store)
        self.webhooks = WebhookSender(
            webhooks, outbox, self.log, clock, SecretMaker(secret), allow_private=config.webhooks.allow_private
        )
        joint_store, terms = SqlJointChannels(store, clock), SqlTerms(store, clock)
        nets = Nets(self.runner, clock)
        places = Places(repository, repository)
        members = LiveMembers(nets.groups, groups.get, places.talk_groups)
        self.joint_channels = JointChannels(joint_store, terms, members, nets, clock, self.log.tell)
        self.scheduler = Scheduler(self.joint_channels, joint_store, clock)
        self.recordings = Recordings(
            config.recording, config.data_folder, SqlTransmissions(store), self.audit, clock, self._recording_alarm
        )
        self.leg_tests = DailyTests(self.legs.pairs(), self.log.tell)
        self.metrics = Metrics(self._gauges)
        self.collector = Collector(lambda: self.hub.route_count == 0)
        # Order matters: sound first, then keys, then everybody who is told.
        for handler in (
            RouteHandler(self.hub),
            self.legs.catch_up,
            KeyHandler(self.legs.catch_ups),
            self.legs.group_defined,
            self.log,
            self.sessions,
            nets,
            self.joint_channels,
            self.metrics,
            Trail(self.audit.record),
        ):
            self.runner.add_handler(handler)
        if config.recording.enabled:
            self.hub.record_to(self.recordings.recorder)
            self.runner.add_handler(self.recordings.recorder)
        auth = config.auth
        passwords, keys = Passwords(), SqlKeys(store, clock)
        tokens = Tokens(secret, clock, timedelta(minutes=auth.access_minutes))
        second_factor = SecondFactorService(
            SqlSecondFactors(store, clock), clock, secret, frozenset(map(Role, auth.totp_roles))
        )
        login_service = LoginService(
            repository,
            logins,
            passwords,
            tokens,
            LoginLimiter(clock.now),
            second_factor,
            self.revocations,
            clock,
            timedelta(hours=auth.refresh_idle_hours),
            timedelta(days=auth.refresh_max_days),
        )
        self.services = ApiServices(
            people=repository,
            talk_groups=repository,
            units=repository,
            grids=repository,
            places=places,
            ping_store=store.ping,
            passwords=passwords,
            tokens=tokens,
            tickets=Tickets(clock.now),
            logins=login_service,
            oidc=sign_on(auth, repository, login_service, clock),
            second_factor=second_factor,
            keys=keys,
            key_service=KeyService(keys, clock, self.revocations, timedelta(days=auth.key_max_days)),
            revocations=self.revocations,
            dispatcher=self.runner,
            clock=clock,
            joint_channels=self.joint_channels,
            joint_store=joint_store,
            answers=Answers(joint_store, clock),
            terms=Terms(terms, clock),
            audit=self.audit,
            webhook_store=webhooks,
            outbox=outbox,
            webhooks=self.webhooks,
            allow_private_webhooks=config.webhooks.allow_private,
            picture=self._picture,
            open_stream=self.streams.open,
            clients=StandardClients(
                self.engine, self.hub, self.runner, spawn, self.revocations, config.webrtc.max_per_user
            ),
            legs=lambda: [self._leg_state(config, status) for config, status in self.legs.statuses()],
            clear_emergency=self.signals.clear_emergency,
            serve_session=self.sessions.serve,
            metrics=self.metrics.text,
            console=CONSOLE,
            public_url=config.server.public_url,
            recordings=self.recordings,
        )

    async def restore(self) -> None:
        """Put into the switchboard what the store knows: talk groups, then the joint channels that stand."""
        for group in await self.repository.talk_groups():
            agency = AgencyId(group.agency) if group.agency else None
            self.runner.apply(DefineGroup(GroupId(group.id), group.name, agency))
        await self.joint_channels.restore()
        await self.revocations.refresh()

    async def _unit_of(self, radio: RadioId) -> Unit | None:
        return next(iter(await self.repository.units(UnitFilter(radio_id=radio, limit=1))), None)

    def _leg_moved(self, name: str, is_online: bool, reason: str) -> None:
        self.log.tell({"kind": "leg_online" if is_online else "leg_missing", "leg": name, "reason": reason})

    async def _picture(self) -> tuple[int, dict[str, Json]]:
        surroundings = await self.surroundings()
        view = view_json(self.runner.view(), self.services.clock.now())
        return self.log.sequence, view | surroundings

    def _leg_stuck(self, name: str, is_stuck: bool) -> None:
        self.log.tell({"kind": "leg_stuck" if is_stuck else "leg_unstuck", "leg": name})

    def _recording_alarm(self, text: str) -> None:
        self.log.tell({"kind": "recording_alarm" if text else "recording_well", "reason": text})

    async def surroundings(self) -> dict[str, Json]:
        """What a client's view has beside the switchboard: agencies, legs, and the joint channels that are not over."""
        agencies = await self.repository.agencies()
        legs: list[Json] = [leg_json(self._leg_state(config, status)) for config, status in self.legs.statuses()]
        return {
            "agencies": [{"id": a.id, "name": a.name, "color": a.color} for a in agencies],
            "legs": legs,
            "joint_channels": [record_json(channel) for channel in self.joint_channels.standing],
        }

    def _leg_state(self, config: LegConfig, status: LegStatus) -> LegState:
        emergency = self.signals.emergency_of(config.name)
        label = emergency.label if emergency is not None else None
        return leg_state(config, status, self.leg_tests.last.get(config.name), label)

    def _levels(self) -> list[Json]:
        return [
            {
                "name": status.name,
                "online": status.is_online,
                "cos": status.cos,
                "keyed": status.is_keyed,
                "rx_dbfs": round(status.rx_dbfs),
                "tx_dbfs": round(status.tx_dbfs),
            }
            for _, status in self.legs.statuses()
        ]

    def _gauges(self) -> Iterable[tuple[str, str, dict[str, str], float]]:
        yield "tongpin_sessions", "Browser sessions", {}, self.sessions.count
        yield "tongpin_peers", "WebRTC connections", {}, self.engine.peer_count
        yield from self.engine.gauges()
        yield "tongpin_routes", "Talks that are on", {}, self.hub.route_count
        yield "tongpin_audit_waiting", "Audit entries not stored yet", {}, self.audit.waiting
        yield "tongpin_audit_dropped", "Audit entries lost for want of room", {}, self.audit.dropped
        yield "tongpin_audit_whole", "1 while no fault was found in the audit chain", {}, self.audit.is_whole
        yield "tongpin_event_streams", "Server-sent event streams", {}, self.streams.count
        yield "tongpin_webhooks_waiting", "Webhook deliveries not in the outbox yet", {}, self.webhooks.waiting
        yield "tongpin_webhooks_dropped", "Webhook deliveries lost for want of room", {}, self.webhooks.dropped
        yield from self.recordings.gauges()
        yield "tongpin_commands", "Commands applied to the switchboard", {}, self.runner.applied
        for config, status in self.legs.statuses():
            leg = {"leg": config.name}
            routed, dropped = self.hub.counters(self.legs.party_of(config.name))
            yield "tongpin_leg_online", "1 while the leg can be used", leg, status.is_online
            yield "tongpin_leg_keyed", "1 while the transmitter is on", leg, status.is_keyed
            yield "tongpin_leg_playout_frames", "Frames of 20 ms waiting for the radio", leg, status.playout_frames
            yield "tongpin_leg_jitter_packets", "Packets in the leg's jitter buffer", leg, status.jitter_packets
            yield "tongpin_leg_lost_packets", "Packets lost towards the radio", leg, status.lost
            yield "tongpin_leg_concealed_frames", "Frames concealed towards the radio", leg, status.concealed
            yield "tongpin_leg_dropped", "Packets dropped in worker and link", leg, status.dropped + status.link_drops
            yield "tongpin_leg_underruns", "Playout under-runs", leg, status.tx_underruns
            for way, ppm in (("capture", status.capture_ppm), ("playout", status.playout_ppm)):
                if ppm is not None:
                    clock = leg | {"direction": way}
                    yield "tongpin_leg_clock_ppm", "How fast the sound card's clock is", clock, ppm
            yield "tongpin_leg_key_locked", "1 until a polarity test has passed", leg, bool(status.keying)
            if (test := self.leg_tests.last.get(config.name)) is not None:
                yield "tongpin_leg_test_passed", "1 when the last daily test was green", leg, not test.problems
            yield "tongpin_leg_restarts", "Workers replaced", leg, status.restarts
            yield "tongpin_leg_packets_routed", "Packets heard from the radio", leg, routed
            yield "tongpin_leg_packets_without_floor", "Packets dropped for want of the floor", leg, dropped


class _Server(uvicorn.Server):
    """Leaves signals to us, so that the end is ours to order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run(config: Config, on_ready: Callable[[Ready], None]) -> None:
    """Run the service until SIGTERM or SIGINT.

    Raises:
        StartError, StoreError: it could not start; nothing was left running.
    """
    _allow_many_files()
    listener = _listen(config.server.host, config.server.port)
    ends = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ends.set)
    with ExitStack() as held:
        held.callback(listener.close)
        try:
            held.enter_context(RadioClaim(config.data_folder))
        except DeviceError as error:
            raise StartError(str(error)) from error
        store = await prepare_store(config)
        try:
            async with asyncio.TaskGroup() as tasks:
                await _run(config, store, listener, tasks, ends, on_ready)
        finally:
            await store.close()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


async def _run(
    config: Config,
    store: Store,
    listener: socket.socket,
    tasks: asyncio.TaskGroup,
    ends: asyncio.Event,
    on_ready: Callable[[Ready], None],
) -> None:
    def spawn(work: Awaitable[None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception:
                _log.exception("background work failed")

        tasks.create_task(guarded())

    gateway = Gateway(config, store, spawn)
    await gateway.restore()
    legs = tasks.create_task(gateway.legs.run())
    parts = (
        gateway.engine,
        gateway.sessions,
        gateway.metrics,
        gateway.audit,
        gateway.recordings,
        gateway.scheduler,
        gateway.webhooks,
        gateway.revocations,
    )
    helpers = [tasks.create_task(part.run()) for part in parts]
    scheme, certificate = "http", None
    if config.server.tls == "auto":
        made = ensure_certificate(config.data_folder / "tls", own_names(config.server.host))
        scheme, certificate = "https", TlsFiles(cert=made.cert, key=made.key)
    elif isinstance(config.server.tls, TlsFiles):
        scheme, certificate = "https", config.server.tls
    server = _Server(
        uvicorn.Config(
            create_app(gateway.services),
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
            ssl_certfile=certificate.cert if certificate is not None else None,
            ssl_keyfile=certificate.key if certificate is not None else None,
        )
    )
    serving = tasks.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    helpers += [tasks.create_task(work) for work in (keep_alive(), gateway.leg_tests.run(), gateway.collector.run())]
    notify("READY=1")
    on_ready(Ready(config.server.public_url or f"{scheme}://{shown}:{port}", gateway.engine.udp_port))
    ending = tasks.create_task(ends.wait())
    await asyncio.wait((ending, serving), return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    notify("STOPPING=1")
    # Radios first: whatever else takes its time, no transmitter stays keyed.
    await gateway.legs.stop()
    gateway.streams.close()
    server.should_exit = True
    await asyncio.wait((serving, legs))
    await gateway.engine.close()
    gateway.runner.close()
    await gateway.recordings.close()
    await gateway.audit.close()
    await gateway.webhooks.close()
    for helper in helpers:
        helper.cancel()


def _allow_many_files() -> None:
    """Listeners come with a connection each for as long as they are joining."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"port {port} on {host} is taken by another program; choose another server.port"
            ) from error
        raise StartError(f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}") from error
    return listener
