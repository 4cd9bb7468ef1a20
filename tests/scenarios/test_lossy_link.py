"""Chromium behind a link that loses 5 % of the packets and delays the others: it hears whole sentences."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.scenarios.audio import speak
from tests.scenarios.desk import desk
from tests.scenarios.district import SimRadio, district, legs_online
from tests.scenarios.listeners import loopback_socket
from tests.scenarios.service import Service, running

pytestmark = pytest.mark.exclusive

LOSS, SEED = 0.05, 20
THROUGH_THE_LINK = """
window.peers = [];
const Real = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Real {
  constructor(...words) { super(...words); window.peers.push(this); }
  setRemoteDescription(answer) {
    const lines = answer.sdp.split('\\r\\n').filter((line) => !line.startsWith('a=candidate:'));
    const at = lines.indexOf('a=end-of-candidates');
    lines.splice(at, 0, 'a=candidate:1 1 udp 2130706431 127.0.0.1 PORT typ host');
    return super.setRemoteDescription({type: answer.type, sdp: lines.join('\\r\\n')});
  }
};
"""
STATISTICS = """async () => {
  const found = [];
  for (const peer of window.peers)
    for (const report of (await peer.getStats()).values())
      if (report.type === 'inbound-rtp' && report.packetsReceived > 0) found.push(report);
  return found.map((r) => [r.packetsReceived, r.packetsLost, r.totalSamplesReceived, r.concealedSamples,
                           r.silentConcealedSamples]);
}"""


class Link:
    """Between any number of clients and the gateway's UDP port; loses RTP towards the clients."""

    def __init__(self, port: int) -> None:
        self._gateway = ("127.0.0.1", port)
        self._chance = random.Random(SEED)
        self._loop = asyncio.get_running_loop()
        self._out: dict[tuple[str, int], socket.socket] = {}
        self._in = loopback_socket()
        self.port = self._in.getsockname()[1]
        self.passed = self.lost = 0
        self._loop.add_reader(self._in, self._from_client)

    def _from_client(self) -> None:
        data, client = self._in.recvfrom(2048)
        out = self._out.get(client)
        if out is None:
            out = self._out[client] = loopback_socket()
            self._loop.add_reader(out, self._to_client, out, client)
        out.sendto(data, self._gateway)

    def _to_client(self, out: socket.socket, client: tuple[str, int]) -> None:
        data = out.recv(2048)
        if data[0] >= 128 and not 192 <= data[1] <= 223:
            if self._chance.random() < LOSS:
                self.lost += 1
                return
            self.passed += 1
        self._loop.call_later(self._chance.uniform(0.005, 0.02), self._in.sendto, data, client)

    def close(self) -> None:
        for one in (self._in, *self._out.values()):
            self._loop.remove_reader(one)
            one.close()


@asynccontextmanager
async def linked(port: int) -> AsyncIterator[Link]:
    link = Link(port)
    try:
        yield link
    finally:
        link.close()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_chromium_hears_through_five_percent_loss(tmp_path: Path) -> None:
    sentence = tmp_path / "order.wav"
    source = speak(sentence, "Boy on the second floor platform, all teams to Station Road, all teams.", tail_s=0.3)
    police, urban = SimRadio(tmp_path, "police-radio"), SimRadio(tmp_path, "urban-radio")
    port = _free_port()
    service = Service(tmp_path, {**district(police, urban), "webrtc": {"udp_port": port}})
    async with running(service), linked(port) as link:
        client = await service.login("chief")
        await legs_online(client, 2)
        script = THROUGH_THE_LINK.replace("PORT", str(link.port))
        async with desk(service.url, "duty", script=script) as page:
            for _ in range(3):
                police.say(sentence)
                await asyncio.sleep(len(source) / 48_000 + 1.0)
            counted = await page.evaluate(STATISTICS)
        # One row for each slot that carried a sentence.
        received, lost, samples, concealed, silent = (sum(row[at] for row in counted) for at in range(5))
        print(f"link lost {link.lost} of {link.lost + link.passed}; Chromium says {lost} of {received + lost}")
        print(f"concealed aloud {(concealed - silent) / samples:.1%} of {samples / 48_000:.1f} s")
        assert link.passed > 500
        assert abs(received - link.passed) <= 50, "but for what is under way"
        assert 0.5 * LOSS < lost / (received + lost) < 2 * LOSS
        assert samples > 3 * len(source)
        # FEC gives back what is lost alone, so far less is made up than was lost.
        assert (concealed - silent) / samples < 2 * LOSS
