"""Virtual sound cards for tests: a private PulseAudio daemon whose null sinks stand for two plugs of each card.

Sound for the radio's receive plug is played into the sink ``<card>_rx``; what the leg transmits is heard on the
monitor of ``<card>_tx``. PortAudio sees each card as one ALSA device by the card's name. The daemon, its socket and
the asoundrc live in one folder and are gone after :meth:`PulseBench.close`.
"""

import os
import shutil
import signal
import socket
import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from time import monotonic
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

_TOOLS = {"pulseaudio": "pulseaudio", "pactl": "pulseaudio-utils", "pacat": "pulseaudio-utils"}
_PLUGIN_FOLDERS = ("/usr/lib", "/usr/lib64")
_START_S = 15.0
_RATE_HZ = 48_000
_LATENCY_MS = 20


def _need_tools() -> None:
    """Fail, and say what to install: a skipped test would look like a passed one."""
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            raise AssertionError(f"these tests need {tool}; on Debian: apt install {package}")
    if not any(
        next(Path(folder).glob("**/alsa-lib/libasound_module_pcm_pulse.so"), None)
        for folder in _PLUGIN_FOLDERS
        if Path(folder).is_dir()
    ):
        raise AssertionError("these tests need ALSA's pulse plugin; on Debian: apt install libasound2-plugins")


class PulseBench:
    """A context manager: the daemon runs inside, with one ALSA device per name in ``cards``."""

    def __init__(self, folder: Path, cards: Sequence[str] = ("radio-a", "radio-b")) -> None:
        """Args: folder: an empty folder; its path must be short enough for a Unix socket (about 90 characters)."""
        self._folder = folder
        self.cards = tuple(cards)
        self._socket = folder / "pulse.sock"
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        """The environment in which PortAudio finds the cards: the caller's own, and two or three more variables."""
        return os.environ | {
            "ALSA_CONFIG_PATH": str(self._folder / "asound.conf"),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_COOKIE": str(self._folder / "cookie"),
            "XDG_RUNTIME_DIR": str(self._folder),
            "HOME": str(self._folder),
        }

    def __enter__(self) -> Self:
        _need_tools()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        (self._folder / "asound.conf").write_text(self._asound())
        (self._folder / "default.pa").write_text(self._script())
        log = (self._folder / "pulse.log").open("wb")
        with log:
            self._daemon = subprocess.Popen(
                [
                    "pulseaudio",
                    "-n",
                    "--daemonize=no",
                    "--exit-idle-time=-1",
                    "--use-pid-file=no",
                    "--disallow-exit",
                    "--realtime=no",
                    "--high-priority=no",
                    "--disable-shm=yes",
                    "--log-target=stderr",
                    f"--file={self._folder / 'default.pa'}",
                ],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the daemon. May be called twice."""
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.terminate()
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def pause_daemon(self) -> None:
        """Stop the daemon as it stands: to the leg, its card has gone silent."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGSTOP)

    def resume_daemon(self) -> None:
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGCONT)

    def unplug(self, card: str) -> None:
        """Take a card away: whoever has it open loses it.

        PulseAudio would move its streams to another card, as no hardware does; so they are ended first.
        """
        for devices, streams, kill in (
            ("sinks", "sink-inputs", "kill-sink-input"),
            ("sources", "source-outputs", "kill-source-output"),
        ):
            ours = {row[0] for row in self._listed(devices) if row[1].startswith((f"{card}_rx", f"{card}_tx"))}
            for stream in self._listed(streams):
                if stream[1] in ours:
                    self._command(f"{kill} {stream[0]}")
        for module in self._listed("modules"):
            if module[1] == "module-null-sink" and f"sink_name={card}_" in module[2]:
                subprocess.run(["pactl", "unload-module", module[0]], env=self.env, check=True)

    def _listed(self, what: str) -> list[list[str]]:
        """Rows of ``pactl list short``."""
        command = ["pactl", "list", "short", what]
        listing = subprocess.run(command, env=self.env, capture_output=True, text=True, check=True)
        return [line.split("\t") for line in listing.stdout.splitlines()]

    def _command(self, text: str) -> None:
        """To the daemon's own command line: pactl cannot end a stream. Returns when it has been done."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self._folder / "cli.sock"))
            line.settimeout(2.0)
            line.sendall(f"{text}\n".encode())
            line.shutdown(socket.SHUT_WR)
            while line.recv(4096):
                pass

    def plug_in(self, card: str) -> None:
        """Put it back, under the name that it had."""
        for side in ("rx", "tx"):
            module = self._module(card, side).split()
            subprocess.run(["pactl", "load-module", *module], env=self.env, check=True, stdout=subprocess.DEVNULL)

    def play(self, wav: Path, card: str) -> "subprocess.Popen[bytes]":
        """Begin to play a WAV file into the receive plug of a card. The process ends when all has been played."""
        return subprocess.Popen(
            ["paplay", f"--latency-msec={_LATENCY_MS}", f"--device={card}_rx", str(wav)], env=self.env
        )

    def record(self, card: str, seconds: float, wav: Path) -> "Recording":
        """Begin to record what a card transmits; it has begun when this returns."""
        return Recording(self.env, f"{card}_tx.monitor", seconds, wav)

    def _asound(self) -> str:
        """Only our cards: no system card may be opened by mistake, and names must be unique."""
        lines = ["</usr/share/alsa/alsa.conf>"]
        for card in self.cards:
            playout, capture = (
                f'{{ type pulse server "unix:{self._socket}" device "{device}" }}'
                for device in (f"{card}_tx", f"{card}_rx.monitor")
            )
            lines.append(f"pcm.{card} {{ type asym playback.pcm {playout} capture.pcm {capture} }}")
        return "\n".join(lines) + "\n"

    def _script(self) -> str:
        lines = [f"load-module module-native-protocol-unix socket={self._socket} auth-anonymous=1"]
        lines.append(f"load-module module-cli-protocol-unix socket={self._folder / 'cli.sock'}")
        for card in self.cards:
            for side in ("rx", "tx"):
                lines.append(f"load-module {self._module(card, side)}")
        return "\n".join(lines) + "\n"

    @staticmethod
    def _module(card: str, side: str) -> str:
        """One plug of a card."""
        return (
            f"module-null-sink sink_name={card}_{side} rate={_RATE_HZ} channels=1 "
            f"sink_properties=device.description={card}-{side}"
        )

    def _wait_ready(self) -> None:
        deadline = monotonic() + _START_S
        pause = Event()
        while True:
            assert self._daemon is not None
            listing = subprocess.run(["pactl", "list", "short", "sinks"], env=self.env, capture_output=True, text=True)
            if all(f"{card}_tx" in listing.stdout for card in self.cards):
                return
            if self._daemon.poll() is not None or monotonic() > deadline:
                raise AssertionError(f"PulseAudio does not start: {(self._folder / 'pulse.log').read_text()[-2000:]}")
            pause.wait(0.05)


class Recording:
    """A parec under way: mono 48 kHz int16."""

    def __init__(self, env: dict[str, str], source: str, seconds: float, wav: Path) -> None:
        self._wav = wav
        self._bytes = int(seconds * _RATE_HZ) * 2
        self._process = subprocess.Popen(
            [
                "parec",
                f"--device={source}",
                f"--rate={_RATE_HZ}",
                "--channels=1",
                "--format=s16le",
                f"--latency-msec={_LATENCY_MS}",
            ],
            env=env,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._first = os.read(self._process.stdout.fileno(), 65_536)
        self.started_at = monotonic()
        """Monotonic seconds at which the first bytes were here."""

    def finish(self) -> NDArray[np.int16]:
        """Wait until the time is full, write the WAV file and answer its samples."""
        assert self._process.stdout is not None
        data = bytearray(self._first)
        with self._process.stdout as stream:
            while len(data) < self._bytes:
                more = os.read(stream.fileno(), 65_536)
                if not more:
                    break
                data += more
        self._process.terminate()
        self._process.wait(5)
        data = data[: self._bytes]
        with wave.open(str(self._wav), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(_RATE_HZ)
            file.writeframes(bytes(data))
        return np.frombuffer(bytes(data), np.int16)
