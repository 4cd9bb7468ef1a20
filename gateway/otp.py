"""Time-based one-time passwords, RFC 6238: HMAC-SHA-1, six digits, steps of 30 s. The time is passed in."""

import base64
import hashlib
import hmac
import secrets
from urllib.parse import quote

STEP_S = 30
DIGITS = 6
DRIFT_STEPS = 1
"""A phone's clock may be off by a step either way."""


def new_secret() -> bytes:
    """160 bits, as RFC 4226 section 4 recommends."""
    return secrets.token_bytes(20)


def code_at(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of a step: RFC 4226 section 5.3 over the step's number."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(secret: bytes, code: str, seconds: float) -> int | None:
    """The step near the time (Unix seconds) whose code this is; None when there is none."""
    now = int(seconds) // STEP_S
    given = code.replace(" ", "").encode()
    found = None
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if step >= 0 and hmac.compare_digest(code_at(secret, step).encode(), given):
            found = step
    return found


def base32(secret: bytes) -> str:
    """The secret as people type it into an app."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri(secret: bytes, username: str) -> str:
    """What the QR code says (Key URI Format of the authenticator apps)."""
    return f"otpauth://totp/Tongpin:{quote(username)}?secret={base32(secret)}&issuer=Tongpin"
