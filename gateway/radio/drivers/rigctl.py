"""PTT through Hamlib's rigctld: ``T 1`` and ``T 0`` over TCP, each answered ``RPRT 0``."""

import socket
from contextlib import suppress
from time import monotonic
from typing import Final

from tongpin.config.keyers import RigctlKeyer
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.drivers.line import NO_INPUTS, LineInputs

_MOST_BYTES = 256


class RigctlLine:
    """Implements ``KeyLine``. After anything unexpected the connection is closed: an answer may still be on its way."""

    can_key = True

    def __init__(self, config: RigctlKeyer) -> None:
        self._config: Final = config
        self._place: Final = f"rigctld at {config.host}:{config.port}"
        self.poll_s = 0.05 if config.reads_dcd else 0.5
        self._socket: socket.socket | None = None

    def open(self) -> None:
        self.close()
        try:
            self._socket = socket.create_connection((self._config.host, self._config.port), self._config.timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise DeviceError(f"{self._place} cannot be reached: {error}") from None
        self.set(False)

    def set(self, is_active: bool) -> None:
        answer = self._ask("T 1" if is_active else "T 0")
        if answer != "RPRT 0":
            hint = "; does rigctld know how the rig is keyed (-P RIG)?" if answer in ("RPRT -1", "RPRT -11") else ""
            raise self._failed(f"it answers {answer!r} to {'key' if is_active else 'unkey'}{hint}")

    def read(self) -> LineInputs:
        if not self._config.reads_dcd:
            self._ask("t")  # Says whether it is still there, and asks the rig itself.
            return NO_INPUTS
        answer = self._ask("\\get_dcd")
        if answer not in ("0", "1"):
            raise self._failed(f"it does not tell its squelch ({answer!r}); set reads_dcd: false")
        return LineInputs(cos=answer == "1")

    def close(self) -> None:
        if self._socket is not None:
            with suppress(DeviceError):
                self.set(False)
        self._drop()

    def _ask(self, command: str) -> str:
        """One line out, one line back, within the time limit as a whole."""
        connection = self._socket
        if connection is None:
            raise DeviceError(f"{self._place} is not connected")
        until = monotonic() + self._config.timeout_s
        answer = b""
        try:
            connection.settimeout(self._config.timeout_s)
            connection.sendall(command.encode() + b"\n")
            while not answer.endswith(b"\n"):
                connection.settimeout(max(0.001, until - monotonic()))
                data = connection.recv(_MOST_BYTES)
                answer += data
                if not data or len(answer) > _MOST_BYTES:
                    raise self._failed("it has closed the connection" if not data else "it says too much")
        except OSError as error:
            raise self._failed(str(error)) from None
        return answer.decode(errors="replace").strip()

    def _failed(self, reason: str) -> DeviceError:
        self._drop()
        return DeviceError(f"{self._place} fails: {reason}")

    def _drop(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()
