"""Groups of requests with a common prefix: the micro-benchmark of BatchLLM.

Source: Z. Zheng et al., "BatchLLM: Optimizing Large Batched LLM Inference with Global
Prefix Sharing and Throughput-oriented Token Batching" (2024): 6,400 requests, 400
groups of 16, a prefix of 2,000 tokens, 200 of their own, 100 of output.
"""

import re
from hashlib import sha256
from typing import Final, NoReturn

from fairq._validators import is_integer
from fairq.errors import UsageError
from fairq.sim._content import LARGEST_ID, Span
from fairq.sim._values import Job, Trace

TENANT: Final = "job"
FORM: Final = "groups:GROUPSxMEMBERS[:PREFIX+OWN:OUTPUT]"
PATTERN: Final = re.compile(
    r"groups:([0-9]{1,9})x([0-9]{1,9})(?::([0-9]{1,9})\+([0-9]{1,9}):([0-9]{1,9}))?"
)


def prefix_groups(
    groups: int, members: int, prefix: int = 2000, own: int = 200, output: int = 100
) -> Trace:
    """Requests of one tenant, ``job``, all there at time 0.

    They come shuffled, the same way on every machine: by the SHA-256 of their number
    in decimal, counted from 0 group by group. Costs O(requests * log(requests)).

    Args:
        groups: How many prefixes there are, >= 1.
        members: Requests that begin with each, >= 1.
        prefix: Its length in tokens, >= 1.
        own: Tokens of a prompt after the prefix, >= 1.
        output: Tokens that each request produces, >= 1.

    Raises:
        UsageError: one of them is below 1, or there are 2**30 requests or more.
    """
    sizes = {
        "groups": groups,
        "members": members,
        "prefix": prefix,
        "own": own,
        "output": output,
    }
    for name, size in sizes.items():
        if not is_integer(size) or size < 1:
            _refuse(name, "an integer >= 1", size)
    if groups * members >= LARGEST_ID:
        _refuse("groups * members", "below 2**30", groups * members)
    order = sorted(range(groups * members), key=_draw)
    jobs = (
        Job(TENANT, 0.0, prefix + own, output, (Span(number // members, 1, prefix),))
        for number in order
    )
    return Trace(f"groups-{groups}x{members}", tuple(jobs))


def _draw(number: int) -> bytes:
    return sha256(str(number).encode()).digest()


def _refuse(name: str, expected: str, got: object) -> NoReturn:
    msg = f"prefix_groups: {name} must be {expected}; got {got!r}."
    raise UsageError(msg)


def parse_groups(spec: str) -> Trace:
    """A trace from its name, such as ``groups:400x16`` or ``groups:8x4:2000+200:100``.

    Raises:
        UsageError: it is no such name, or a number in it is 0.
    """
    match = PATTERN.fullmatch(spec)
    numbers = [int(each) for each in match.groups() if each] if match else [0]
    if 0 in numbers:
        msg = f"expected {FORM} with numbers >= 1, such as groups:400x16; got {spec!r}."
        raise UsageError(msg)
    return prefix_groups(*numbers)
