"""Passwords: which are good enough, and keeping them as argon2id hashes."""

import asyncio
import secrets

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import User

MIN_PASSWORD = 12
MAX_PASSWORD = 256
MIN_DIFFERENT = 5
UNUSABLE = "!"
"""The hash of a user who logs in elsewhere: no password fits."""

COMMON = frozenset(
    [
        "123456789012",
        "1234567890123",
        "12345678901234",
        "123456123456",
        "123123123123",
        "1234567891011",
        "987654321098",
        "112233445566",
        "qwertyuiop12",
        "qwertyuiop123",
        "qwertyuiopas",
        "qwertyuiopasdf",
        "qwertyuiop[]",
        "1qaz2wsx3edc",
        "1qaz2wsx3edc4rfv",
        "qazwsxedcrfv",
        "1q2w3e4r5t6y",
        "1q2w3e4r5t6y7u",
        "1q2w3e4r5t6y7u8i",
        "asdfghjkl123",
        "zxcvbnm12345",
        "qwerty123456",
        "qwerty1234567",
        "abcdefghijkl",
        "abcdefg12345",
        "abcd12345678",
        "abc123456789",
        "a12345678910",
        "password1234",
        "password12345",
        "password123456",
        "passwordpassword",
        "mypassword123",
        "changeme1234",
        "changeme12345",
        "changemechangeme",
        "letmein12345",
        "letmeinletmein",
        "welcome12345",
        "welcomewelcome",
        "iloveyou1234",
        "iloveyou12345",
        "administrator",
        "administrator1",
        "admin1234567",
        "admin12345678",
        "adminadmin123",
        "administrator123",
        "dispatcher12",
        "dispatcher123",
        "dispatcher1234",
        "tongpin12345",
        "tongpintongpin",
        "woaini520131",
        "woaini5201314",
        "woaini1314520",
        "5201314520131",
        "q123456789012",
        "aa123456789a",
        "football1234",
        "baseball1234",
        "sunshine1234",
        "princess1234",
        "trustno1trustno1",
        "monkey123456",
        "dragon123456",
        "master123456",
        "superman1234",
        "internet1234",
        "computer1234",
        "whatever1234",
    ]
)
"""The commonest of those that are long enough, in lower case."""

MAX_WAITING = 32


def check_password(password: str, username: str) -> None:
    """Raise CallerError 422, saying why, for a password that is guessed too easily."""
    lowered = password.lower()
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        reason = f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters"
    elif lowered in COMMON:
        reason = "this password is one of the commonest; choose another"
    elif len(username) >= 3 and username.lower() in lowered:
        reason = "the password must not contain the user name"
    elif len(set(lowered)) < MIN_DIFFERENT:
        reason = f"a password has at least {MIN_DIFFERENT} different characters"
    else:
        return
    raise CallerError(422, "weak-password", reason)


class Passwords:
    """argon2id in threads, two at a time: one verify takes 150 ms and must not stop the frames."""

    def __init__(self) -> None:
        self._hash = PasswordHash((Argon2Hasher(),))
        self._turn = asyncio.Semaphore(2)
        self._waiting = 0
        self._decoy = self._hash.hash(secrets.token_hex(16))

    async def hash(self, password: str) -> str:
        async with self._turn:
            return await asyncio.to_thread(self._hash.hash, password)

    async def verify(self, password: str, user: User | None) -> bool:
        """Whether the password is the user's. An unknown or disabled user costs as long as a known one.

        Raises CallerError 429 when too many others wait already.
        """
        if self._waiting >= MAX_WAITING:
            raise CallerError(429, "too-many-logins", "too many log-ins at once; try again in a few seconds")
        usable = user is not None and user.password_hash != UNUSABLE
        stored = user.password_hash if user is not None and usable else self._decoy
        self._waiting += 1
        try:
            async with self._turn:
                is_right = await asyncio.to_thread(self._hash.verify, password[:MAX_PASSWORD], stored)
        finally:
            self._waiting -= 1
        return is_right and usable and user is not None and not user.is_disabled
