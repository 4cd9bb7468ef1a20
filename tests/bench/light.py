"""Light WebRTC listeners, many in one process: join through WHEP, answer ICE, send RTCP, read every packet.

Each has a socket of its own that is read about once a second, as a network reads: the kernel keeps what came meanwhile,
and nobody is woken for a packet. Every RTP header counts for the loss; a few probes are read at once, with the kernel's
time of arrival, and decrypted: a talker of ours puts its time of sending into the payload.
"""

import http.client
import json
import resource
import secrets
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from urllib.parse import urlencode, urlsplit

from tongpin.gateway.webrtc import rtp, srtp, stun
from tongpin.gateway.webrtc.dtls import Handshake, Identity, SrtpKeys

STUN_EVERY_S = 2.66
REPORT_EVERY_S = 4.3
"""What Chromium sends when it only listens."""
READ_EVERY_S = 0.8
RECEIVE_BYTES = 192 * 1024
JOIN_S = 10.0
MAGIC = b"TPNG"
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35
_RR = struct.Struct("!BBHIIIIIII")


class Api:
    """One kept connection to the gateway's REST API, logged in."""

    def __init__(self, url: str, username: str, password: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._http = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        body = urlencode({"username": username, "password": password})
        status, text, _ = self.call(
            "POST", "/api/v1/auth/token", body, {"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert status == 200, text
        self._token = json.loads(text)["access_token"]

    def call(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Status, body and Location."""
        told = dict(headers or {})
        if hasattr(self, "_token"):
            told["Authorization"] = f"Bearer {self._token}"
        try:
            self._http.request(method, path, body, told)
            answer = self._http.getresponse()
        except (http.client.HTTPException, ConnectionError):
            self._http.close()
            self._http.request(method, path, body, told)
            answer = self._http.getresponse()
        return answer.status, answer.read().decode(), answer.headers.get("Location", "")

    def post_offer(self, kind: str, group: str, offer: str) -> tuple[str, str]:
        """The answer, and where the resource is."""
        status, text, location = self.call(
            "POST", f"/api/v1/{kind}/{group}", offer, {"Content-Type": "application/sdp"}
        )
        assert status == 201, (status, text)
        return text, location


class Client:
    """One connection, as the controlling end and the DTLS client."""

    __slots__ = (
        "_fragment",
        "_ours",
        "_password",
        "_rtcp",
        "_theirs",
        "_username",
        "first",
        "highest",
        "keys",
        "location",
        "packets",
        "read_at",
        "reported_at",
        "socket",
        "ssrc",
        "stun_at",
    )

    def __init__(self, *, is_probe: bool) -> None:
        self._fragment, self._password = secrets.token_hex(4), secrets.token_hex(12)
        self._ours = stun.Integrity(self._password)
        self.keys: SrtpKeys | None = None
        self._rtcp: srtp.TxSession | None = None
        self.location = ""
        self.ssrc = self.packets = 0
        self.first = self.highest = -1
        self.read_at = self.reported_at = self.stun_at = 0.0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, _SO_RCVBUFFORCE):
            with suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BYTES)
        if is_probe:
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.socket.bind(("127.0.0.1", 0))

    def join(self, api: Api, identity: Identity, kind: str, group: str) -> None:
        """WHEP or WHIP, ICE, DTLS. Raises when it takes longer than 10 s."""
        direction = "recvonly" if kind == "whep" else "sendonly"
        offer = (
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n"
            f"a={direction}\r\na=mid:0\r\na=rtcp-mux\r\na=ice-ufrag:{self._fragment}\r\na=ice-pwd:{self._password}\r\n"
            f"a=fingerprint:sha-256 {identity.fingerprint}\r\na=setup:active\r\n"
            "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=rtpmap:111 opus/48000/2\r\n"
        )
        answer, self.location = api.post_offer(kind, group, offer)
        said = dict(line[2:].partition(":")[::2] for line in answer.split("\r\n") if line.startswith("a="))
        self.ssrc = int(said["ssrc"].split()[0]) if "ssrc" in said else 0
        self._theirs = stun.Integrity(said["ice-pwd"])
        self._username = f"{said['ice-ufrag']}:{self._fragment}".encode()
        port = int(answer.partition("m=audio ")[2].split()[0])
        self.socket.connect(("127.0.0.1", port))
        digest, _, value = said["fingerprint"].partition(" ")
        handshake = Handshake(identity, {digest: value}, is_server=False)
        self._shake(handshake)
        self.keys = handshake.keys
        self.socket.setblocking(False)
        now = time.monotonic()
        spread = secrets.randbelow(1000) / 1000
        self.stun_at, self.reported_at = now + STUN_EVERY_S * spread, now + REPORT_EVERY_S * spread
        self.read_at = now + READ_EVERY_S * spread

    def _shake(self, handshake: Handshake) -> None:
        self.socket.settimeout(0.25)
        end = time.monotonic() + JOIN_S
        has_begun = False
        self.check()
        while handshake.keys is None:
            if time.monotonic() > end:
                raise TimeoutError("no connection within 10 s")
            try:
                data = self.socket.recv(2048)
            except TimeoutError:
                if has_begun:
                    handshake.repeat()
                else:
                    self.check()
            else:
                if data[0] < 4:
                    message = stun.parse(data)
                    if message is None or message.kind != stun.SUCCESS or has_begun:
                        self._answer(message)
                        continue
                    has_begun = True
                    handshake.feed(b"")
                elif 20 <= data[0] < 64:
                    handshake.feed(data)
            for datagram in handshake.take():
                self.socket.send(datagram)

    def check(self) -> None:
        """A STUN request that nominates."""
        request = stun.request(secrets.token_bytes(12), self._username, 1 << 24, 7, self._theirs, is_controlling=True)
        self.socket.send(request)

    def _answer(self, message: stun.Binding | None) -> None:
        if message is not None and message.kind == stun.REQUEST and message.is_signed_by(self._ours):
            host, port = self.socket.getpeername()[:2]
            mapped = stun.mapped_address(host, port, message.transaction)
            self.socket.send(stun.response(message.transaction, mapped, self._ours))

    def take(self, data: memoryview, size: int) -> None:
        """One datagram: count RTP, answer STUN."""
        if data[0] >= 128:
            if not 192 <= data[1] <= 223:
                sequence = data[2] << 8 | data[3]
                if self.highest < 0:
                    self.first = self.highest = sequence
                step = (sequence - self.highest) & 0xFFFF
                if step < 0x8000:
                    self.highest += step
                self.packets += 1
        elif data[0] < 4:
            self._answer(stun.parse(bytes(data[:size])))

    def keep(self, now: float) -> None:
        """What is due by now, beside reading."""
        if now >= self.stun_at:
            self.stun_at = now + STUN_EVERY_S
            self.check()
        if now >= self.reported_at and self.highest >= 0 and self.keys is not None:
            self.reported_at = now + REPORT_EVERY_S
            if self._rtcp is None:
                self._rtcp = srtp.TxSession(self.keys)
            report = _RR.pack(0x81, 201, 7, 9, self.ssrc, 0, self.highest & 0xFFFFFFFF, 0, 0, 0)
            self.socket.send(self._rtcp.protect_rtcp(report))

    def counted(self) -> tuple[int, int]:
        """Packets that came and that should have, since the last call."""
        expected = self.highest - self.first + 1 if self.highest >= 0 else 0
        came = self.packets
        self.packets, self.first = 0, self.highest + 1
        return came, expected


@dataclass
class Told:
    """What a process of listeners reports of one measurement.

    Attributes:
        latencies: ms from the talker's send to a probe's socket, by probe.
        deaf: listeners that heard nothing.
    """

    came: int = 0
    expected: int = 0
    deaf: int = 0
    latencies: list[list[float]] = field(default_factory=list)


def allow_many_files() -> None:
    """As many sockets as this user may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listeners(pipe: Connection, url: str, user: dict[str, str], group: str, probes: Callable[[int], bool]) -> None:
    """A process: obeys ``("join", n)``, ``("start",)``, ``("told",)``, ``("leave", n)``, ``("end",)``."""
    allow_many_files()
    api, identity = Api(url, user["username"], user["password"]), Identity()
    clients: list[Client] = []
    watched: dict[int, tuple[Client, srtp.RxSession, list[float]]] = {}
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    buffer = memoryview(bytearray(2048))
    at = 0
    while True:
        for number, _ in poller.poll(2):
            if number != pipe.fileno():
                _probe(*watched[number])
                continue
            command, *rest = pipe.recv()
            if command == "join":
                for _ in range(rest[0]):
                    is_probe = probes(len(clients))
                    made = Client(is_probe=is_probe)
                    made.join(api, identity, "whep", group)
                    clients.append(made)
                    if is_probe and made.keys is not None:
                        watched[made.socket.fileno()] = (made, srtp.rx_session(made.keys), [])
                        poller.register(made.socket, select.POLLIN)
                    at = _round(clients, at, buffer, 10)
                pipe.send(len(clients))
            elif command == "start":
                for client in clients:
                    client.counted()
                for _, _, latencies in watched.values():
                    latencies.clear()
                pipe.send(None)
            elif command == "told":
                told = Told(latencies=[list(latencies) for _, _, latencies in watched.values()])
                for client in clients:
                    _read(client, buffer)
                    came, expected = client.counted()
                    told.came += came
                    told.expected += expected
                    told.deaf += came == 0
                pipe.send(told)
            elif command == "leave":
                for _ in range(rest[0]):
                    client = clients.pop()
                    api.call("DELETE", client.location)
                    if watched.pop(client.socket.fileno(), None) is not None:
                        poller.unregister(client.socket)
                    client.socket.close()
                pipe.send(len(clients))
            else:
                return
        at = _round(clients, at, buffer, 200)


def _round(clients: list[Client], at: int, buffer: memoryview, most: int) -> int:
    """Visit the next few listeners that are due."""
    now = time.monotonic()
    for _ in range(min(most, len(clients))):
        at = (at + 1) % len(clients)
        client = clients[at]
        if now >= client.read_at:
            client.read_at = now + READ_EVERY_S
            with suppress(ConnectionError):  # the gateway has gone; the bench says when to end
                _read(client, buffer)
                client.keep(now)
    return at


def _read(client: Client, buffer: memoryview) -> None:
    receive = client.socket.recv_into
    while True:
        try:
            size = receive(buffer)
        except BlockingIOError:
            return
        except OSError:
            continue
        if size >= 12:
            client.take(buffer, size)


def _probe(client: Client, rx: srtp.RxSession, latencies: list[float]) -> None:
    while True:
        try:
            data, ancillary, _, _ = client.socket.recvmsg(2048, 64)
        except OSError:  # nothing more, or the gateway has gone
            return
        if len(data) < 12:
            continue
        client.take(memoryview(data), len(data))
        if data[0] < 128 or rtp.is_rtcp(data):
            continue
        try:
            plain = rx.unprotect(data)
        except srtp.Failure:
            continue
        if plain[12:16] != MAGIC:
            continue
        for level, kind, raw in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", raw[:16])
                latencies.append((seconds + nanoseconds / 1e9 - struct.unpack("!d", plain[16:24])[0]) * 1e3)


def talker(pipe: Connection, url: str, user: dict[str, str], group: str, size: int) -> None:
    """A process: a WHIP client that talks without a pause, 50 packets a second, until anything is said to it."""
    api, identity = Api(url, user["username"], user["password"]), Identity()
    client = Client(is_probe=False)
    client.join(api, identity, "whip", group)
    assert client.keys is not None
    session, buffer = srtp.TxSession(client.keys), memoryview(bytearray(2048))
    pipe.send("talking")
    number, due = 0, time.monotonic()
    while not pipe.poll(0):
        number += 1
        header = struct.pack("!BBHII", 0x90, 111, number & 0xFFFF, number * 960 & 0xFFFFFFFF, 4711)
        level = b"\xbe\xde\0\x01\x10\x94\0\0"  # one element, id 1: voice at -20 dBov
        payload = MAGIC + struct.pack("!d", time.time()) + secrets.token_bytes(size - 12)
        client.socket.send(session.protect(header + level + payload))
        _read(client, buffer)
        client.keep(time.monotonic())
        due += 0.02
        time.sleep(max(0.0, due - time.monotonic()))
    api.call("DELETE", client.location)
