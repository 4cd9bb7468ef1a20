"""What the operator wants: immutable pydantic models of the one YAML file. Unknown keys are refused."""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, StringConstraints, field_validator

from tongpin.config.base import Float, Int, Model
from tongpin.config.keyers import KeyerConfig, NoKeyer
from tongpin.config.signalling import SignallingConfig

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""Lower-case letters, digits and dashes: the name of a leg, an agency or a talk group in the file."""


RoleName = Literal["admin", "agency-admin", "dispatcher", "officer", "auditor"]


class TlsFiles(Model):
    """A certificate chain and its key, PEM."""

    cert: Path
    key: Path


class ServerConfig(Model):
    """Where to listen (port 0 = any free one); tls ``auto`` makes a local CA, ``off`` is for loopback or a proxy."""

    host: str = "127.0.0.1"
    port: Int = Field(default=8443, ge=0, le=65535)
    tls: Literal["auto", "off"] | TlsFiles = "off"
    public_url: str | None = None


class WebrtcConfig(Model):
    """``udp_port`` 0 = any free one, for all peers; ``public_ip`` is announced beside the local ones; ``interfaces``
    empty = all; ``max_peers`` connections at most, ``max_per_user`` of them WHIP and WHEP of one user."""

    udp_port: Int = Field(default=0, ge=0, le=65535)
    public_ip: IPv4Address | IPv6Address | None = None
    interfaces: tuple[str, ...] = ()
    ice_servers: tuple[str, ...] = ()
    turn: str | None = None
    include_loopback: bool = True
    slots: Int = Field(default=6, ge=1, le=16)
    max_peers: Int = Field(default=5_000, ge=1, le=50_000)
    max_per_user: Int = Field(default=4_000, ge=1, le=50_000)


class StorageConfig(Model):
    """The database.

    Attributes:
        url: an SQLAlchemy asyncio URL; None is an SQLite file in the data folder.
        pool_size: connections at most.
        statement_limit_s: the longest a statement may take or wait.
    """

    url: str | None = None
    pool_size: Int = Field(default=10, ge=1, le=100)
    statement_limit_s: Float = Field(default=10.0, ge=0.1, le=300)


class WebhooksConfig(Model):
    """``allow_private``: webhooks may point to private and loopback addresses (a receiver on the same network)."""

    allow_private: bool = True


class RetentionRule(Model):
    """How long the recordings of one agency or one talk group stay; a talk group's rule goes before an agency's."""

    agency: Slug | None = None
    talk_group: Slug | None = None
    days: Int = Field(ge=1, le=36_500)


class RecordingConfig(Model):
    """Where recordings go and how long they stay.

    Attributes:
        folder: None = ``recordings`` in the data folder.
        when_full: what happens when less than ``min_free_mb`` is left: ``stop`` keeps all that is kept and records
            nothing new, ``delete_oldest`` makes room. Expired recordings go first in either case; talk always goes on.
    """

    enabled: bool = True
    folder: Path | None = None
    retention_days: Int = Field(default=90, ge=1, le=36_500)
    retention: tuple[RetentionRule, ...] = ()
    when_full: Literal["stop", "delete_oldest"] = "stop"
    min_free_mb: Int = Field(default=200, ge=0)


class GateConfig(Model):
    """Receive gate of a leg; None = the default for legs with or without COS (``codecs.gate.GateSettings``)."""

    expression: str | None = None
    pre_roll_ms: Int | None = Field(default=None, ge=0, le=500)
    hang_ms: Int | None = Field(default=None, ge=0, le=3000)
    open_delay_ms: Int | None = Field(default=None, ge=0, le=1000)
    tail_cut_ms: Int | None = Field(default=None, ge=0, le=500)
    squelch_open_dbfs: Float = Field(default=-60.0, ge=-90, le=0)
    squelch_close_dbfs: Float = Field(default=-66.0, ge=-90, le=0)
    start_delay_ms: Int = Field(default=250, ge=0, le=3000)
    stuck_s: Float = Field(default=180.0, gt=0)


class ReceiveConfig(Model):
    """What becomes of a leg's sound before anybody hears it.

    Attributes:
        low_hz, high_hz: the band that passes; 300 keeps sub-audible tones from the listeners.
        is_flat: the sound comes from a discriminator and still has the transmitter's pre-emphasis.
        agc: bring active speech to −18 dBFS; ``agc_most_db`` is the largest gain, up or down.
    """

    low_hz: Int = Field(default=300, ge=20, le=1_000)
    high_hz: Int = Field(default=3_400, ge=2_000, le=20_000)
    is_flat: bool = False
    agc: bool = True
    agc_most_db: Float = Field(default=20.0, ge=0, le=40)


class SoundCard(Model):
    """PortAudio devices by (part of) their name: one name for both directions, or one each."""

    kind: Literal["soundcard"]
    device: str | None = None
    capture: str | None = None
    playout: str | None = None
    latency_ms: Int = Field(default=40, ge=5, le=500)


class SimUtterance(Model):
    """Something a simulated radio says: a WAV file, or synthetic voice-like sound when no file is named."""

    at_s: Float = Field(ge=0)
    file: Path | None = None
    seconds: Float = Field(default=3.0, gt=0, le=60)


class SimCard(Model):
    """A simulated radio.

    Attributes:
        utterances: what it says and when, in seconds after the start.
        repeat_s: the timetable begins again every so many seconds; None = once.
        record: a WAV file (48 kHz mono) of what the radio was given while keyed; None = nothing is kept.
        control: path of a Unix datagram socket that takes ``say <file>`` and ``cos 0|1``; None = none.
        noise_dbfs: background noise of the receiver; None = digital silence.
    """

    kind: Literal["sim"]
    utterances: tuple[SimUtterance, ...] = ()
    repeat_s: Float | None = Field(default=None, gt=0)
    record: Path | None = None
    control: Path | None = None
    noise_dbfs: Float | None = -70.0


CardConfig = Annotated[SoundCard | SimCard, Field(discriminator="kind")]


class LegConfig(Model):
    """One donor radio.

    Attributes:
        has_cos: a COS line exists (the keyer's input, or the simulated radio's).
        tx_delay_ms: keying lead; speech is kept meanwhile and then played whole.
        tx_hang_ms: stay keyed after the last sample.
        tx_pre_emphasis: raise speech 6 dB an octave, for a transmitter whose data input does not.
        tx_limit_dbfs: no sample leaves louder; None = only full scale limits.
        daily_test: ``"HH:MM"``, local time, at which the leg sends a second of tone and reports red or green.
        talk_limit_s: T2 of the leg.
        keyer_limit_s: the keyer's own hard limit.
        catch_up_s: what the others said while this radio transmitted in vain is kept up to so long and played to it
            when it is free; 0 = not.
    """

    name: Slug
    label: str | None = None
    agency: Slug | None = None
    talk_group: Slug | None = None
    card: CardConfig
    keyer: KeyerConfig = NoKeyer(kind="none")
    gate: GateConfig = GateConfig()
    signalling: SignallingConfig = SignallingConfig()
    receive: ReceiveConfig = ReceiveConfig()
    has_cos: bool = False
    rx_gain_db: Float = Field(default=0.0, ge=-40, le=40)
    tx_gain_db: Float = Field(default=0.0, ge=-40, le=40)
    tx_delay_ms: Int = Field(default=0, ge=0, le=800)
    tx_hang_ms: Int = Field(default=100, ge=0, le=3000)
    tx_pre_emphasis: bool = False
    tx_limit_dbfs: Float | None = Field(default=-3.0, ge=-30, le=0)
    daily_test: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    talk_limit_s: Float = Field(default=60.0, gt=0, le=600)
    keyer_limit_s: Float = Field(default=180.0, gt=0, le=600)
    catch_up_s: Float = Field(default=10.0, ge=0, le=10)
    opus_bitrate_bps: Int = Field(default=40000, ge=6000, le=64000)


class AgencyConfig(Model):
    """An agency to be made at the first start; ``color`` marks its talkers on the console."""

    id: Slug
    name: str
    color: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")] = "#3b6fb5"


class TalkGroupConfig(Model):
    """A talk group to be made at the first start."""

    id: Slug
    name: str
    agency: Slug | None = None


class FloorConfig(Model):
    """Floor timers in seconds (TS 24.380 names in channels)."""

    talk_limit_s: Float = Field(default=30.0, gt=0, le=600)
    end_of_media_s: Float = Field(default=4.0, gt=0, le=60)
    grace_s: Float = Field(default=3.0, ge=0, le=30)
    inactivity_s: Float = Field(default=30.0, gt=0)
    hang_s: Float = Field(default=0.0, ge=0, le=10)
    warn_before_s: Float = Field(default=3.0, ge=0, le=30)


class OidcRole(Model):
    """Who has this value in the role claim has this role, in this agency or at the command centre."""

    value: str
    role: RoleName
    agency: Slug | None = None


class OidcConfig(Model):
    """A provider of OpenID Connect; needs the extra ``oidc``.

    Attributes:
        issuer: its address exactly as it calls itself; https, or http on loopback.
        client_secret: or ``client_secret_file``; neither for a public client.
        roles: the first that fits counts; who fits none is not let in.
        label: what the button of the console says.
    """

    issuer: str
    client_id: str
    client_secret: SecretStr | None = None
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ("openid", "profile")
    username_claim: str = "preferred_username"
    role_claim: str = "groups"
    roles: tuple[OidcRole, ...]
    label: str = "Single sign-on"

    @field_validator("issuer")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        parts = urlsplit(value)
        is_loopback = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback):
            raise ValueError("must be an https address")
        return value

    def secret(self) -> str | None:
        """The client secret, from where it is. Raises OSError when its file cannot be read."""
        if self.client_secret_file is not None:
            return self.client_secret_file.read_text("utf-8").strip()
        return self.client_secret.get_secret_value() if self.client_secret is not None else None


class AuthConfig(Model):
    """Who is let in, and for how long.

    Attributes:
        access_minutes: life of an access token.
        refresh_idle_hours: a log-in that is not refreshed for so long is over.
        refresh_max_days: a log-in is over after so long however often it is refreshed.
        key_max_days: the longest life of an API key.
        totp_roles: roles that must have a second factor; others may.
        oidc: single sign-on beside the passwords.
    """

    access_minutes: Int = Field(default=15, ge=1, le=60)
    refresh_idle_hours: Int = Field(default=12, ge=1, le=24 * 30)
    refresh_max_days: Int = Field(default=30, ge=1, le=365)
    key_max_days: Int = Field(default=365, ge=1, le=3650)
    totp_roles: tuple[RoleName, ...] = ()
    oidc: OidcConfig | None = None


class AgreementConfig(Model):
    """A standing agreement: its agencies consent at once to what one of them, or the command centre, proposes."""

    id: Slug
    name: str = Field(min_length=1, max_length=200)
    agencies: tuple[Slug, ...] = Field(min_length=1, max_length=100)
    includes_centre: bool = True


class TemplateConfig(Model):
    """A kind of operation: what a joint channel for it usually needs."""

    id: Slug
    name: str = Field(min_length=1, max_length=200)
    purpose: str = Field(min_length=1, max_length=2000)
    talk_groups: tuple[Slug, ...] = Field(min_length=2, max_length=200)
    duration_s: Int = Field(default=7200, ge=60, le=30 * 86_400)
    event: Slug | None = None
    priority_policy: dict[Slug, Slug] = Field(default_factory=dict)


class Config(Model):
    """The whole file."""

    data_folder: Path = Path("tongpin-data")
    server: ServerConfig = ServerConfig()
    webrtc: WebrtcConfig = WebrtcConfig()
    storage: StorageConfig = StorageConfig()
    webhooks: WebhooksConfig = WebhooksConfig()
    recording: RecordingConfig = RecordingConfig()
    auth: AuthConfig = AuthConfig()
    floor: FloorConfig = FloorConfig()
    agencies: tuple[AgencyConfig, ...] = ()
    talk_groups: tuple[TalkGroupConfig, ...] = ()
    agreements: tuple[AgreementConfig, ...] = ()
    templates: tuple[TemplateConfig, ...] = ()
    legs: tuple[LegConfig, ...] = ()
