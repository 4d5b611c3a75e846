"""Who holds which block and slot: the books of a server that shares prefixes."""

import attrs

from property_tests.executor.models import Asked


@attrs.define
class Life:
    """One request, between being asked and its last token."""

    name: int
    asked: Asked
    outputs: list[int] = attrs.field(factory=list)
    slot: int = -1
    table: list[int] = attrs.field(factory=list)
    entered: int = 0
    """Tokens known when it entered last."""
    computed: int = 0
    decodes: bool = False

    @property
    def text(self) -> tuple[int, ...]:
        return (*self.asked.prompt, *self.outputs)


@attrs.define
class Ghost:
    """Full blocks that a request left behind, for others to find."""

    text: tuple[int, ...]
    table: list[int]
    computed: int


@attrs.define
class Books:
    """Blocks by how many tables name them, slots, and everybody who is here."""

    block_size: int
    holders: list[int]
    slots: list[int]
    running: dict[int, Life] = attrs.field(factory=dict)
    """In the order of entering."""
    waiting: list[Life] = attrs.field(factory=list)
    ghosts: list[Ghost] = attrs.field(factory=list)

    @property
    def free(self) -> list[int]:
        return [block for block, count in enumerate(self.holders) if not count]

    def take(self, block: int) -> int:
        """One more table names the block."""
        self.holders[block] += 1
        return block

    def drop(self, table: list[int]) -> None:
        """A table is gone."""
        for block in table:
            self.holders[block] -= 1

    def release(self, life: Life, *, haunts: bool) -> None:
        """A request leaves the batch; its full blocks may stay findable."""
        del self.running[life.name]
        if haunts:
            self.ghosts.append(Ghost(life.text, life.table, life.computed))
        else:
            self.drop(life.table)
        self.slots.append(life.slot)
        life.table, life.slot, life.computed, life.decodes = [], -1, 0, False

    def forget(self, blocks: set[int]) -> None:
        """Nothing is to be found any more in what was left behind in these blocks."""
        for ghost in [it for it in self.ghosts if blocks.intersection(it.table)]:
            self.ghosts.remove(ghost)
            self.drop(ghost.table)

    def due(self) -> list[Life]:
        """Whose next position has no block."""
        return [
            life
            for life in self.running.values()
            if life.decodes and life.computed == len(life.table) * self.block_size
        ]

    def shares(self) -> bool:
        """Whether two of those who are here have a block together."""
        tables = [block for life in self.running.values() for block in life.table]
        return len({*tables}) < len(tables)

    def found(self, text: tuple[int, ...]) -> list[int]:
        """The longest prefix of a text that is computed, as blocks; not all of it."""
        best: list[int] = []
        donors: list[Life | Ghost] = [*self.running.values(), *self.ghosts]
        for donor in donors:
            limit = min(donor.computed, len(text) - 1, len(donor.text))
            same = 0
            while same < limit and donor.text[same] == text[same]:
                same += 1
            full = same // self.block_size
            if full > len(best):
                best = donor.table[:full]
        return best
