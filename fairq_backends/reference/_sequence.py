"""One text of the standing batch."""

import attrs
import torch
from torch import Tensor

from fairq import Enter
from fairq_backends.llama import LlamaConfig
from fairq_backends.sampling import SamplingParams, SamplingTable, draw


@attrs.frozen(eq=False)
class Sequence:
    """A sequence between its ``Enter`` and its ``leave``. It never changes."""

    text: tuple[int, ...]
    """All tokens known: the prompt and the outputs."""

    table: SamplingTable
    """Its parameters, in the one slot there is."""

    @classmethod
    def entering(cls, enter: Enter, params: SamplingParams) -> "Sequence":
        """The sequence that an ``Enter`` describes."""
        table = SamplingTable(1)
        table.set(0, params, prompt_length=enter.prompt_length)
        return cls(tuple(enter.tokens), table)

    def draw(self, logits: Tensor) -> int:
        """The token after the text, given its logits (vocabulary); or NO_TOKEN."""
        return int(draw(logits[None].cpu(), self.table, FIRST, self._position))

    def ends_with(self, token: int, config: LlamaConfig) -> bool:
        """Whether a token after the text is the last: asked for, or no room is left."""
        eos = torch.tensor(config.eos, dtype=torch.int64)
        made = torch.tensor([token])
        asked = self.table.stopped(made, FIRST, self._position, eos)
        return bool(asked) or len(self.text) + 1 >= config.context_length

    def longer(self, token: int) -> "Sequence":
        """The same with one token more."""
        return attrs.evolve(self, text=(*self.text, token))

    @property
    def _position(self) -> Tensor:
        return torch.tensor([len(self.text)])


FIRST = torch.tensor([0])
"""The one slot of the tables."""
