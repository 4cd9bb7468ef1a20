"""Speech for the gate's benchmark: voices that Debian packages ship, in a tuned part and one that nothing was tuned on.

No speaker, prompt or synthetic voice is in both parts. Packages: ``scripts/packages-bench.txt``.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float64]

RATE_HZ = 24_000
BLOCK = RATE_HZ // 100
"""10 ms: the resolution of what counts as spoken."""
_ASTERISK = Path("/usr/share/asterisk/sounds")
_CODEC2 = Path("/usr/share/codec2/raw")
_SPHINX = Path("/usr/share/pocketsphinx/test/data")
_GCIN = Path("/usr/share/gcin-voice/ogg")
_ALSA = Path("/usr/share/sounds/alsa")
_NOT_SPEECH = ("beep", "2tone", "silence", "hello-world", "demo-", "tt-", "ascending", "Noise", "letters/slash")
_MAX_S = 4.0

_PHRASES = {
    "en": (
        "Control, this is unit seven, go ahead.",
        "Fire on the second floor, send two engines.",
        "Stand by.",
        "Seventy six, copy.",
        "Help, officer down at the south gate!",
    ),
    "cmn": (
        "各单位请注意,收到请回答。",
        "指挥中心,我是三号车。",
        "是,明白。",
        "现场有两名伤员,请派救护车。",
        "四七四,收到。",
    ),
    "yue": ("各單位注意,收到請回答。", "我係三號車。"),
    "de": ("Florian eins, hier Leitstelle, kommen.", "Sechs Verletzte an der Brücke.", "Verstanden, Ende."),
    "fr": ("Ici le poste de commandement, parlez.", "Six blessés sur le pont.", "Bien reçu."),
    "es": ("Aquí central, adelante.", "Seis heridos en el puente.", "Recibido."),
    "ru": ("База, я второй, приём.", "Шесть пострадавших на мосту.", "Понял."),
    "pt": ("Central, aqui é a viatura três.", "Feridos na ponte."),
    "ja": ("本部、こちら三号車です。", "了解。"),
    "hi": ("नियंत्रण कक्ष, यहाँ तीन नंबर।", "पुल पर छह घायल।"),
    "ar": ("القيادة، هنا الوحدة الثالثة.", "ستة جرحى على الجسر."),
    "tr": ("Merkez, burası üç numara.", "Köprüde altı yaralı."),
    "pl": ("Centrala, tu wóz trzeci.", "Sześciu rannych na moście."),
    "vi": ("Trung tâm, đây là đội ba.", "Sáu người bị thương."),
    "sw": ("Kituo, hii ni gari la tatu.", "Majeruhi sita darajani."),
}
_TUNED_VOICES = (
    *(("en", f"en-us{kind}") for kind in ("", "+m3", "+f2", "+m7", "+f5")),
    *(("cmn", f"cmn{kind}") for kind in ("", "+f2", "+m4")),
    *((tongue, f"{tongue}{kind}") for tongue in ("de", "fr", "es", "pt", "hi", "pl") for kind in ("", "+f3")),
)
_HELD_VOICES = (
    *(("en", f"en-gb{kind}") for kind in ("+m1", "+f4", "+whisperf", "+croak")),
    *(("cmn", f"cmn{kind}") for kind in ("+m2", "+f4")),
    *((tongue, f"{tongue}{kind}") for tongue in ("yue", "ru", "ja", "ar", "tr", "vi", "sw") for kind in ("+m5", "+f1")),
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """Attributes:
    source: which collection it is from.
    audio: float, 24 kHz mono; its active level (95th percentile of 10 ms blocks, 300–3400 Hz) is 1.
    spoken: one bool per 10 ms block: within 20 dB of the active level.
    onset_samples: start of the first spoken block.
    """

    source: str
    audio: Audio
    spoken: NDArray[np.bool_]
    onset_samples: int


def band_pass(audio: Audio, low_hz: float, high_hz: float, rate_hz: int = RATE_HZ) -> Audio:
    """A whole signal without what lies outside; edges 10 % wide, no delay."""
    spectrum = np.fft.rfft(audio)
    hz = np.fft.rfftfreq(audio.size, 1 / rate_hz)
    rise = np.clip((hz - low_hz * 0.9) / max(low_hz * 0.1, 1e-9), 0, 1)
    fall = np.clip((high_hz * 1.1 - hz) / (high_hz * 0.1), 0, 1)
    return np.fft.irfft(spectrum * rise * fall, audio.size)


def _prepared(source: str, audio: Audio) -> Utterance | None:
    audio = audio[: audio.size // BLOCK * BLOCK]
    if audio.size < 20 * BLOCK:
        return None
    audio = band_pass(audio, 80, 10_000)  # Some prompts begin with a step of DC: no onset.
    power = np.mean(band_pass(audio, 300, 3400).reshape(-1, BLOCK) ** 2, axis=1)
    level = float(np.percentile(power, 95))
    if level <= 1e-9:
        return None
    heard = np.flatnonzero(power > level * 1e-4)
    first, last = max(0, int(heard[0]) - 2), min(power.size, int(heard[-1]) + 3)
    last = min(last, first + round(_MAX_S * 100))
    spoken = power[first:last] > level * 1e-2
    if np.count_nonzero(spoken) < 12:
        return None
    cut = audio[first * BLOCK : last * BLOCK] / np.sqrt(level)
    return Utterance(source, cut, spoken, int(np.argmax(spoken)) * BLOCK)


def load(path: Path) -> Audio:
    """Any sound file as 24 kHz mono; ``.raw`` is 8 kHz int16."""
    options = (
        {"format": "s16le", "options": {"ar": "16000" if _SPHINX in path.parents else "8000"}}
        if path.suffix == ".raw"
        else {}
    )
    resampler = av.AudioResampler("s16", "mono", RATE_HZ)
    with av.open(str(path), **options) as file:  # type: ignore[call-overload]
        frames = [out for frame in file.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


def _files(source: str, files: list[Path], count: int, rng: np.random.Generator) -> Iterator[Utterance]:
    # Some prompts are shipped empty.
    wanted = [
        path for path in files if path.stat().st_size > 500 and not any(word in str(path) for word in _NOT_SPEECH)
    ]
    for at in rng.permutation(len(wanted)):
        if count == 0:
            return
        found = _prepared(source, load(wanted[at]))
        if found is not None:
            count -= 1
            yield found


def _long(source: str, names: tuple[str, ...], rng: np.random.Generator) -> Iterator[Utterance]:
    """Longer recordings, cut at pauses or after some seconds."""
    for name in names:
        audio = load(_CODEC2 / f"{name}.raw")
        at = 0
        while audio.size - at > RATE_HZ:
            length = int(rng.uniform(1.5, 4.0) * RATE_HZ)
            found = _prepared(source, audio[at : at + length])
            at += length
            if found is not None:
                yield found


def _syllables(source: str, speaker: str, count: int, rng: np.random.Generator) -> Iterator[Utterance]:
    """Recorded Mandarin syllables, strung together to phrases."""
    files = sorted(_GCIN.glob(f"*/{speaker}.ogg"))
    for _ in range(count):
        parts: list[Audio] = []
        for at in rng.choice(len(files), int(rng.integers(2, 7))):
            one = _prepared(source, load(files[at]))
            if one is not None:
                parts += [one.audio, np.zeros(int(rng.uniform(0, 0.12) * RATE_HZ))]
        found = _prepared(source, np.concatenate(parts)) if parts else None
        if found is not None:
            yield found


def _synthetic(voices: tuple[tuple[str, str], ...], rng: np.random.Generator) -> Iterator[Utterance]:
    with tempfile.TemporaryDirectory() as folder:
        for tongue, voice in voices:
            for phrase in _PHRASES[tongue]:
                file = Path(folder) / "say.wav"
                speed, pitch = str(rng.integers(140, 200)), str(rng.integers(20, 80))
                command = ["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "-w", str(file), phrase]
                subprocess.run(command, check=True, capture_output=True)
                found = _prepared("espeak-ng", load(file))
                if found is not None:
                    yield found


def _asterisk(voice: str) -> list[Path]:
    return sorted((_ASTERISK / voice).glob("**/*.wav"))


def _shuffled(rng: np.random.Generator, found: list[Utterance]) -> tuple[Utterance, ...]:
    return tuple(found[at] for at in rng.permutation(len(found)))


@cache
def tuned() -> tuple[Utterance, ...]:
    """What the classifier is trained on and thresholds are set by."""
    rng = np.random.default_rng(1)
    return _shuffled(
        rng,
        [
            *_synthetic(_TUNED_VOICES, rng),
            *_files("prompts en", _asterisk("en_US_f_Allison"), 170, rng),
            *_files("prompts es", _asterisk("es_MX_f_Allison"), 80, rng),
            *_files("prompts ru", _asterisk("ru_RU_f_IvrvoiceRU"), 170, rng),
            *_files("prompts fr", sorted((_ASTERISK / "fr").glob("*.gsm")), 60, rng),
            *_long("codec2", ("hts1", "hts2", "cq_ref", "forig", "cross", "ve9qrp", "kristoff"), rng),
            *_syllables("syllables zh", "3", 90, rng),
        ],
    )


@cache
def held_out() -> tuple[Utterance, ...]:
    """Other speakers, other voices, other languages: only for the benchmark's second part."""
    rng = np.random.default_rng(2)
    return _shuffled(
        rng,
        [
            *_synthetic(_HELD_VOICES, rng),
            *_files("prompts it", _asterisk("it_IT_m_Carlo"), 120, rng),
            *_files("prompts fr-ca", _asterisk("fr_CA_f_June"), 80, rng),
            *_files("prompts es-co", sorted((_ASTERISK / "es").glob("*.gsm")), 40, rng),
            *_long("codec2", ("big_dog", "g3plx", "mmt1", "morig", "vk5qi"), rng),
            *_files("alsa-utils", sorted(_ALSA.glob("*.wav")), 8, rng),
            *_files("pocketsphinx", sorted(_SPHINX.glob("*/*.wav")), 20, rng),
            *_syllables("syllables zh", "5", 60, rng),
        ],
    )
