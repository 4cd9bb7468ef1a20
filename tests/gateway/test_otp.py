"""RFC 6238 appendix B (SHA-1 column) and RFC 4226 appendix D: the vectors of the standards themselves."""

import pytest

from tongpin.gateway.otp import base32, code_at, matching_step, new_secret, uri

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_rfc_6238(seconds: int, code: str) -> None:
    assert code_at(SECRET, seconds // 30, digits=8) == code
    assert matching_step(SECRET, code[2:], seconds) == seconds // 30


def test_rfc_4226() -> None:
    codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
    assert [code_at(SECRET, counter) for counter in range(10)] == codes


def test_a_clock_may_be_a_step_off_and_no_more() -> None:
    now = 1_700_000_000
    codes = {step: code_at(SECRET, now // 30 + step) for step in range(-2, 3)}
    found = {step: matching_step(SECRET, f" {code[:3]} {code[3:]}", now) for step, code in codes.items()}
    assert found == {-2: None, -1: now // 30 - 1, 0: now // 30, 1: now // 30 + 1, 2: None}
    assert matching_step(SECRET, "", now) is None
    assert matching_step(SECRET, "12345六", now) is None
    assert matching_step(SECRET, code_at(SECRET, 0), 3) == 0


def test_what_the_app_is_told() -> None:
    secret = new_secret()
    assert len(secret) == 20 and secret != new_secret()
    assert uri(SECRET, "chen li") == (
        "otpauth://totp/Tongpin:chen%20li?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Tongpin"
    )
    assert "=" not in base32(b"1234567")
