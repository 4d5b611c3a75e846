"""Requests that share a prefix: who computed it, who waited, and who pays.

The first request with a prefix computes it; the others that would be admitted meanwhile
are held back and enter together, when it is there. So a group needs no object of its
own: its leader is whoever owns the blocks, its members are those who were there before
the leader's prompt was computed, and who enter first after it was.

The charge of the prefix is that of the positions that were computed, once. It is split
over the members that enter together, in equal parts; what does not divide stays with
the leader, as does the part of those who come later. (BatchLLM, Zheng et al., 2024,
computes groups so; who pays was left open there and in DLPM, Cao et al., 2025.)
"""

from collections.abc import Mapping, Sequence

from fairq.events import Share
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._sequence import Sequence as Member
from fairq.kernel._tables import Grant, path
from fairq.plan import SharedPrefix
from fairq.request import RequestId


def shared_prefixes(
    grants: Sequence[Grant], sequences: Mapping[RequestId, Member]
) -> tuple[SharedPrefix, ...]:
    """The prefixes that those who enter share with anybody in the batch."""
    nodes = {grant.hit: grant for grant in grants if grant.hit and grant.cached}
    found = []
    for node, grant in nodes.items():
        members = list(node.sharers)
        owner = None if node.owner is None else sequences.get(node.owner)
        if owner is not None and owner.id not in node.sharers:
            # It may have left, and be back with another table.
            end = owner.blocks[grant.cached - 1 : grant.cached]
            members += [owner.id] if end == node.blocks[-1:] else []
        if len(members) > 1:
            found.append(SharedPrefix(tuple(path(node)), tuple(members)))
    return tuple(found)


def share_charges(
    joined: Sequence[tuple[Member, Grant]], life: Lifecycle
) -> tuple[Share, ...]:
    """Split what leaders were charged over those who waited for them and have entered.

    Args:
        joined: Who entered with this plan, and with which table.
        life: Everybody.
    """
    groups: dict[RequestId, list[Member]] = {}
    for member, grant in joined:
        leader = _leader(member, grant, life)
        if leader is not None:
            groups.setdefault(leader.id, []).append(member)
    shares = []
    for name, members in groups.items():
        shares += _split(life.sequences[name], members, life)
    return tuple(shares)


def _leader(member: Member, grant: Grant, life: Lifecycle) -> Member | None:
    """Who computed what a newcomer found, if that has not been shared yet."""
    owner = None if grant.hit is None else grant.hit.owner
    leader = None if owner is None else life.sequences.get(owner)
    if leader is None or leader is member or leader.has_shared:
        return None
    # Before its end others still wait; who came after it did not.
    if leader.group_end is None or member.id > leader.group_end:
        return None
    return leader


def _split(leader: Member, members: list[Member], life: Lifecycle) -> list[Share]:
    # It may have found before a preemption what it computed for them after it.
    spent = leader.paid - leader.found_ever
    common = [max(0, min(_common(leader, it), spent)) for it in members]
    shares = []
    for member, positions in zip(members, common, strict=True):
        part = _part(positions, common)
        leader.has_shared |= part > 0
        if part and member.tenant is not leader.tenant:
            life.counters.share(leader.tenant, member.tenant, part)
            shares.append(Share(leader.id, member.id, part))
    return shares


def _common(leader: Member, member: Member) -> int:
    """Prompt positions that one computed and the other found, for the first time."""
    reach = min(member.cached, leader.prompt_length) - leader.cached
    return min(reach, member.found_last)


def _part(positions: int, common: list[int]) -> int:
    """What somebody bears of its positions: each equally with all who have it too."""
    part = begin = 0
    for end in sorted({it for it in common if it <= positions}):
        part += (end - begin) // (1 + sum(it >= end for it in common))
        begin = end
    return part
