"""A client of the event stream: it has a view as JSON, and brings it up to date by events as JSON."""

from collections.abc import Callable
from typing import Any

Piece = dict[str, Any]
IDLE: Piece = {"state": "idle", "holder": None, "group": None, "priority": None, "talk": None, "limit_s": None}


class Fold:
    """``now`` of a call is in seconds; limits are kept as moments and told as seconds left, as in a view."""

    def __init__(self, view: Piece, now: float) -> None:
        self.groups: dict[str, Piece] = {group["id"]: group for group in view["groups"]}
        self.parties: dict[str, Piece] = {party["id"]: party for party in view["parties"]}
        self.nets: dict[str, Piece] = {net["id"]: net for net in view["nets"]}
        self.limits: dict[str, float] = {}
        for net in self.nets.values():
            if net["floor"]["limit_s"] is not None:
                self.limits[net["floor"]["holder"]] = now + net["floor"]["limit_s"]

    def take(self, event: Piece, now: float) -> None:
        getattr(self, f"on_{event['kind']}")(event, now)

    def view(self, now: float) -> Piece:
        for net in self.nets.values():
            net["groups"].sort()
            holder = net["floor"]["holder"]
            net["floor"]["limit_s"] = round(self.limits[holder] - now, 3) if holder is not None else None
        return {
            "groups": [self.groups[key] for key in sorted(self.groups)],
            "parties": [self.parties[key] for key in sorted(self.parties)],
            "nets": [self.nets[key] for key in sorted(self.nets)],
        }

    def on_group_defined(self, event: Piece, now: float) -> None:
        group = event["group"]
        if group in self.groups:
            self.groups[group]["name"] = event["name"]
            self.groups[group]["agency"] = event["agency"]
            return
        self.groups[group] = {
            "id": group, "name": event["name"], "agency": event["agency"], "net": group, "listeners": [], "talkers": []
        }  # fmt: skip
        self.nets[group] = _lone(group)

    def on_group_retired(self, event: Piece, now: float) -> None:
        del self.groups[event["group"]]
        del self.nets[event["group"]]

    def on_party_attached(self, event: Piece, now: float) -> None:
        party = {"id": event["party"], "kind": event["party_kind"], "label": event["label"], "agency": event["agency"]}
        state = self.parties.get(
            event["party"], {"is_deaf": False, "is_keyed": False, "talker": None, "talker_unit": None}
        )
        self.parties[event["party"]] = {**state, **party}

    def on_party_detached(self, event: Piece, now: float) -> None:
        del self.parties[event["party"]]
        for group in self.groups.values():
            _set(group["listeners"], event["party"], False)
            _set(group["talkers"], event["party"], False)

    def on_membership_set(self, event: Piece, now: float) -> None:
        _set(self.groups[event["group"]]["listeners"], event["party"], event["may_listen"])
        _set(self.groups[event["group"]]["talkers"], event["party"], event["may_talk"])

    def on_membership_ended(self, event: Piece, now: float) -> None:
        _set(self.groups[event["group"]]["listeners"], event["party"], False)
        _set(self.groups[event["group"]]["talkers"], event["party"], False)

    def on_floor_granted(self, event: Piece, now: float) -> None:
        self.on_queue_left(event, now)
        self.nets[event["net"]]["floor"].update(
            state="taken",
            holder=event["party"],
            group=event["group"],
            priority=event["priority"],
            talk=event["talk"],
        )
        self.limits[event["party"]] = now + event["limit_s"]

    def on_floor_queued(self, event: Piece, now: float) -> None:
        self.on_queue_left(event, now)
        entry = {"party": event["party"], "group": event["group"], "priority": event["priority"]}
        self.nets[event["net"]]["floor"]["queue"].insert(event["position"] - 1, entry)

    def on_queue_left(self, event: Piece, now: float) -> None:
        for net in self.nets.values():
            net["floor"]["queue"] = [entry for entry in net["floor"]["queue"] if entry["party"] != event["party"]]

    def on_floor_revoking(self, event: Piece, now: float) -> None:
        self.nets[event["net"]]["floor"]["state"] = "pending_revoke"

    def on_floor_released(self, event: Piece, now: float) -> None:
        self.nets[event["net"]]["floor"].update(IDLE)

    def on_talker_named(self, event: Piece, now: float) -> None:
        self.parties[event["party"]] |= {"talker": event["label"], "talker_unit": event["unit"]}

    def on_deafness_began(self, event: Piece, now: float) -> None:
        self.parties[event["party"]]["is_deaf"] = True

    def on_deafness_ended(self, event: Piece, now: float) -> None:
        self.parties[event["party"]]["is_deaf"] = False

    def on_net_idle(self, event: Piece, now: float) -> None:
        assert self.nets[event["net"]]["floor"]["holder"] is None

    def on_leg_keyed(self, event: Piece, now: float) -> None:
        self.parties[event["party"]]["is_keyed"] = True

    def on_leg_unkeyed(self, event: Piece, now: float) -> None:
        self.parties[event["party"]]["is_keyed"] = False

    def on_patch_installed(self, event: Piece, now: float) -> None:
        self._regroup(event["groups"], lambda group: event["net"], event)

    def on_patch_changed(self, event: Piece, now: float) -> None:
        both = sorted({*self.nets[event["net"]]["groups"], *event["groups"]})
        self._regroup(both, lambda group: event["net"] if group in event["groups"] else group, event)

    def on_patch_removed(self, event: Piece, now: float) -> None:
        self._regroup(event["groups"], lambda group: group, None)

    def _regroup(self, groups: list[str], net_of: Callable[[str], str], patch: Piece | None) -> None:
        """Who talks or waits goes along with the group it talks through."""
        old = {self.groups[group]["net"] for group in groups}
        floors = [self.nets.pop(net)["floor"] for net in sorted(old)]
        for group in groups:
            net = net_of(group)
            self.groups[group]["net"] = net
            self.nets.setdefault(net, _lone(net))
        if patch is not None:
            self.nets[patch["net"]].update(
                groups=list(patch["groups"]),
                joint_channel=patch["patch"],
                name=patch["name"],
                priorities=patch["priorities"],
            )
        for floor in floors:
            for entry in floor["queue"]:
                self.nets[net_of(entry["group"])]["floor"]["queue"].append(entry)
            if floor["holder"] is not None:
                target = self.nets[net_of(floor["group"])]["floor"]
                target.update({key: floor[key] for key in IDLE})


def _lone(net: str) -> Piece:
    floor = {**IDLE, "queue": []}
    return {"id": net, "groups": [net], "joint_channel": None, "name": None, "priorities": [], "floor": floor}


def _set(members: list[str], party: str, is_in: bool) -> None:
    if party in members:
        members.remove(party)
    if is_in:
        members.append(party)
        members.sort()
