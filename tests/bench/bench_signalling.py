"""What the signalling decoders cost a frame, how much noise they stand, and what noise and speech make them say.

    python tests/bench/bench_signalling.py [--minutes 10] [--trials 100]

Costs are processor time of this process. White noise; the signal-to-noise ratio is taken in 4 kHz for tones in the
voice band and in 200 Hz for those below it.
"""

import argparse
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.ctcss import TONES_HZ, CtcssEncoder
from tongpin.codecs.dcs import DcsEncoder
from tongpin.codecs.dtmf import encode_dtmf
from tongpin.codecs.mdc1200 import MdcCall, MdcKind
from tongpin.codecs.mdc1200_modem import encode_mdc
from tongpin.codecs.selcall import SelcallKind, encode_selcall
from tongpin.codecs.signalling import SignallingDecoder, SignallingSettings

LEVEL_DBFS = -24.0
SETTINGS = {
    "front end alone": SignallingSettings(),
    "dtmf": SignallingSettings(dtmf=True),
    "mdc1200": SignallingSettings(mdc1200=True),
    "selcall": SignallingSettings(selcall=SelcallKind.ZVEI1),
    "ctcss": SignallingSettings(ctcss=TONES_HZ),
    "dcs": SignallingSettings(dcs=("023", "114")),
    "everything": SignallingSettings(True, True, SelcallKind.ZVEI1, 5, TONES_HZ, ("023", "114")),
}
Sound = NDArray[np.floating] | NDArray[np.int16]


def found(settings: SignallingSettings, sound: Sound) -> list[str]:
    decoder = SignallingDecoder(settings)
    whole = np.concatenate([sound, np.zeros(-sound.size % 960)])
    frames = np.clip(np.rint(whole), -32768, 32767).astype(np.int16).reshape(-1, 960)
    said: list[str] = []
    for frame in frames:
        for event in decoder.push(frame).events:
            names = ("key", "code", "unit", "tone_hz")
            said.append(
                f"{type(event).__name__} {next(getattr(event, name) for name in names if hasattr(event, name))}"
            )
    return said


def carried(encoder: CtcssEncoder | DcsEncoder) -> Sound:
    return np.concatenate([encoder.next_frame() for _ in range(40)])


def costs(noise: Sound) -> None:
    print("| Decoders | µs per 20 ms frame |\n|---|---|")
    count = noise.size // 960
    frames = noise[: count * 960].astype(np.int16).reshape(-1, 960)
    for name, settings in SETTINGS.items():
        decoder = SignallingDecoder(settings)
        begin = process_time()
        for frame in frames:
            decoder.push(frame)
        print(f"| {name} | {(process_time() - begin) / count * 1e6:.0f} |")


def sweep(trials: int, random: np.random.Generator) -> None:
    conditions = (12, 9, 6, 3, 0, -3, -6)
    signals: dict[str, tuple[SignallingSettings, Callable[[int], Sound], Callable[[int], list[str]], int]] = {
        "DTMF, 4 keys": (
            SETTINGS["dtmf"],
            lambda n: encode_dtmf("159D", LEVEL_DBFS),
            lambda n: [f"DtmfKey {key}" for key in "159D"],
            4000,
        ),
        "MDC1200 PTT id": (
            SETTINGS["mdc1200"],
            lambda n: encode_mdc(MdcCall(MdcKind.PTT_ID, n + 1), LEVEL_DBFS),
            lambda n: [f"MdcHeard {n + 1}"],
            4000,
        ),
        "ZVEI1": (
            SETTINGS["selcall"],
            lambda n: encode_selcall(SelcallKind.ZVEI1, f"{n + 10000}", LEVEL_DBFS),
            lambda n: [f"SelcallHeard {n + 10000}"],
            4000,
        ),
        "CTCSS, one of fifty": (
            SETTINGS["ctcss"],
            lambda n: carried(CtcssEncoder(TONES_HZ[n % 50], LEVEL_DBFS)),
            lambda n: [f"ToneMoved {TONES_HZ[n % 50]}"],
            200,
        ),
        "DCS 023": (
            SETTINGS["dcs"],
            lambda n: carried(DcsEncoder("023", LEVEL_DBFS)),
            lambda n: ["CodeMoved 023"],
            200,
        ),
    }
    print(f"\n| Right of {trials} at | " + " | ".join(f"{snr} dB" for snr in conditions) + " |")
    print("|---" * (len(conditions) + 1) + "|")
    for name, (settings, make, expected, band_hz) in signals.items():
        row = []
        for snr_db in conditions:
            sigma = 32768 * 10 ** ((LEVEL_DBFS - snr_db) / 20) * np.sqrt(24_000 / band_hz)
            right = 0
            for n in range(trials):
                sound = np.concatenate([np.zeros(4800), make(n), np.zeros(9600)])
                said = found(settings, sound + random.normal(0, sigma, sound.size))
                right += said[: len(expected(n))] == expected(n) and set(said) == set(expected(n))
            row.append(str(right))
        print(f"| {name} | " + " | ".join(row) + " |", flush=True)


def speech(minutes: float) -> Sound:
    """espeak-ng in ten voices, band-limited as a radio does."""
    text = Path(__file__).read_text(encoding="utf-8") * 3
    parts: list[NDArray[np.int16]] = []
    size = 0
    number = 0
    raw = ["sox", "-t", "wav", "-", "-t", "raw", "-r", "48000", "-e", "signed", "-b", "16", "-c", "1", "-"]
    while size < minutes * 60 * 48_000:
        voice = f"{('en-us', 'en-gb', 'cmn', 'de', 'fr')[number % 5]}+{'mf'[number % 2]}{number % 4 + 1}"
        part = text[number * 400 % 6000 :][:1500]
        wav = subprocess.run(
            ["espeak-ng", "-v", voice, "-s", str(140 + number % 5 * 15), "--stdout", part],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        pcm = subprocess.run([*raw, "sinc", "300-3400"], input=wav, stdout=subprocess.PIPE, check=True).stdout
        parts.append(np.frombuffer(pcm, np.int16))
        size += parts[-1].size
        number += 1
    return np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0, help="of noise, and of speech")
    parser.add_argument("--trials", type=int, default=100)
    arguments = parser.parse_args()
    random = np.random.default_rng(1)
    costs(random.normal(0, 3000, 20 * 48_000))
    sweep(arguments.trials, random)
    print("\n| False decodes | |\n|---|---|")
    noise: Counter[str] = Counter()
    for _ in range(max(1, int(arguments.minutes))):
        noise.update(found(SETTINGS["everything"], random.normal(0, 3000, 60 * 48_000)))
    print(f"| {arguments.minutes:g} min of noise | {dict(noise) or 'none'} |")
    said = Counter(found(SETTINGS["everything"], speech(arguments.minutes)))
    print(f"| {arguments.minutes:g} min of espeak-ng | {dict(said) or 'none'} |")


if __name__ == "__main__":
    main()
