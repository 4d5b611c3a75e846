"""What one step is made of. Nothing of it has happened yet."""

import attrs

from property_tests.reference.request import RequestModel


@attrs.frozen
class ChunkModel:
    """Known positions of a request that are computed."""

    request: RequestModel
    start: int
    length: int

    @property
    def samples(self) -> bool:
        """It reaches the last known token, and so yields the next one."""
        return self.start + self.length == len(self.request.known)


@attrs.frozen
class EntryModel:
    """A request that is admitted, and what it gets."""

    request: RequestModel
    slot: int
    blocks: list[int]


@attrs.define
class StepModel:
    """One step; ``taken`` are the blocks it takes out of the pool."""

    leave: list[int]
    preempted: list[RequestModel] = attrs.field(factory=list)
    grow: list[tuple[RequestModel, int]] = attrs.field(factory=list)
    decodes: list[RequestModel] = attrs.field(factory=list)
    chunks: list[ChunkModel] = attrs.field(factory=list)
    enter: list[EntryModel] = attrs.field(factory=list)
    taken: list[int] = attrs.field(factory=list)

    @property
    def tokens(self) -> int:
        """Positions that are computed."""
        return len(self.decodes) + sum(chunk.length for chunk in self.chunks)

    @property
    def entering(self) -> list[RequestModel]:
        """Who is admitted."""
        return [entry.request for entry in self.enter]

    @property
    def members(self) -> list[RequestModel]:
        """Everybody for whom something is computed."""
        return [*self.decodes, *(chunk.request for chunk in self.chunks)]
