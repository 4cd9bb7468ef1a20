"""The demo district: two agencies' simulated radios that talk now and then, a third agency, an admin, a dispatcher."""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tongpin.config.keyers import SimKeyer
from tongpin.config.models import (
    AgencyConfig,
    AgreementConfig,
    Config,
    LegConfig,
    ServerConfig,
    SimCard,
    SimUtterance,
    TalkGroupConfig,
    TemplateConfig,
)


class Chatter(StrEnum):
    """How much the simulated radios say."""

    QUIET = "quiet"
    NORMAL = "normal"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A user of the demo; the password is made anew each time."""

    username: str
    password: str
    role: str


def demo_users() -> tuple[DemoUser, DemoUser]:
    return (
        DemoUser("admin", secrets.token_urlsafe(12), "admin"),
        DemoUser("dispatcher", secrets.token_urlsafe(12), "dispatcher"),
    )


def demo_config(folder: Path, host: str, port: int, chatter: Chatter) -> Config:
    """The demo's configuration; everything it writes lies in the folder."""
    return Config(
        data_folder=folder,
        server=ServerConfig(host=host, port=port, tls="off"),
        agencies=(
            AgencyConfig(id="gongan", name="Public Security 公安", color="#1f5fbf"),
            AgencyConfig(id="chengguan", name="Urban Management 城管", color="#1b8a5a"),
            AgencyConfig(id="xiaofang", name="Fire Brigade 消防", color="#c0392b"),
        ),
        talk_groups=(
            TalkGroupConfig(id="police-1", name="Police station 1 派出所一组", agency="gongan"),
            TalkGroupConfig(id="urban-1", name="Urban management 1 城管一组", agency="chengguan"),
            TalkGroupConfig(id="fire-1", name="Fire brigade 1 消防一组", agency="xiaofang"),
        ),
        agreements=(
            AgreementConfig(
                id="joint-service", name="Joint service 城警联勤", agencies=("gongan", "chengguan", "xiaofang")
            ),
        ),
        templates=(
            TemplateConfig(
                id="three-car-round-up",
                name="Three-car round-up 三车整治",
                purpose="Check three-wheelers, electric and illegal cars together 联合整治三车",
                talk_groups=("police-1", "urban-1"),
                duration_s=4 * 3600,
                event="round-up",
                priority_policy={"arrest": "gongan", "round-up": "chengguan"},
            ),
            TemplateConfig(
                id="workshop-fire",
                name="Fire in a workshop 作坊火灾",
                purpose="Put the fire out, clear the street, keep people away 灭火、清场、警戒",
                talk_groups=("police-1", "urban-1", "fire-1"),
                event="fire",
                priority_policy={"arrest": "gongan", "fire": "xiaofang"},
            ),
        ),
        legs=(
            _leg(folder, "police-radio", "Police radio 公安电台", "gongan", "police-1", chatter, 0),
            _leg(folder, "urban-radio", "Urban radio 城管电台", "chengguan", "urban-1", chatter, 1),
        ),
    )


def _leg(folder: Path, name: str, label: str, agency: str, group: str, chatter: Chatter, turn: int) -> LegConfig:
    repeat_s, utterances = _timetable(chatter, turn)
    return LegConfig(
        name=name,
        label=label,
        agency=agency,
        talk_group=group,
        card=SimCard(kind="sim", utterances=utterances, repeat_s=repeat_s, control=folder / f"{name}.sock"),
        keyer=SimKeyer(kind="sim", file=folder / f"{name}.ptt"),
        has_cos=True,
    )


def _timetable(chatter: Chatter, turn: int) -> tuple[float | None, tuple[SimUtterance, ...]]:
    """Who speaks when. The radios take turns: a half-duplex radio that is keyed cannot speak."""
    match chatter:
        case Chatter.QUIET:
            return None, ()
        case Chatter.NORMAL:
            return 12.0, (SimUtterance(at_s=1.0 + 6.0 * turn, seconds=3.0),)
        case Chatter.BUSY:
            return 8.0, (SimUtterance(at_s=4.0 * turn, seconds=4.2),)
