"""Webhooks over real sockets and a real outbox: signed, in order, again and again, given up, and over a restart."""

import asyncio
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.events.receiver import Receiver, receiver
from tongpin.gateway.clock import SystemClock
from tongpin.gateway.errors import CallerError
from tongpin.gateway.events import webhooks as module
from tongpin.gateway.events.log import EventLog
from tongpin.gateway.events.webhooks import WebhookSender
from tongpin.gateway.storage.migrate import upgrade
from tongpin.gateway.storage.people import SqlPeople
from tongpin.gateway.storage.store import Store
from tongpin.gateway.storage.webhooks import SqlOutbox, SqlWebhooks
from tongpin.gateway.webhooks import Delivery, DeliveryState, SecretMaker, Webhook, check_url, refusal, sign

CLOCK = SystemClock()
SECRETS = SecretMaker(b"x" * 32)
SHORT = (0.01,) * 20
AT = datetime(2026, 3, 4, 19, 40, tzinfo=UTC)


@pytest.fixture
async def store(storage_url: str) -> AsyncIterator[Store]:
    await asyncio.to_thread(upgrade, storage_url)
    made = Store(storage_url)
    yield made
    await made.close()


@pytest.fixture
async def ear() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


def hook(url: str, name: str = "wh-1", kinds: tuple[str, ...] = ()) -> Webhook:
    return Webhook(name, name, url, None, kinds, f"salt-{name}", "chief", AT)


@asynccontextmanager
async def sending(
    store: Store, log: EventLog, waits_s: tuple[float, ...] = (0.01,) * 20
) -> AsyncIterator[WebhookSender]:
    """A sender for the length of the block; at its end what waits is in the outbox."""
    hooks, outbox = SqlWebhooks(store), SqlOutbox(store)
    sender = WebhookSender(hooks, outbox, log, CLOCK, SECRETS, allow_private=True, waits_s=waits_s)
    await sender.changed()
    running = asyncio.create_task(sender.run())
    await asyncio.sleep(0)
    try:
        yield sender
    finally:
        await sender.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def numbers(ear: Receiver) -> list[int]:
    return [json.loads(body)["event"]["number"] for _, body in ear.got]


async def emptied(outbox: SqlOutbox) -> None:
    async with asyncio.timeout(30):
        while any(waiting for waiting, _ in (await outbox.counts()).values()):
            await asyncio.sleep(0.01)


async def test_events_come_signed_and_in_order_though_the_receiver_fails_now_and_then(
    store: Store, ear: Receiver
) -> None:
    ear.answers = [500, 204, 503, 302, 204, 204, 404, 200]
    ear.headers = "Location: /elsewhere\r\n"
    log = EventLog(CLOCK)
    await SqlWebhooks(store).save(hook(ear.url), is_new=True, audit=())
    async with sending(store, log) as sender:
        for number in range(6):
            log.tell({"kind": "x", "number": number})
        await ear.until(10)
        await emptied(SqlOutbox(store))
        secret = sender.secret(hook(ear.url))
    assert numbers(ear) == [0, 0, 1, 1, 1, 2, 3, 3, 4, 5], "the same again until it is taken, and nothing overtakes"
    ids = [headers["tongpin-delivery"] for headers, _ in ear.got]
    assert len(set(ids)) == 6
    for headers, body in ear.got:
        assert headers[""] == "POST /hook?x=1 HTTP/1.1"
        assert (headers["host"], headers["tongpin-event"]) == (f"127.0.0.1:{ear.port}", "x")
        assert abs(int(headers["tongpin-timestamp"]) - CLOCK.at().timestamp()) < 60
        signed = headers["tongpin-timestamp"].encode() + b"." + body
        assert headers["tongpin-signature"] == "v1=" + hmac.new(secret.encode(), signed, "sha256").hexdigest()


async def test_what_is_not_delivered_waits_over_a_restart(store: Store, ear: Receiver) -> None:
    ear.answers = [500]
    await SqlWebhooks(store).save(hook(ear.url), is_new=True, audit=())
    log = EventLog(CLOCK)
    async with sending(store, log, (3600,)):
        for number in range(3):
            log.tell({"kind": "x", "number": number})
        await ear.until(1)
    assert await SqlOutbox(store).counts() == {"wh-1": (3, 0)}
    ear.answers = [204]
    async with sending(store, EventLog(CLOCK)):
        await ear.until(4)
        await emptied(SqlOutbox(store))
    assert numbers(ear) == [0, 0, 1, 2]
    assert ear.got[0][0]["tongpin-delivery"] == ear.got[1][0]["tongpin-delivery"]


async def test_what_fails_too_often_is_a_dead_letter_and_can_be_sent_again(store: Store, ear: Receiver) -> None:
    ear.answers = [500, 500, 500, 204]
    await SqlWebhooks(store).save(hook(ear.url), is_new=True, audit=())
    log, outbox = EventLog(CLOCK), SqlOutbox(store)
    async with sending(store, log, (0.01, 0.01)) as sender:
        log.tell({"kind": "x", "number": 0})
        log.tell({"kind": "x", "number": 1})
        await ear.until(4)
        await emptied(outbox)
        (dead,) = await outbox.dead("wh-1", 0, 10)
        assert (dead.attempts, dead.state, dead.status) == (3, DeliveryState.DEAD, 500)
        assert dead.error == "the receiver answered 500"
        with pytest.raises(CallerError):
            await sender.redeliver(hook(ear.url), "d-nix")
        await sender.redeliver(hook(ear.url), dead.id)
        await ear.until(5)
        await emptied(outbox)
    assert numbers(ear) == [0, 0, 0, 1, 0]
    assert await outbox.counts() == {}


async def test_one_bad_receiver_does_not_hold_up_another_and_kinds_are_chosen(store: Store, ear: Receiver) -> None:
    hooks = SqlWebhooks(store)
    await hooks.save(hook("http://127.0.0.1:9/", "wh-0"), is_new=True, audit=())
    await hooks.save(hook(ear.url, kinds=("wanted",)), is_new=True, audit=())
    log = EventLog(CLOCK)
    async with sending(store, log, (3600,)):
        for number in range(4):
            log.tell({"kind": "wanted" if number % 2 else "other", "number": number})
        await ear.until(2)
    assert numbers(ear) == [1, 3]
    assert (await SqlOutbox(store).counts())["wh-0"] == (4, 0)


async def test_an_agencys_webhook_gets_what_the_agency_may_follow(store: Store, ear: Receiver) -> None:
    from tongpin.gateway.records import Agency

    await SqlPeople(store).save_agency(Agency("gongan", "Police"), is_new=True)
    await SqlWebhooks(store).save(replace(hook(ear.url), agency="gongan"), is_new=True, audit=())
    log = EventLog(CLOCK)
    async with sending(store, log):
        for number, agencies in enumerate((frozenset({"chengguan"}), frozenset({"gongan", "chengguan"}), None)):
            log.tell({"kind": "x", "number": number}, agencies)
        await ear.until(2)
    assert numbers(ear) == [1, 2]


async def test_a_change_takes_effect_at_once(store: Store, ear: Receiver) -> None:
    hooks, log = SqlWebhooks(store), EventLog(CLOCK)
    await hooks.save(hook("http://127.0.0.1:9/"), is_new=True, audit=())
    async with sending(store, log, (3600,)) as sender:
        log.tell({"kind": "x", "number": 0})
        while (await SqlOutbox(store).counts()).get("wh-1") != (1, 0):
            await asyncio.sleep(0.01)
        await hooks.save(hook(ear.url), is_new=False, audit=())
        await sender.changed()
        await ear.until(1)
        await hooks.save(replace(hook(ear.url), is_active=False), is_new=False, audit=())
        await sender.changed()
        log.tell({"kind": "x", "number": 1})
        outcome = await sender.test(hook(ear.url))
        assert (outcome.status, outcome.is_delivered) == (204, True)
    assert json.loads(ear.got[-1][1])["event"] == {"kind": "test"}
    assert len(ear.got) == 2


async def test_an_attempt_has_an_end_and_says_what_was_wrong(
    store: Store, ear: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPT_S", 0.2)
    ear.answers = [None]
    async with sending(store, EventLog(CLOCK)) as sender:
        assert (await sender.test(hook(ear.url))).error == f"no answer within {0.2:.0f} s"
        ear.answers = [307]
        ear.headers = "Location: http://127.0.0.1:9/\r\n"
        assert (await sender.test(hook(ear.url))).error == "the receiver answered 307; redirects are not followed"
        assert "ConnectError" in (await sender.test(hook("http://127.0.0.1:9/"))).error
        assert (await sender.test(hook("http://no-such-host.invalid/"))).error != ""
        assert (await sender.test(hook("http://169.254.169.254/"))).error == "169.254.169.254 is no receiver's address"
    closed = WebhookSender(SqlWebhooks(store), SqlOutbox(store), EventLog(CLOCK), CLOCK, SECRETS, allow_private=False)
    for url in (ear.url, f"http://localhost:{ear.port}/"):
        assert "is a private address" in (await closed.test(hook(url))).error
    assert len(ear.got) == 2


async def test_the_outbox_is_bounded_for_each_webhook(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tongpin.gateway.storage.webhooks.DEAD_KEPT", 3)
    hooks, outbox = SqlWebhooks(store), SqlOutbox(store)
    for name in ("wh-1", "wh-2"):
        await hooks.save(hook("http://127.0.0.1:9/", name), is_new=True, audit=())
    made = [Delivery(f"d-{number}", f"wh-{1 + number % 2}", "x", "{}", AT) for number in range(20)]
    assert await outbox.add(made, 6) == 8
    assert await outbox.counts() == {"wh-1": (6, 0), "wh-2": (6, 0)}
    assert await outbox.add([Delivery("d-x", "wh-gone", "x", "{}", AT)], 6) == 0
    while (first := await outbox.first("wh-1")) is not None:
        await outbox.save(replace(first, state=DeliveryState.DEAD, attempts=8, error="no"))
    assert [dead.id for dead in await outbox.dead("wh-1", 0, 10)] == ["d-6", "d-8", "d-10"]
    page = await outbox.dead("wh-1", 0, 2)
    assert [dead.id for dead in await outbox.dead("wh-1", page[-1].number, 2)] == ["d-10"]
    await hooks.save(replace(hook("http://127.0.0.1:9/"), is_retired=True), is_new=False, audit=())
    assert await outbox.counts() == {"wh-2": (6, 0)}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "http://",
        "http:///path",
        "//example.org",
        "http://user:word@example.org/",
        "http://example.org/#part",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://[::1",
        "http://exa mple.org/",
        "http://example.org/\n",
        "http://münchen.example/",
        "http://example.org/" + "x" * 2000,
        "http://0.0.0.0/",
        "http://[ff02::1]/",
        "http://169.254.169.254/latest",
        "http://[::ffff:169.254.169.254]/",
    ],
)
def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(CallerError) as caught:
        check_url(url, allow_private=True)
    assert caught.value.status == 422


def test_private_addresses_are_a_matter_of_policy() -> None:
    for address in ("127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "fd00::1", "::ffff:10.0.0.1"):
        assert refusal(ipaddress.ip_address(address), allow_private=True) == ""
        assert "private" in refusal(ipaddress.ip_address(address), allow_private=False)
    assert refusal(ipaddress.ip_address("93.184.216.34"), allow_private=False) == ""
    with pytest.raises(CallerError):
        check_url("http://10.0.0.1/", allow_private=False)
    check_url("https://example.org:8443/x?y=z", allow_private=False)


def test_a_secret_belongs_to_a_webhook_and_its_salt() -> None:
    made = {SECRETS.of(one) for one in (hook("u"), hook("u", "wh-2"), replace(hook("u"), salt="other"))}
    made |= {SecretMaker(b"y" * 32).of(hook("u"))}
    assert len(made) == 4
    assert SECRETS.of(hook("u")) == SECRETS.of(hook("another url"))
    assert all(secret.startswith("whsec_") and len(secret) == 49 for secret in made)


def test_the_signature_is_what_the_documentation_says() -> None:
    """Computed by hand with openssl: printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_test"""
    assert (
        sign("whsec_test", "1700000000", b"{}") == "v1=35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91"
    )
