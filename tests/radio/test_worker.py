"""Real worker processes with simulated radios: sound whole in both directions, and a line that is always let go."""

import asyncio
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.radio.legs import LIMIT_S, Ear, SimFolder, edges_off_s, encode, likeness, running, transmit, write_voice
from tongpin.channels.ids import GroupId, PartyId
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Talk
from tongpin.gateway.radio.supervisor import LegSupervisor
from tongpin.gateway.radio.wavefile import read_wav

pytestmark = pytest.mark.exclusive


@pytest.fixture
def sim(tmp_path: Path) -> SimFolder:
    return SimFolder(tmp_path)


async def test_what_a_radio_with_cos_says_arrives_whole(sim: SimFolder) -> None:
    source = write_voice(sim.folder / "voice.wav")
    async with running(sim.config()) as (_, ear):
        sim.command(f"say {sim.folder / 'voice.wav'}")
        await ear.wait_gate(True)
        await ear.wait_gate(False)
        heard = ear.heard()
        sequence = [packet.sequence for packet, _ in ear.packets]
        order = [what for what in ear.order if what in ("open", "packet", "close")]
    _, scores = likeness(source, heard)
    assert min(scores) > 0.9, scores
    assert max(edges_off_s(source, heard)) <= 0.02
    assert order[0] == "open"
    assert order[-1] == "close"
    assert sequence == [(sequence[0] + number) & 0xFFFF for number in range(len(sequence))]


async def test_a_radio_without_cos_is_heard_by_its_voice(sim: SimFolder) -> None:
    source = write_voice(sim.folder / "voice.wav", 3.0)
    async with running(sim.config(has_cos=False)) as (_, ear):
        sim.command(f"say {sim.folder / 'voice.wav'}")
        await ear.wait_gate(True)
        await ear.wait_gate(False)
        heard = ear.heard()
    _, scores = likeness(source, heard)
    assert min(scores) > 0.8, scores


@pytest.mark.parametrize("tx_delay_ms", [0, 300])
async def test_what_is_sent_is_transmitted_whole(sim: SimFolder, tx_delay_ms: int) -> None:
    source = write_voice(sim.folder / "voice.wav")
    async with running(sim.config(tx_delay_ms=tx_delay_ms)) as (leg, ear):
        await transmit(leg, encode(source))
        await ear.wait_keyed(False)
        assert not sim.is_keyed()
        await ear.wait(lambda: ear.order[-1] == "status")
        status = leg.status
    recorded = read_wav(sim.record)
    at_s, scores = likeness(source, recorded)
    assert min(scores) > 0.9, scores
    assert at_s >= tx_delay_ms / 1000
    assert max(edges_off_s(source, recorded)) <= 0.02
    assert ear.keys == [(True, "asked"), (False, "released")]
    assert status.lost == 0
    assert status.last_audio_out_s_ago is not None


async def test_a_short_word_during_the_lead_in_is_played_whole(sim: SimFolder) -> None:
    source = write_voice(sim.folder / "voice.wav", 0.4)
    async with running(sim.config(tx_delay_ms=800)) as (leg, ear):
        await transmit(leg, encode(source))
        await ear.wait_keyed(False)
    _, scores = likeness(source, read_wav(sim.record))
    assert min(scores) > 0.9, scores


async def test_two_talks_in_a_row_are_both_whole(sim: SimFolder) -> None:
    first, second = (write_voice(sim.folder / f"{seed}.wav", 1.0, seed) for seed in (5, 6))
    async with running(sim.config()) as (leg, ear):
        await transmit(leg, encode(first), talk=1)
        await transmit(leg, encode(second), talk=2)
        await ear.wait_keyed(False)
    recorded = read_wav(sim.record)
    places = []
    for source in (first, second):
        at_s, scores = likeness(source, recorded)
        assert min(scores) > 0.9, scores
        places.append(at_s)
    assert places[1] >= places[0] + 1.0


async def test_a_lost_packet_is_bridged_and_counted(sim: SimFolder) -> None:
    source = write_voice(sim.folder / "voice.wav")
    packets = [packet for number, packet in enumerate(encode(source)) if number not in (40, 60, 61)]
    async with running(sim.config()) as (leg, ear):
        await transmit(leg, packets)
        await ear.wait_keyed(False)
        await ear.wait(lambda: ear.order[-1] == "status" and leg.status.lost > 0)
        status = leg.status
    assert status.lost == 3
    assert status.concealed + status.recovered >= 3
    # The two in a row may have moved what follows by a frame or two, until the buffer shrinks again some half a second
    # later: the parts are looked for one by one.
    recorded = read_wav(sim.record)
    places = []
    for part in (source[:38_400], source[59_520:78_720]):
        at_s, scores = likeness(part, recorded)
        assert scores[1] > 0.9, scores
        places.append(at_s)
    assert abs(places[1] - places[0] - 59_520 / 48_000) <= 0.045


async def test_garbage_payloads_disturb_nothing(sim: SimFolder) -> None:
    source = write_voice(sim.folder / "voice.wav", 1.0)
    async with running(sim.config()) as (leg, ear):
        await transmit(leg, [Packet(bytes([n % 256, 255, 1]), n, n * 960) for n in range(20)], talk=1)
        await ear.wait_keyed(False)
        await transmit(leg, encode(source), talk=2)
        await ear.wait(lambda: len(ear.keys) == 4)
        assert leg.status.restarts == 0
    _, scores = likeness(source, read_wav(sim.record))
    assert min(scores) > 0.9, scores


async def test_a_leg_does_not_hear_itself(sim: SimFolder) -> None:
    async with running(sim.config(tx_hang_ms=0)) as (leg, ear):
        leg.key()
        await ear.wait_keyed(True)
        sim.command("cos 1")
        seen = len(ear.statuses)
        await ear.wait(lambda: len(ear.statuses) >= seen + 3)
        assert ear.gates == []
        leg.unkey()
        await ear.wait_gate(True)
        assert ear.order.index("open") > len(ear.order) - 1 - ear.order[::-1].index("keyed")


async def test_a_receive_only_leg_never_keys(sim: SimFolder) -> None:
    async with running(sim.config(keyer={"kind": "none"})) as (leg, ear):
        await transmit(leg, encode(write_voice(sim.folder / "voice.wav", 0.5)))
        seen = len(ear.statuses)
        await ear.wait(lambda: len(ear.statuses) >= seen + 2)
        assert ear.keys == []
    assert read_wav(sim.record).size == 0


async def test_a_vox_radio_is_given_its_audio(sim: SimFolder) -> None:
    source = write_voice(sim.folder / "voice.wav", 1.0)
    async with running(sim.config(keyer={"kind": "vox"}, tx_delay_ms=100)) as (leg, ear):
        await transmit(leg, encode(source))
        await ear.wait_keyed(False)
    _, scores = likeness(source, read_wav(sim.record))
    assert min(scores) > 0.9, scores


async def test_what_is_held_is_thrown_away_when_unkeyed_at_once(sim: SimFolder) -> None:
    source = write_voice(sim.folder / "voice.wav", 1.0)
    async with running(sim.config(tx_delay_ms=800)) as (leg, ear):
        leg.sink.begin(Talk(1, PartyId("session:x"), GroupId("g")))
        leg.key()
        for packet in encode(source)[:10]:
            leg.sink.send(1, packet)
        await ear.wait_keyed(True)
        leg.unkey(drain=False)
        await ear.wait_keyed(False)
    assert not read_wav(sim.record).any()


async def test_cancelling_the_leg_ends_its_worker_and_unkeys(sim: SimFolder) -> None:
    ear = Ear()
    leg = LegSupervisor(sim.config(), ear)
    task = asyncio.create_task(leg.run())
    await ear.wait_online()
    leg.key()
    await ear.wait_keyed(True)
    pid = leg.worker_pid
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not sim.is_keyed()
    assert not Path(f"/proc/{pid}").exists()
    assert ear.keys[-1][0] is False
    assert ear.onlines[-1][0] is False


async def test_a_worker_that_cannot_begin_says_why(sim: SimFolder) -> None:
    ear = Ear()
    leg = LegSupervisor(sim.config(gate={"expression": "cos &"}), ear)
    task = asyncio.create_task(leg.run())
    async with asyncio.timeout(LIMIT_S):
        while "ExpressionError" not in leg.status.reason:
            await asyncio.sleep(0.02)
    assert not leg.status.is_online
    await leg.stop()
    await task


async def test_the_link_drops_and_counts_without_a_worker(sim: SimFolder) -> None:
    leg = LegSupervisor(sim.config(), Ear())
    leg.sink.begin(Talk(1, PartyId("session:x"), GroupId("g")))
    leg.sink.send(1, Packet(b"x", 0, 0))
    leg.sink.end(1)
    assert leg.status.link_drops == 3


async def test_a_worker_that_does_not_read_loses_packets_and_the_gateway_does_not_wait(sim: SimFolder) -> None:
    async with running(sim.config()) as (leg, ear):
        pid = leg.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        leg.sink.begin(Talk(1, PartyId("session:x"), GroupId("g")))
        for number in range(500):
            leg.sink.send(1, Packet(bytes(80), number, number * 960))
        dropped = leg.status.link_drops
        os.kill(pid, signal.SIGCONT)
        assert 400 <= dropped <= 490
        leg.sink.end(1)
        seen = len(ear.statuses)
        await ear.wait(lambda: len(ear.statuses) > seen)


async def test_no_renewal_no_key(sim: SimFolder) -> None:
    async with running(sim.config()) as (leg, ear):
        leg.key()
        await ear.wait_keyed(True)
        assert sim.is_keyed()
        # The loop that renews stands still, as in a gateway that hangs.
        time.sleep(0.9)  # noqa: ASYNC251
        await ear.wait(lambda: (False, "the lease ran out") in ear.keys)


async def test_a_killed_worker_leaves_the_line_inactive_and_comes_back(sim: SimFolder) -> None:
    async with running(sim.config()) as (leg, ear):
        leg.key()
        await ear.wait_keyed(True)
        assert sim.is_keyed()
        pid = leg.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await ear.wait_keyed(False)
        assert not sim.is_keyed()
        leg.unkey()
        await ear.wait(lambda: len(ear.onlines) >= 3 and ear.onlines[-1][0])
        assert [is_online for is_online, _ in ear.onlines] == [True, False, True]
        assert leg.worker_pid != pid
        assert leg.status.restarts == 1
        assert not sim.is_keyed()


async def test_a_hung_worker_is_killed_and_replaced(sim: SimFolder) -> None:
    async with running(sim.config()) as (leg, ear):
        leg.key()
        await ear.wait_keyed(True)
        pid = leg.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await ear.wait_keyed(False)
        assert not sim.is_keyed()
        leg.unkey()
        await ear.wait(lambda: len(ear.onlines) >= 3 and ear.onlines[-1][0])
        assert leg.worker_pid != pid
        assert (await asyncio.to_thread(Path(f"/proc/{pid}").exists)) is False


async def test_a_gateway_that_slept_does_not_blame_the_worker(sim: SimFolder) -> None:
    async with running(sim.config()) as (leg, _):
        pid = leg.worker_pid
        time.sleep(3.0)  # noqa: ASYNC251 - the loop itself stops, as on a machine that has no time for it
        await asyncio.sleep(0.6)  # two rounds of the watch
        assert (leg.worker_pid, leg.status.restarts) == (pid, 0)


async def test_an_open_gate_closes_when_its_worker_dies(sim: SimFolder) -> None:
    async with running(sim.config()) as (leg, ear):
        sim.command("cos 1")
        await ear.wait_gate(True)
        assert leg.worker_pid is not None
        os.kill(leg.worker_pid, signal.SIGKILL)
        await ear.wait_gate(False)


async def test_a_card_that_cannot_start_is_told_with_its_reason(tmp_path: Path) -> None:
    sim = SimFolder(tmp_path)
    config = sim.config(card={"kind": "sim", "utterances": [{"at_s": 0, "file": str(tmp_path / "missing.wav")}]})
    from tests.radio.legs import Ear
    from tongpin.gateway.radio.supervisor import LegSupervisor

    ear = Ear()
    leg = LegSupervisor(config, ear)
    task = asyncio.create_task(leg.run())
    await ear.wait(lambda: bool(ear.statuses) and "missing.wav" in leg.status.reason)
    assert not leg.status.is_online
    await leg.stop()
    await task


async def test_the_timetable_speaks_by_itself_again_and_again(sim: SimFolder) -> None:
    card = {"kind": "sim", "utterances": [{"at_s": 0.1, "seconds": 0.5}], "repeat_s": 1.0}
    async with running(sim.config(card=card)) as (_, ear):
        await ear.wait(lambda: len(ear.gates) >= 4)
    assert [is_open for is_open, _, _ in ear.gates[:4]] == [True, False, True, False]
    assert np.all(ear.heard().size > 0)
