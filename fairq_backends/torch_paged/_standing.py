"""The standing batch on the device: a row for each slot, changed by deltas only."""

from collections.abc import Sequence as Seq

import attrs
import torch
from torch import Tensor

from fairq_backends.sampling import SamplingTable
from fairq_backends.torch_paged._sequence import Sequence

__all__ = ["Standing"]


@attrs.frozen(eq=False)
class Standing:
    """What a step needs to know about each slot, as tensors of the device."""

    tables: Tensor
    """(slots, most blocks + 1) int32: block ids; the null block beyond the end."""

    decoding: Tensor
    """(2, slots) int64: ``lengths`` and ``last``, so that one write changes both."""

    sampling: SamplingTable
    null_block: int

    @classmethod
    def make(
        cls,
        *,
        slots: int,
        most_blocks: int,
        null_block: int,
        device: torch.device,
    ) -> "Standing":
        """A batch in which nobody stands."""
        decoding = torch.zeros(2, slots, dtype=torch.int64, device=device)
        shape = (slots, most_blocks + 1)
        tables = torch.full(shape, null_block, dtype=torch.int32, device=device)
        sampling = SamplingTable(slots, device)
        return cls(tables, decoding, sampling, null_block)

    @property
    def lengths(self) -> Tensor:
        """(slots,) int64: positions with KV, of those that decode."""
        return self.decoding[0]

    @property
    def last(self) -> Tensor:
        """(slots,) int64: the token that was drawn last."""
        return self.decoding[1]

    def place(self, sequence: Sequence) -> None:
        """Give the sequence its slot."""
        slot = sequence.slot
        self.write_table(slot, sequence.blocks)
        self.sampling.set(slot, sequence.params, prompt_length=sequence.prompt_length)

    def write_table(self, slot: int, blocks: Seq[int]) -> None:
        """Replace a block table."""
        row = torch.full(self.tables.shape[1:], self.null_block, dtype=torch.int32)
        row[: len(blocks)] = torch.tensor(blocks, dtype=torch.int32)
        self.tables[slot] = row.to(self.tables.device)

    def write_block(self, slot: int, index: int, block: int) -> None:
        """Set one entry of a block table."""
        self.tables[slot, index] = block

    def advance(self, slots: Tensor, positions: Tensor, tokens: Tensor) -> None:
        """These slots have KV up to these positions, and drew these tokens.

        All of it or, if memory runs out, nothing.
        """
        self.decoding.index_copy_(1, slots, torch.stack([positions + 1, tokens]))
