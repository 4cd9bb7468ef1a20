"""The immutable picture of the switchboard's state."""

from tongpin.channels.control import Control
from tongpin.channels.records import Net
from tongpin.channels.view import FloorView, GroupView, NetView, PartyView, QueueEntry, RouteView, View


def picture(control: Control) -> View:
    """Everything, sorted by id."""
    nets = [net for _, net in sorted(control.nets.items())]
    keyed = {leg for net in nets for leg in net.keyed}
    return View(
        groups=tuple(
            GroupView(
                id_,
                group.name,
                group.agency,
                group.net,
                tuple(sorted(party for party, member in group.members.items() if member.may_listen)),
                tuple(sorted(party for party, member in group.members.items() if member.may_talk)),
            )
            for id_, group in sorted(control.groups.items())
        ),
        parties=tuple(
            PartyView(
                id_,
                party.attached.kind,
                party.attached.label,
                party.attached.agency,
                party.deaf_on is not None,
                id_ in keyed,
                *(party.talker or (None, None)),
            )
            for id_, party in sorted(control.parties.items())
        ),
        nets=tuple(
            NetView(
                net.id,
                tuple(sorted(net.groups)),
                net.patch,
                control.patches[net.patch].name if net.patch is not None else None,
                control.patches[net.patch].priorities if net.patch is not None else (),
                _floor(net),
            )
            for net in nets
        ),
        routes=tuple(
            sorted(
                (
                    RouteView(net.floor.tenure.holder, net.floor.tenure.talk, net.route)
                    for net in nets
                    if net.floor.tenure is not None
                ),
                key=lambda route: route.source,
            )
        ),
    )


def _floor(net: Net) -> FloorView:
    tenure = net.floor.tenure
    queue = tuple(QueueEntry(entry.party, entry.group, entry.priority) for entry in net.queue)
    if tenure is None:
        return FloorView(net.floor.state, None, None, None, None, None, queue)
    return FloorView(net.floor.state, tenure.holder, tenure.group, tenure.priority, tenure.talk, tenure.limit_at, queue)
