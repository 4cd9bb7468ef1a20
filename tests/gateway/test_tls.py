"""The local CA: made once, kept private, believed by a real TLS client."""

import ssl
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from tongpin.gateway import tls


def test_a_client_that_trusts_the_ca_believes_the_server(tmp_path: Path) -> None:
    files = tls.ensure_certificate(tmp_path / "tls", ["gateway.example", "localhost", "127.0.0.1"])
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(files.cert, files.key)
    for name in ("localhost", "127.0.0.1", "gateway.example"):
        client = ssl.create_default_context(cafile=str(files.ca))
        assert _handshake(client, server, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(ssl.create_default_context(cafile=str(files.ca)), server, "other.example")
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((tmp_path / "tls" / name).stat().st_mode) == 0o600


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> bool:
    """A TLS handshake in memory."""
    c_in, c_out, s_in, s_out = (ssl.MemoryBIO() for _ in range(4))
    mine = client.wrap_bio(c_in, c_out, server_hostname=name)
    theirs = server.wrap_bio(s_in, s_out, server_side=True)
    for _ in range(10):
        done = 0
        for end in (mine, theirs):
            try:
                end.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                pass
        s_in.write(c_out.read())
        c_in.write(s_out.read())
        if done == 2:
            return True
    return False


def test_it_is_made_once_and_renewed_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tls.ensure_certificate(tmp_path, ["localhost"])
    first, ca = files.cert.read_bytes(), files.ca.read_bytes()
    tls.ensure_certificate(tmp_path, ["localhost"])
    assert files.cert.read_bytes() == first
    files.key.unlink()
    monkeypatch.setattr(tls, "SERVER_LIFE", timedelta(days=20))
    tls.ensure_certificate(tmp_path, ["localhost"])
    second = files.cert.read_bytes()
    assert second != first
    monkeypatch.undo()
    tls.ensure_certificate(tmp_path, ["localhost"])
    assert files.cert.read_bytes() != second, "20 days are too few: renewed"
    assert files.ca.read_bytes() == ca


def test_own_names_hold_the_host_that_was_asked_for() -> None:
    assert tls.own_names("10.1.2.3")[0] == "10.1.2.3"
    assert "localhost" in tls.own_names("0.0.0.0")
