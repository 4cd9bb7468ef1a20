"""What the switchboard refuses. A raised command has changed nothing."""

from tongpin.channels.ids import GroupId, PartyId, PatchId


class SwitchboardError(Exception):
    """Base: the command was illegal; nothing changed."""


class UnknownGroupError(SwitchboardError):
    def __init__(self, group: GroupId) -> None:
        super().__init__(f"no talk group has the id {group!r}")
        self.group = group


class UnknownPartyError(SwitchboardError):
    def __init__(self, party: PartyId) -> None:
        super().__init__(f"no party {party!r} is on line")
        self.party = party


class UnknownPatchError(SwitchboardError):
    def __init__(self, patch: PatchId) -> None:
        super().__init__(f"no joint channel {patch!r} is active")
        self.patch = patch


class PatchExistsError(SwitchboardError):
    def __init__(self, patch: PatchId) -> None:
        super().__init__(f"the joint channel {patch!r} is active already")
        self.patch = patch


class PatchTooSmallError(SwitchboardError):
    def __init__(self) -> None:
        super().__init__("a joint channel needs two different talk groups or more")


class GroupInPatchError(SwitchboardError):
    """The group cannot be retired while a patch holds it."""

    def __init__(self, group: GroupId, patch: PatchId, patch_name: str) -> None:
        super().__init__(f"talk group {group!r} is in the joint channel {patch_name!r} ({patch}); close that first")
        self.group = group
        self.patch = patch
        self.patch_name = patch_name


class GroupInOtherNetError(GroupInPatchError):
    """The group is in another active net, which is named."""
