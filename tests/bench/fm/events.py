"""What a channel carries that is no speech: signalling, tones, data, dead carriers, machines.

Each event is a modulation (±1 = full deviation, 24 kHz) of a second or several; its kind names it in the tables.
"""

from collections.abc import Callable

import numpy as np

from tests.bench.fm.corpus import RATE_HZ, Audio, band_pass

Event = Callable[[np.random.Generator], Audio]

_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_ZVEI = (2400, 1060, 1160, 1270, 1400, 1530, 1670, 1830, 2000, 2200, 2800, 810, 970, 885, 2600, 680)
_CCIR = (1981, 1124, 1197, 1275, 1358, 1446, 1540, 1640, 1747, 1860, 2400, 930, 2247, 991, 2110, 1055)


def _t(seconds: float) -> Audio:
    return np.arange(round(seconds * RATE_HZ)) / RATE_HZ


def _silence(seconds: float) -> Audio:
    return np.zeros(round(seconds * RATE_HZ))


def _tone(hz: float, seconds: float, level: float = 0.6) -> Audio:
    out = level * np.sin(2 * np.pi * hz * _t(seconds))
    ramp = min(48, out.size // 2)
    out[:ramp] *= np.linspace(0, 1, ramp)
    out[-ramp:] *= np.linspace(1, 0, ramp)
    return out


def _level(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.3, 0.9))


def dtmf(rng: np.random.Generator) -> Audio:
    level, on, off = _level(rng), float(rng.choice([0.045, 0.07, 0.1, 0.25])), float(rng.uniform(0.04, 0.12))
    twist = float(10 ** (rng.uniform(-4, 4) / 20))
    parts: list[Audio] = []
    for _ in range(int(rng.integers(1, 12))):
        row = _tone(_ROWS[rng.integers(4)], on, level / (1 + twist))
        parts += [row + _tone(_COLUMNS[rng.integers(4)], on, level * twist / (1 + twist)), _silence(off)]
    return np.concatenate(parts)


def _msk(bits: Audio, baud: float, mark: float, space: float, level: float) -> Audio:
    """Continuous-phase keying of two tones."""
    per_bit = np.floor(np.arange(int(bits.size * RATE_HZ / baud)) * baud / RATE_HZ).astype(int)
    hz = np.where(bits[per_bit] > 0, mark, space)
    return np.asarray(level * np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ))


def mdc(rng: np.random.Generator) -> Audio:
    preamble = np.tile([0.0, 1.0], 28)
    return _msk(
        np.concatenate([preamble, (rng.random(112 * int(rng.integers(1, 3)) + 40) < 0.5).astype(float)]),
        1200,
        1200,
        1800,
        _level(rng),
    )


def packet(rng: np.random.Generator) -> Audio:
    bits = np.concatenate([np.tile([1.0] * 7 + [0.0], 30), (rng.random(int(rng.integers(400, 2500))) < 0.5)])
    return _msk(bits, 1200, 1200, 2200, _level(rng))


def five_tone(rng: np.random.Generator) -> Audio:
    tones, length = (_ZVEI, 0.07) if rng.random() < 0.5 else (_CCIR, 0.1)
    level = _level(rng)
    one = np.concatenate([_tone(tones[rng.integers(16)], length, level) for _ in range(int(rng.integers(5, 8)))])
    return np.concatenate([one, _silence(0.3), one]) if rng.random() < 0.3 else one


def two_tone(rng: np.random.Generator) -> Audio:
    first, second = rng.uniform(300, 2_500, 2)
    return np.concatenate([_tone(first, 1.0, 0.6), _tone(second, 3.0, 0.6)])


def steady_tone(rng: np.random.Generator) -> Audio:
    return _tone(float(rng.uniform(250, 3_000)), float(rng.uniform(0.3, 4)), _level(rng))


def beeps(rng: np.random.Generator) -> Audio:
    """Courtesy tones, roger beeps, talk-permit tones: a few short tones, or one that glides."""
    if rng.random() < 0.3:
        sweep = np.linspace(rng.uniform(400, 2_000), rng.uniform(400, 2_500), round(rng.uniform(0.1, 0.4) * RATE_HZ))
        return 0.6 * np.sin(2 * np.pi * np.cumsum(sweep) / RATE_HZ)
    parts: list[Audio] = []
    for _ in range(int(rng.integers(1, 7))):
        tone = _tone(float(rng.uniform(350, 2_500)), float(rng.uniform(0.04, 0.25)), _level(rng))
        parts += [tone, _silence(float(rng.uniform(0, 0.1)))]
    return np.concatenate(parts)


def dead_carrier(rng: np.random.Generator) -> Audio:
    return _silence(float(rng.uniform(0.05, 6)))


def hum(rng: np.random.Generator) -> Audio:
    """A transmitter with mains hum on its microphone line: a steady buzz with harmonics far into the voice band."""
    t, mains = _t(float(rng.uniform(1, 5))), float(rng.choice([50, 60, 100, 120]))
    tilt, level = rng.uniform(0.3, 1.5), _level(rng)
    out = np.zeros(t.size)
    for harmonic in range(1, int(rng.integers(5, 40))):
        out += np.sin(2 * np.pi * mains * harmonic * t + rng.uniform(0, 6.3)) * rng.uniform(0.3, 1) / harmonic**tilt
    return np.asarray(level * out / np.max(np.abs(out)))


def vehicle(rng: np.random.Generator) -> Audio:
    """An open microphone in a vehicle: firing order with harmonics, slowly changing speed, road and wind noise."""
    t = _t(float(rng.uniform(2, 6)))
    speed = rng.uniform(25, 90) * (1 + 0.1 * np.interp(t, np.linspace(0, t[-1], 5), rng.uniform(-1, 1, 5)))
    phase = 2 * np.pi * np.cumsum(speed) / RATE_HZ
    engine = np.zeros(t.size)
    for harmonic in range(1, int(rng.integers(4, 25))):
        engine += np.sin(harmonic * phase + rng.uniform(0, 6.3)) * rng.uniform(0.2, 1) / harmonic ** rng.uniform(0.5, 1)
    road = band_pass(rng.normal(size=t.size), 80, float(rng.uniform(500, 2_500)))
    out = engine / np.std(engine) * rng.uniform(0.1, 1) + road / np.std(road) * rng.uniform(0.3, 1)
    out *= 1 + 0.3 * np.interp(t, np.linspace(0, t[-1], 8), rng.uniform(-1, 1, 8))
    return np.clip(out / np.std(out) * rng.uniform(0.05, 0.25), -1, 1)


def siren(rng: np.random.Generator) -> Audio:
    """Wail, yelp or the two-tone horn."""
    t = _t(float(rng.uniform(2, 5)))
    period, low, high = rng.uniform(0.25, 4), rng.uniform(400, 700), rng.uniform(900, 1_600)
    swing = np.sin(2 * np.pi * t / period + rng.uniform(0, 6.3))
    hz = (low + high) / 2 + (high - low) / 2 * (np.sign(swing) if rng.random() < 0.3 else swing)
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    return (
        _level(rng)
        * (np.sin(phase) + rng.uniform(0, 0.5) * np.sin(2 * phase) + rng.uniform(0, 0.3) * np.sin(3 * phase))
        / 1.5
    )


def morse(rng: np.random.Generator) -> Audio:
    hz, dot, level = float(rng.uniform(500, 1_200)), float(rng.uniform(0.05, 0.09)), _level(rng)
    parts: list[Audio] = []
    for _ in range(int(rng.integers(8, 30))):
        parts += [_tone(hz, dot * float(rng.choice([1, 3])), level), _silence(dot * float(rng.choice([1, 1, 3])))]
    return np.concatenate(parts)


def digital_voice(rng: np.random.Generator) -> Audio:
    """A digital radio on our frequency: four levels at 4800 baud, in bursts of 30 ms (two-slot) or without end."""
    seconds = float(rng.uniform(0.5, 4))
    levels = rng.choice([-1.0, -1 / 3, 1 / 3, 1.0], round(seconds * 4_800))
    out = band_pass(np.repeat(levels, RATE_HZ // 4_800), 0, 3_000) * 0.8
    if rng.random() < 0.5:
        out *= np.floor(np.arange(out.size) / (0.03 * RATE_HZ)) % 2 == 0
    return out


def tone_sequence(rng: np.random.Generator) -> Audio:
    """Tones of any length and pitch in any order, with and without gaps: paging codes that nobody has written down."""
    count, fixed = int(rng.integers(3, 25)), float(rng.uniform(0.015, 0.2))
    pool, level = rng.uniform(350, 3_000, int(rng.integers(2, 12))), _level(rng)
    parts: list[Audio] = []
    for _ in range(count):
        long = fixed * float(rng.choice([1, 1, 2, 3]))
        parts += [_tone(float(rng.choice(pool)), long, level), _silence(float(rng.choice([0, 0.5, 1])) * fixed)]
    return np.concatenate(parts)


def fsk_telemetry(rng: np.random.Generator) -> Audio:
    baud = float(rng.choice([300, 600, 1_200, 2_400]))
    centre, shift = rng.uniform(1_000, 2_000), rng.uniform(150, 800)
    bits = (rng.random(int(rng.uniform(0.3, 3) * baud)) < 0.5).astype(float)
    return _msk(bits, baud, centre - shift / 2, centre + shift / 2, _level(rng))


TUNED: dict[str, Event] = {
    "DTMF": dtmf,
    "MDC1200": mdc,
    "5-tone": five_tone,
    "AFSK packet": packet,
    "two-tone": two_tone,
    "steady tone": steady_tone,
    "beeps": beeps,
    "dead carrier": dead_carrier,
    "hum": hum,
    "vehicle": vehicle,
    "siren": siren,
    "FSK telemetry": fsk_telemetry,
    "tone sequence": tone_sequence,
}
UNSEEN: dict[str, Event] = {"Morse": morse, "digital voice": digital_voice}
"""Kinds that nothing was tuned on."""

__all__ = ["TUNED", "UNSEEN", "Event"]
