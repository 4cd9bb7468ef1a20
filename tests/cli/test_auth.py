"""Passwords, tokens, tickets and the limit on wrong log-ins, on a clock that stands where it is put."""

import asyncio
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from tongpin.gateway.auth import ACCESS_LIFE, TICKET_LIFE_S, Tickets, Tokens, load_secret
from tongpin.gateway.errors import CallerError
from tongpin.gateway.login_limit import LIMIT, LoginLimiter
from tongpin.gateway.passwords import (
    COMMON,
    MAX_PASSWORD,
    MAX_WAITING,
    MIN_PASSWORD,
    UNUSABLE,
    Passwords,
    check_password,
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


def test_a_token_names_its_user_for_its_life() -> None:
    clock = HandClock()
    tokens = Tokens(SECRET, clock)
    # PyJWT compares "issued at" with the machine's own clock, so the moment of issue must not lie ahead of it.
    clock.start = datetime.now(UTC) - timedelta(days=1)
    token = tokens.issue(CHEN)
    assert tokens.read(token) == IDENTITY
    clock.seconds = ACCESS_LIFE.total_seconds() - 2
    assert tokens.read(token) == IDENTITY
    clock.seconds = ACCESS_LIFE.total_seconds()
    assert tokens.read(token) is None


@pytest.mark.parametrize("case", ["empty", "garbage", "other secret", "no signature", "no role", "odd role", "odd end"])
def test_a_forged_token_names_nobody(case: str) -> None:
    clock = HandClock()
    claims = {
        "sub": "u-1",
        "name": "chen",
        "role": "admin",
        "agency": None,
        "epoch": 0,
        "exp": clock.at().timestamp() + 60,
    }
    forged = {
        "empty": "",
        "garbage": "a.b.c",
        "other secret": jwt.encode(claims, SECRET[::-1], algorithm="HS256"),
        "no signature": jwt.encode(claims, "", algorithm="none"),
        "no role": jwt.encode({key: claims[key] for key in ("sub", "name", "exp", "epoch")}, SECRET, algorithm="HS256"),
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
    waits, locks = [], []
    for _ in range(14):
        locks.append(limiter.failed("chen", "10.0.0.1"))
        waits.append(limiter.wait_s("chen", "10.0.0.1"))
    assert waits == [0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert locks == [False] * 4 + [True] + [False] * 9
    assert limiter.wait_s("chen", "10.0.0.2") == 0
    assert limiter.wait_s("wang", "10.0.0.1") == 0
    clock.seconds = 299
    assert limiter.wait_s("chen", "10.0.0.1") == 1
    clock.seconds = 301
    assert limiter.wait_s("chen", "10.0.0.1") == 0
    limiter.succeeded("chen", "10.0.0.1")
    limiter.failed("chen", "10.0.0.1")
    assert limiter.wait_s("chen", "10.0.0.1") == 0


def test_a_name_that_is_tried_from_everywhere_is_locked_but_not_where_its_owner_is_known() -> None:
    limiter = LoginLimiter(HandClock().now)
    limiter.succeeded("chen", "10.0.0.1")
    for number in range(LoginLimiter.NAME_TRIES):
        limiter.failed("chen", f"192.0.2.{number}")
    assert limiter.wait_s("chen", "198.51.100.1") > 0
    assert limiter.wait_s("chen", "10.0.0.1") == 0
    assert limiter.wait_s("wang", "198.51.100.1") == 0


def test_an_address_that_tries_every_name_is_locked_and_a_quiet_while_forgives() -> None:
    clock = HandClock()
    limiter = LoginLimiter(clock.now)
    for number in range(LoginLimiter.ADDRESS_TRIES):
        limiter.failed(f"user-{number}", "10.0.0.1")
    assert limiter.wait_s("somebody", "10.0.0.1") > 0
    assert limiter.wait_s("somebody", "10.0.0.2") == 0
    clock.seconds = 1000
    limiter.failed("somebody", "10.0.0.1")
    assert limiter.wait_s("somebody", "10.0.0.1") == 0


def test_the_tables_of_the_limiter_are_bounded() -> None:
    limiter = LoginLimiter(HandClock().now)
    for number in range(LIMIT + 100):
        limiter.failed(f"user-{number}", "10.0.0.1")
        limiter.succeeded(f"user-{number}", "10.0.0.2")
        limiter.failed(f"user-{number}", "10.0.0.3")
    assert len(limiter._pairs) == len(limiter._names) == len(limiter._known) == LIMIT


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("x" * (MIN_PASSWORD - 1), "12 to 256"),
        ("x1y2" * 65, "12 to 256"),
        ("Password1234", "commonest"),
        ("my-Chen-rides-8", "user name"),
        ("ababababababab", "different"),
    ],
)
def test_a_password_that_is_guessed_too_easily(password: str, told: str) -> None:
    with pytest.raises(CallerError, match=told) as caught:
        check_password(password, "chen")
    assert (caught.value.status, caught.value.code) == (422, "weak-password")


def test_good_passwords_and_the_list_of_bad_ones() -> None:
    check_password("correct horse battery", "chen")
    check_password("对讲机同频联勤指挥中心一二三四", "chen")
    assert all(len(one) >= MIN_PASSWORD and one == one.lower() for one in COMMON)


async def test_a_user_without_a_password_has_none_that_fits() -> None:
    user = replace(CHEN, password_hash=UNUSABLE)
    assert not await Passwords().verify(UNUSABLE, user)
    assert not await Passwords().verify("", user)


async def test_only_so_many_wait_for_their_password_to_be_looked_at() -> None:
    passwords = Passwords()
    user = replace(CHEN, password_hash=await passwords.hash("correct horse battery"))
    tries = [asyncio.create_task(passwords.verify("correct horse battery", user)) for _ in range(MAX_WAITING + 3)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(answer) for answer in answers] == [bool] * MAX_WAITING + [CallerError] * 3


def test_a_token_of_some_verbs_says_so() -> None:
    clock = HandClock()
    clock.start = datetime.now(UTC) - timedelta(days=1)
    tokens = Tokens(SECRET, clock)
    assert tokens.read(tokens.issue(replace(CHEN, epoch=3), "l-1", frozenset())) == replace(
        IDENTITY, verbs=frozenset(), login="l-1", epoch=3
    )
