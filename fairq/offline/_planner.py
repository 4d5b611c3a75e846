"""From requests to a plan: groups by adapter, cut where it saves most, in order."""

from collections.abc import Iterator, Sequence

from fairq._validators import check_type, is_integer
from fairq.errors import UsageError
from fairq.offline._cuts import choose_cuts, members_of_cuts
from fairq.offline._group import OfflineGroup
from fairq.offline._plan import OfflinePlan
from fairq.offline._trie import prefix_trie
from fairq.request import Request

__all__ = ["plan_offline"]


def plan_offline(requests: Sequence[Request], *, block_size: int = 16) -> OfflinePlan:
    """Group the requests of a whole job by shared prefixes, and put them in order.

    The groups save the most prompt tokens that any choice of groups can save, when
    every request shares one prefix, in whole blocks, with the others of its group.
    Requests with different ``adapter`` never share; whose they are plays no part. The
    same requests give the same plan.

    Groups come in the order of output tokens (``max_tokens``, summed) for each prompt
    token that the group computes, most first; equal ones in the order of their first
    requests. Ratios are compared exactly.

    Args:
        requests: The job. All of it: what is not here is not shared.
        block_size: Tokens per KV block, at least 1: ``Capacity.block_size``.

    Raises:
        UsageError: ``block_size`` is no positive integer, or an item no ``Request``.

    Cost: a sort of the packed prompts, then about linear in their length. 6,400
    requests of 2,200 tokens take about 0.1 s, 100,000 of 200 tokens about 1 s.

    Source: BatchLLM (arXiv 2412.03594), with an exact optimum in place of its greedy
    rule.
    """
    _check(requests, block_size)
    groups = list(_groups(requests, block_size))
    _sort(groups, requests)
    logical = sum(len(request.prompt) for request in requests)
    return OfflinePlan(groups=tuple(groups), logical_tokens=logical)


def _check(requests: Sequence[Request], block_size: int) -> None:
    if not is_integer(block_size) or block_size < 1:
        msg = f"block_size must be an integer >= 1 (tokens); got {block_size!r}."
        raise UsageError(msg)
    for index, request in enumerate(requests):
        check_type(request, Request, f"requests[{index}]")


def _groups(requests: Sequence[Request], block_size: int) -> Iterator[OfflineGroup]:
    """The best groups, in no particular order."""
    prompts = [request.prompt for request in requests]
    by_adapter: dict[str | None, list[int]] = {}
    for index, request in enumerate(requests):
        by_adapter.setdefault(request.adapter, []).append(index)
    for indices in by_adapter.values():
        nodes = prefix_trie(prompts, indices, block_size)
        choose_cuts(nodes)
        for node, members in members_of_cuts(nodes).items():
            if node.parent is None:
                for index in members:
                    yield OfflineGroup(prefix_tokens=0, members=(index,))
            elif members:
                yield OfflineGroup(
                    prefix_tokens=node.depth * block_size,
                    members=tuple(sorted(members)),
                )


def _sort(groups: list[OfflineGroup], requests: Sequence[Request]) -> None:
    """Sort by output tokens for each prompt token computed, most first."""
    lengths = [len(request.prompt) for request in requests]
    outputs = [request.max_tokens for request in requests]

    def computed(group: OfflineGroup) -> int:
        return sum(lengths[index] for index in group.members) - group.saved_tokens

    # Two different fractions with denominators up to n are 1 / n**2 apart at least: as
    # multiples of that, rounded down, they compare as they do exactly, at the price of
    # integers.
    scale = max(map(computed, groups), default=1) ** 2

    def turn(group: OfflineGroup) -> tuple[int, int]:
        output = sum(outputs[index] for index in group.members)
        return (-(output * scale // computed(group)), group.members[0])

    groups.sort(key=turn)
