"""Requests that share a prefix: who computed it, who waited, and who pays.

The first request with a prefix computes it; the others that would be admitted meanwhile
are held back and enter together, when it is there. So a group needs no object of its
own: its leader is whoever owns the blocks that are coming, its members are those who
were held back for them.

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


def share_charges(joined: Sequence[Member], life: Lifecycle) -> tuple[Share, ...]:
    """Split what leaders were charged over those who waited for them and have entered.

    Args:
        joined: Who entered with this plan.
        life: Everybody.
    """
    groups: dict[RequestId, list[Member]] = {}
    for member in joined:
        if member.payer is not None:
            groups.setdefault(member.payer, []).append(member)
            member.payer = None
    shares = []
    for name, members in groups.items():
        leader = life.sequences.get(name)
        if leader is not None and not leader.has_shared:
            leader.has_shared = True
            shares += _split(leader, members, life)
    return tuple(shares)


def _split(leader: Member, members: list[Member], life: Lifecycle) -> list[Share]:
    shares = []
    # It may have found before a preemption what it computed for them after it.
    spent = leader.paid - leader.found_ever
    for member in members:
        common = min(member.cached, leader.prompt_length) - leader.cached
        part = max(0, min(common, spent)) // (len(members) + 1)
        if part and member.tenant is not leader.tenant:
            life.counters.share(leader.tenant, member.tenant, part)
            shares.append(Share(leader.id, member.id, part))
    return shares
