"""The trials of shared prefixes: requests that begin alike, of several tenants.

All tenants have one cache, so that much is found. What a request gets must be what it
gets alone on a fresh backend, where there is nothing to find.
"""

from collections.abc import Iterable
from itertools import chain, cycle, islice
from typing import Final

import attrs

from fairq.policy import Policy
from fairq.prefix_cache import PrefixCache
from fairq.request import Request
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._bench import Bench
from fairq.testing._backend._show import EASY, Show, one_token, preemptions
from fairq.testing._backend._trials import fail_each

SHARING: Final[Policy] = attrs.evolve(EASY, prefix_cache=PrefixCache(everybody=True))
TENANTS: Final = ("a", "b", "c")
CROWD: Final = 6
TIGHT: Final = 2
"""Pools in which requests are preempted, those with the most preemptions."""


def shared(bench: Bench) -> None:
    """Every situation, if the backend offers it and prompts are long enough."""
    if not bench.capacity.prefix_cache:
        bench.note("shared: the capacity is without prefix_cache")
        return
    crowd = _relatives(bench)
    if not crowd:
        bench.note("shared: no request has a prompt longer than a block")
        return
    for situation in (_in_turn, _continued, _together, _preempted, _failed):
        situation(bench, crowd)


# --- requests that begin alike --------------------------------------------------------


def _relatives(bench: Bench) -> tuple[Request, ...]:
    """Requests of two families that begin alike, in turn; or none.

    Prompts stay within the lengths that were drawn, for these are understood.
    """
    size, most = bench.capacity.block_size, bench.longest_prompt
    length = min(2 * size, most - 1)
    if length < size:
        return ()
    drawn = chain.from_iterable(request.prompt for request in bench.long())
    trunk = tuple(islice(cycle(drawn), length))
    # Some begin with less of it.
    ways = (
        (trunk, length),
        (trunk[::-1], length),
        (trunk, length),
        (trunk[::-1], size),
    )
    pairs = zip(islice(cycle(bench.long()), CROWD), cycle(ways), strict=False)
    made = [_after(way[:start], each, bench) for each, (way, start) in pairs]
    # One is nothing but whole blocks: the last of them is computed again.
    whole = made[0].prompt[: size * (len(made[0].prompt) // size)]
    if len(whole) >= min(len(each.prompt) for each in bench.requests):
        made.append(attrs.evolve(made[0], prompt=whole))
    tenants = zip(made, cycle(TENANTS), strict=False)
    return tuple(attrs.evolve(each, tenant=tenant) for each, tenant in tenants)


def _after(trunk: Iterable[int], request: Request, bench: Bench) -> Request:
    """The same request with something before its prompt."""
    prompt = (*trunk, *request.prompt)[: bench.longest_prompt]
    outputs = min(request.max_tokens, bench.longest - len(prompt))
    return attrs.evolve(request, prompt=prompt, max_tokens=outputs)


# --- situations -----------------------------------------------------------------------


def _in_turn(bench: Bench, crowd: tuple[Request, ...]) -> None:
    """Each finds what others left; then with strangers, in a pool that forgets."""
    strangers = bench.requests[: len(crowd)]
    mixed = tuple(chain.from_iterable(zip(crowd, strangers, strict=False)))
    room = bench.limited(bench.room(mixed) + 1)
    for requests, capacity in ((crowd, bench.capacity), (mixed, room)):
        with Show(bench, owed.SHARED, SHARING, capacity=capacity) as show:
            for request in (*requests, *requests):
                show.play([request])
            show.check()


def _continued(bench: Bench, crowd: tuple[Request, ...]) -> None:
    """A prompt is all that was said before, and something more."""
    size = bench.capacity.block_size
    shortest = min(bench.requests, key=lambda each: len(each.prompt)).prompt
    text: tuple[int, ...] = ()
    with Show(bench, owed.SHARED, SHARING) as show:
        for request in (*crowd, *crowd):
            more = request.prompt[: max(1, size // 2)] if text else shortest
            prompt = (*text, *more)[: bench.longest_prompt]
            # Room for the next one, and if there is none, a new beginning.
            room = bench.longest_prompt - len(prompt) - 1
            outputs = min(size + 1, room if room > 0 else bench.longest - len(prompt))
            asked = attrs.evolve(request, prompt=prompt, max_tokens=outputs)
            (id_,) = show.submit(asked)
            show.finish()
            text = (*prompt, *show.tokens[id_]) if room > 0 else ()
        show.check()


def _together(bench: Bench, crowd: tuple[Request, ...]) -> None:
    """Others come while the first two go on, whose blocks they share, or are gone."""
    for cancels in (False, True):
        with Show(bench, owed.SHARED, SHARING, mirrored=cancels) as show:
            first, second = show.submit(*crowd[:2])
            while not show.tokens[second] and show.step() is not None:
                pass
            show.submit(*crowd[2:], *crowd)
            show.step()
            if cancels:
                show.cancel(first)
                show.cancel(second)
            show.finish()
            show.check()


def _preempted(bench: Bench, crowd: tuple[Request, ...]) -> None:
    """Pools that are too small for all: who comes back finds a part of its own."""
    room = bench.room(crowd)
    pools = range(room, min(2 * room, bench.capacity.blocks) + 1)
    tries = {pool: preemptions(bench.limited(pool), crowd, SHARING) for pool in pools}
    for pool in sorted(pools, key=lambda each: -tries[each])[:TIGHT]:
        capacity = bench.limited(pool)
        with Show(bench, owed.SHARED, SHARING, capacity=capacity) as show:
            show.play([one_token(crowd[0])])
            show.play((*crowd, *crowd))
            show.check()


def _failed(bench: Bench, crowd: tuple[Request, ...]) -> None:
    """Each step fails once."""
    if bench.provoke is not None:
        fail_each(bench, crowd, SHARING)
