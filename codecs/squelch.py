"""The plain level squelch: open above one level, closed below a lower one."""

from tongpin.codecs.frame import PcmFrame
from tongpin.codecs.levels import rms_dbfs


class LevelSquelch:
    """Hysteresis on the level of single frames; hang is the gate's work."""

    def __init__(self, open_dbfs: float = -40.0, close_dbfs: float = -46.0) -> None:
        """Raises ValueError when the closing level is above the opening level."""
        if close_dbfs > open_dbfs:
            raise ValueError(f"the squelch would close at {close_dbfs} dBFS, above where it opens ({open_dbfs} dBFS)")
        self._open_dbfs = open_dbfs
        self._close_dbfs = close_dbfs
        self.is_open = False

    def push(self, pcm: PcmFrame) -> bool:
        """One frame; whether the squelch is open after it."""
        level = rms_dbfs(pcm)
        self.is_open = level >= (self._close_dbfs if self.is_open else self._open_dbfs)
        return self.is_open
