"""What a leg's gate leads to outside the floor: the alarm of a carrier that does not end."""

from pathlib import Path

from tests.radio.legs import SimFolder
from tongpin.channels.commands import Command
from tongpin.channels.effects import Effect
from tongpin.channels.ids import AgencyId, GroupId
from tongpin.channels.switchboard import Switchboard
from tongpin.channels.view import View
from tongpin.gateway.legs import Legs
from tongpin.gateway.media.hub import Hub


class _Floor:
    """A dispatcher that agrees to everything."""

    def apply(self, command: Command) -> list[Effect]:
        return []

    check = apply

    def agency_of(self, group: GroupId) -> AgencyId | None:
        return None

    def view(self) -> View:
        return Switchboard().view()


def test_a_stuck_carrier_is_told_once_and_again_when_the_leg_is_heard(tmp_path: Path) -> None:
    told: list[tuple[str, bool]] = []
    config = SimFolder(tmp_path).config()
    legs = Legs(
        [config],
        _Floor(),
        Hub(),
        lambda name: None,
        4.0,
        lambda *a: None,
        lambda leg, signalled: None,
        lambda event: None,
        lambda leg: False,
        lambda *a: told.append(a),
    )
    party = legs.party_of("sim")
    legs.gate_moved(party, True, "cos")
    legs.gate_moved(party, False, "cos")
    assert told == []
    legs.gate_moved(party, True, "cos")
    legs.gate_moved(party, False, "stuck")
    legs.gate_moved(party, False, "stuck")
    assert told == [("sim", True)]
    legs.gate_moved(party, True, "cos")
    legs.gate_moved(party, False, "cos")
    assert told == [("sim", True), ("sim", False)]
