"""How long the switchboard takes per command. Run by hand: ``python tests/bench/bench_switchboard.py``."""

from collections.abc import Callable
from time import perf_counter

from tongpin.channels import commands as c
from tongpin.channels.ids import GroupId, PartyId, PartyKind
from tongpin.channels.switchboard import Switchboard


def district(groups: int, parties: int) -> Switchboard:
    """Every third party a leg; each is a member of one group, in turn."""
    board = Switchboard()
    for number in range(groups):
        board.apply(c.DefineGroup(GroupId(f"g{number:02}"), f"group {number}"), 0.0)
    for number in range(parties):
        is_leg = groups > 1 and number % 3 == 0
        kind = PartyKind.LEG if is_leg else PartyKind.SESSION
        party = PartyId(f"{kind}:{number:04}")
        board.apply(c.AttachParty(party, kind, party, half_duplex=is_leg), 0.0)
        board.apply(c.SetMembership(party, GroupId(f"g{number % groups:02}")), 0.0)
    return board


def microseconds(work: Callable[[int], object], rounds: int) -> float:
    """Mean of one round."""
    start = perf_counter()
    for number in range(rounds):
        work(number)
    return (perf_counter() - start) / rounds * 1e6


def talks(board: Switchboard) -> Callable[[int], None]:
    """One round: one member of the first group asks and releases."""
    party, group = PartyId("session:0040"), GroupId("g00")

    def work(number: int) -> None:
        board.apply(c.RequestFloor(party, group), float(number))
        if board.holder_of(board.net_of(group)) != party:
            raise RuntimeError("the floor was not granted: the figure would mean nothing")
        board.apply(c.ReleaseFloor(party), number + 0.5)

    return work


def report(groups: int, parties: int, rounds: int) -> None:
    """Print the figures of one district."""
    board = district(groups, parties)
    print(f"{groups} groups, {parties} parties")
    print(f"  request or release: {microseconds(talks(board), rounds) / 2:8.1f} us per apply")
    print(f"  next_deadline:      {microseconds(lambda _: board.next_deadline(), 500):8.1f} us")
    print(f"  view:               {microseconds(lambda _: board.view(), 50):8.1f} us")
    print(f"  check:              {microseconds(lambda _: board.check(c.Advance(), 1e6), 3):8.1f} us")


if __name__ == "__main__":
    report(40, 60, 5000)
    report(1, 3000, 500)
