"""DTLS 1.2 with the SRTP extension (RFC 5764), one certificate and one context for the whole process.

The SSL object of a connection lives as long as its handshake may still have to be repeated, and no longer: it is the
largest part of a listener's memory, and without data channels nobody needs it once the keys are out.
"""

import datetime
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256, sha384, sha512
from hmac import compare_digest

import pylibsrtp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from tongpin.gateway.errors import PeerError

MAX_DATAGRAM = 1200
"""Our flights are cut at record boundaries so that no datagram is larger: it passes every tunnel we know."""
DIGESTS = {"sha-256": sha256, "sha-384": sha384, "sha-512": sha512}

_DTLS_1_2 = 0xFEFD
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
)
_RECORD_HEADER = 13
_MAX_READ = 16_384


@dataclass(frozen=True, slots=True)
class SrtpProfile:
    """A protection profile by its names in OpenSSL and libsrtp; key and salt in bytes."""

    name: bytes
    number: int
    key: int
    salt: int


def _profiles() -> tuple[SrtpProfile, ...]:
    """What this libsrtp can, best first: GCM is cheaper than counter mode with SHA-1, and authenticates more."""
    policy = pylibsrtp.Policy
    wanted = (
        SrtpProfile(b"SRTP_AEAD_AES_128_GCM", policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
        SrtpProfile(b"SRTP_AEAD_AES_256_GCM", policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
        SrtpProfile(b"SRTP_AES128_CM_SHA1_80", policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
    )
    able = []
    for profile in wanted:
        try:
            policy(srtp_profile=profile.number)
        except pylibsrtp.Error:
            continue
        able.append(profile)
    return tuple(able)


PROFILES = _profiles()


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master key and salt of each direction."""

    profile: SrtpProfile
    ours: bytes
    theirs: bytes


class Identity:
    """The certificate of this process, its fingerprint and the context that every handshake shares.

    Attributes:
        fingerprint: as an answer states it, SHA-256.
    """

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(8))])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=3650))
            .sign(key, hashes.SHA256())
        )
        digest = sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
        self.fingerprint = ":".join(digest[at : at + 2] for at in range(0, 64, 2))
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        # Certificates are self-signed by design; who it is is said by the fingerprint in the offer.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_cipher_list(_CIPHERS)
        context.set_tlsext_use_srtp(b":".join(profile.name for profile in PROFILES))
        self.context = context


class Handshake:
    """One handshake, fed with datagrams.

    Args:
        fingerprints: the client's, by digest name in lower case; each one that we can compute must be right.
        is_server: whether the client begins.
    """

    __slots__ = ("_fingerprints", "_is_server", "_ssl", "keys")

    def __init__(self, identity: Identity, fingerprints: Mapping[str, str], *, is_server: bool) -> None:
        self.keys: SrtpKeys | None = None
        self._fingerprints = fingerprints
        self._is_server = is_server
        self._ssl = SSL.Connection(identity.context)
        self._ssl.set_ciphertext_mtu(MAX_DATAGRAM)
        if is_server:
            self._ssl.set_accept_state()
        else:
            self._ssl.set_connect_state()

    def feed(self, data: bytes) -> bool:
        """Take a datagram (empty to begin). Whether the connection still stands: False = the peer said goodbye.

        Raises:
            PeerError: the handshake failed, or the certificate is not the one that the offer named.
        """
        if data:
            self._ssl.bio_write(data)
        if self.keys is None:
            try:
                self._ssl.do_handshake()
            except SSL.WantReadError:
                return True
            except SSL.Error as failure:
                raise PeerError("the DTLS handshake failed") from failure
            self._check_certificate()
            self.keys = self._export()
            return True
        try:
            self._ssl.recv(_MAX_READ)
        except SSL.ZeroReturnError:
            return False
        except SSL.Error:
            pass
        return True

    def repeat(self) -> None:
        """Send the last flight again if it is due."""
        left = self._ssl.DTLSv1_get_timeout()
        if left is not None and left <= 0:
            self._ssl.DTLSv1_handle_timeout()

    def goodbye(self) -> None:
        """Put a close alert among what is to be sent."""
        if self.keys is not None:
            with suppress(SSL.Error):
                self._ssl.shutdown()

    def take(self) -> list[bytes]:
        """The datagrams that are to be sent now."""
        datagrams: list[bytes] = []
        while True:
            try:
                data = self._ssl.bio_read(_MAX_READ)
            except SSL.Error:
                return datagrams
            datagrams += _cut(data)

    def _check_certificate(self) -> None:
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        der = certificate.public_bytes(serialization.Encoding.DER)
        known = 0
        for name, value in self._fingerprints.items():
            digest = DIGESTS.get(name)
            if digest is None:
                continue
            known += 1
            if not compare_digest(digest(der).hexdigest(), value.replace(":", "").lower()):
                raise PeerError("the certificate is not the one that the offer named")
        if not known:
            raise PeerError("the offer named no fingerprint that can be checked")

    def _export(self) -> SrtpKeys:
        chosen = self._ssl.get_selected_srtp_profile()
        profile = next((profile for profile in PROFILES if profile.name == chosen), None)
        if profile is None:
            raise PeerError("no SRTP profile was agreed on")
        key, salt = profile.key, profile.salt
        block = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = block[:key] + block[2 * key : 2 * key + salt]
        server = block[key : 2 * key] + block[2 * key + salt :]
        return SrtpKeys(profile, server, client) if self._is_server else SrtpKeys(profile, client, server)


def _cut(data: bytes) -> list[bytes]:
    """Whole records, as many as fit into a datagram."""
    if len(data) <= MAX_DATAGRAM:
        return [data] if data else []
    datagrams: list[bytes] = []
    start = at = 0
    while at + _RECORD_HEADER <= len(data):
        after = at + _RECORD_HEADER + int.from_bytes(data[at + 11 : at + 13], "big")
        if after - start > MAX_DATAGRAM and at > start:
            datagrams.append(data[start:at])
            start = at
        at = after
    datagrams.append(data[start:])
    return datagrams
