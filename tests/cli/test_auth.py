"""Passwords, tokens, tickets and the limit on wrong log-ins, on a clock that stands where it is put."""

import asyncio
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from tongpin.gateway.auth import (
    MAX_PASSWORD,
    TICKET_LIFE_S,
    TOKEN_LIFE,
    LoginLimiter,
    Passwords,
    Tickets,
    Tokens,
    load_secret,
)
from tongpin.gateway.records import Role, User
from tongpin.gateway.rights import Identity

SECRET = b"0123456789abcdef0123456789abcdef0123456789abcdef"
CHEN = User("u-1", "chen", "", Role.DISPATCHER, "gongan")
IDENTITY = Identity("u-1", "chen", Role.DISPATCHER, "gongan")


class HandClock:
    """Moves only by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.start = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> float:
        return self.seconds

    def at(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)


async def test_a_password_is_known_again_and_no_other() -> None:
    passwords = Passwords()
    user = replace(CHEN, password_hash=await passwords.hash("correct horse battery"))
    assert user.password_hash.startswith("$argon2id$")
    assert await passwords.verify("correct horse battery", user)
    assert not await passwords.verify("correct horse batterx", user)
    assert not await passwords.verify("", user)


async def test_unknown_and_disabled_users_are_refused() -> None:
    passwords = Passwords()
    disabled = replace(CHEN, password_hash=await passwords.hash("correct horse battery"), is_disabled=True)
    assert not await passwords.verify("correct horse battery", None)
    assert not await passwords.verify("correct horse battery", disabled)


async def test_an_endless_password_is_cut_before_it_is_hashed() -> None:
    passwords = Passwords()
    user = replace(CHEN, password_hash=await passwords.hash("x" * MAX_PASSWORD))
    assert await passwords.verify("x" * 10_000_000, user)


async def test_the_loop_runs_on_while_a_password_is_hashed() -> None:
    passwords = Passwords()
    work = asyncio.create_task(passwords.hash("correct horse battery"))
    turns = 0
    while not work.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10


def test_a_token_names_its_user_for_an_hour() -> None:
    clock = HandClock()
    tokens = Tokens(SECRET, clock)
    # PyJWT compares "issued at" with the machine's own clock, so the moment of issue must not lie ahead of it.
    clock.start = datetime.now(UTC) - timedelta(days=1)
    token = tokens.issue(CHEN)
    assert tokens.read(token) == IDENTITY
    clock.seconds = TOKEN_LIFE.total_seconds() - 2
    assert tokens.read(token) == IDENTITY
    clock.seconds = TOKEN_LIFE.total_seconds()
    assert tokens.read(token) is None


@pytest.mark.parametrize("case", ["empty", "garbage", "other secret", "no signature", "no role", "odd role", "odd end"])
def test_a_forged_token_names_nobody(case: str) -> None:
    clock = HandClock()
    claims = {"sub": "u-1", "name": "chen", "role": "admin", "agency": None, "exp": clock.at().timestamp() + 60}
    forged = {
        "empty": "",
        "garbage": "a.b.c",
        "other secret": jwt.encode(claims, SECRET[::-1], algorithm="HS256"),
        "no signature": jwt.encode(claims, "", algorithm="none"),
        "no role": jwt.encode({key: claims[key] for key in ("sub", "name", "exp")}, SECRET, algorithm="HS256"),
        "odd role": jwt.encode({**claims, "role": "king"}, SECRET, algorithm="HS256"),
        "odd end": jwt.encode({**claims, "exp": "never"}, SECRET, algorithm="HS256"),
    }
    assert Tokens(SECRET, clock).read(forged[case]) is None
    assert Tokens(SECRET, clock).read(jwt.encode(claims, SECRET, algorithm="HS256")) is not None


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    secret = load_secret(folder)
    assert len(secret) >= 32
    assert load_secret(folder) == secret
    assert stat.S_IMODE((folder / "token.secret").stat().st_mode) == 0o600
    assert load_secret(tmp_path / "other") != secret


def test_a_ticket_is_good_once_and_for_its_time() -> None:
    clock = HandClock()
    tickets = Tickets(clock.now)
    first, second, third = (tickets.issue(IDENTITY) for _ in range(3))
    assert len({first, second, third}) == 3
    assert tickets.redeem(first) == IDENTITY
    assert tickets.redeem(first) is None
    clock.seconds = TICKET_LIFE_S - 0.001
    assert tickets.redeem(second) == IDENTITY
    clock.seconds = TICKET_LIFE_S
    assert tickets.redeem(third) is None
    assert tickets.redeem("nix") is None


def test_tickets_are_bounded_and_the_oldest_goes() -> None:
    clock = HandClock()
    tickets = Tickets(clock.now)
    issued = [tickets.issue(IDENTITY) for _ in range(Tickets.LIMIT + 1)]
    assert tickets.redeem(issued[0]) is None
    assert tickets.redeem(issued[1]) == IDENTITY


def test_wrong_log_ins_wait_longer_and_longer() -> None:
    clock = HandClock()
    limiter = LoginLimiter(clock.now)
    waits = []
    for _ in range(14):
        limiter.failed("chen", "10.0.0.1")
        waits.append(limiter.wait_s("chen", "10.0.0.1"))
    assert waits == [0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert limiter.wait_s("chen", "10.0.0.2") == 0
    assert limiter.wait_s("wang", "10.0.0.1") == 0
    clock.seconds = 299
    assert limiter.wait_s("chen", "10.0.0.1") == 1
    clock.seconds = 301
    assert limiter.wait_s("chen", "10.0.0.1") == 0
    limiter.succeeded("chen", "10.0.0.1")
    limiter.failed("chen", "10.0.0.1")
    assert limiter.wait_s("chen", "10.0.0.1") == 0


def test_the_table_of_failures_is_bounded() -> None:
    limiter = LoginLimiter(HandClock().now)
    for number in range(LoginLimiter.LIMIT + 100):
        limiter.failed(f"user-{number}", "10.0.0.1")
    assert len(limiter._failures) == LoginLimiter.LIMIT
