"""KV memory that knows, of every position of every block, of which text it is the KV.

The KV at a position depends on all tokens up to there and on the adapter, and may be
seen by one domain only. So what a cell holds is the name of a text in a domain: texts
are numbered, and two that are equal have one number.
"""

from collections.abc import Sequence

from fairq import PrefixCache, Request

Domain = tuple[object, ...]
RUBBISH = -1


def domain_of(cache: PrefixCache | None, request: Request) -> Domain:
    """Who may see the KV of a request, from the words of ``PrefixCache``."""
    if cache is None:
        return ("nobody else",)
    if cache.everybody:
        return ("all", request.adapter)
    if request.tenant in cache.groups:
        return ("members of", cache.groups[request.tenant], request.adapter)
    return ("only", request.tenant, request.adapter)


class Texts:
    """Numbers of texts: of each beginning of a text one."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[object, object], int] = {}

    def of(self, domain: Domain, tokens: Sequence[int]) -> list[int]:
        """The numbers of all beginnings, up to and with each token."""
        numbers: list[int] = []
        before: object = domain
        for token in tokens:
            key = (before, token)
            before = self._numbers.setdefault(key, len(self._numbers))
            numbers.append(self._numbers[key])
        return numbers


class KvMemory:
    """The cells of all blocks."""

    def __init__(self, blocks: int, block_size: int) -> None:
        self.size = block_size
        self._cells = [[RUBBISH] * block_size for _ in range(blocks)]

    def read(self, table: Sequence[int], end: int) -> list[int]:
        """What the first positions of a table hold."""
        blocks = table[: -(-end // self.size)]
        return [cell for block in blocks for cell in self._cells[block]][:end]

    def write(self, table: Sequence[int], position: int, number: int) -> None:
        """Compute one position of a table."""
        block = table[position // self.size]
        self._cells[block][position % self.size] = number

    def destroy(self, block: int) -> None:
        """Whatever a step that failed may have written there."""
        self._cells[block] = [RUBBISH] * self.size
