"""The sampling parameters of the standing batch, on the device, by slot."""

from typing import Final

import torch
from torch import Tensor

from fairq import UsageError
from fairq_backends.sampling._params import MOST_STOP_IDS, SamplingParams

NEVER: Final = 2**62
"""A position that no text reaches."""

PAD: Final = -1
"""Fills the rows of ``stop``; no token has this id."""

LARGEST_FLOAT: Final = torch.finfo(torch.float32).max


class SamplingTable:
    """One row of parameters per slot, so that a step looks at no request.

    Set a row when a sequence enters and clear it when it leaves; every tensor is
    indexed with the slots of a step. Tensors keep their place in memory for life, so
    that CUDA graphs may read them. Not for several threads at once.

    Args:
        slots: Rows; a slot is in 0 .. slots - 1.
        device: Where the tensors live.

    Attributes:
        temperature: fp32 (slots); 0 is greedy.
        top_k: int64 (slots); 0 is off.
        top_p: fp32 (slots); 1 is off.
        seed: int64 (slots).
        stop: int64 (slots, MOST_STOP_IDS), padded with -1.
        heeds_eos: bool (slots); whether the model's end tokens end the sequence.
        last: int64 (slots); position of the token that ends the sequence by itself.
    """

    def __init__(self, slots: int, device: torch.device | str = "cpu") -> None:
        if slots < 1:
            msg = f"SamplingTable.slots must be an integer >= 1; got {slots!r}."
            raise UsageError(msg)
        self.slots = slots
        self.temperature = torch.zeros(slots, dtype=torch.float32, device=device)
        self.top_k = torch.zeros(slots, dtype=torch.int64, device=device)
        self.top_p = torch.ones(slots, dtype=torch.float32, device=device)
        self.seed = torch.zeros(slots, dtype=torch.int64, device=device)
        self.stop = torch.full((slots, MOST_STOP_IDS), PAD, device=device)
        self.heeds_eos = torch.ones(slots, dtype=torch.bool, device=device)
        self.last = torch.full((slots,), NEVER, device=device)
        self._random: set[int] = set()

    @property
    def all_greedy(self) -> bool:
        """Whether no slot draws. Known on the host, without asking the device."""
        return not self._random

    def set(self, slot: int, params: SamplingParams, *, prompt_length: int) -> None:
        """Give a slot its parameters.

        Args:
            slot: Which; what it had is overwritten.
            params: What the request asks for.
            prompt_length: Tokens of its prompt, without outputs of an earlier stay;
                from here ``output_tokens`` counts.

        Raises:
            UsageError: there is no such slot.

        Cost: seven small writes to the device.
        """
        self._check(slot)
        # Beyond fp32 there is no difference that a draw could show.
        self.temperature[slot] = min(params.temperature, LARGEST_FLOAT)
        self.top_k[slot] = params.top_k
        self.top_p[slot] = params.top_p
        self.seed[slot] = params.seed
        padding = (PAD,) * (MOST_STOP_IDS - len(params.stop))
        self.stop[slot] = torch.tensor([*params.stop, *padding])
        self.heeds_eos[slot] = params.heeds_eos
        limit = params.output_tokens
        self.last[slot] = NEVER if limit is None else prompt_length + limit - 1
        self._random.discard(slot)
        if params.temperature > 0:
            self._random.add(slot)

    def clear(self, slot: int) -> None:
        """Forget a slot. Left uncleared it only keeps ``all_greedy`` from being true.

        Raises:
            UsageError: there is no such slot.
        """
        self._check(slot)
        if slot in self._random:
            self._random.remove(slot)
            self.temperature[slot] = 0.0

    def stopped(
        self, tokens: Tensor, slots: Tensor, positions: Tensor, eos: Tensor
    ) -> Tensor:
        """Which tokens end their sequence.

        Args:
            tokens: int64 (R), what was drawn.
            slots: int64 (R), for whom.
            positions: int64 (R), index of each token in its sequence, as for ``draw``.
            eos: int64 (E), end tokens of the model; E may be 0.

        Returns:
            bool (R).
        """
        column = tokens[:, None]
        asked = (column == self.stop[slots]).any(dim=1)
        model = (column == eos[None, :]).any(dim=1) & self.heeds_eos[slots]
        return asked | model | (positions >= self.last[slots])

    def _check(self, slot: int) -> None:
        if not 0 <= slot < self.slots:
            last = self.slots - 1
            msg = f"SamplingTable has the slots 0..{last}; got slot={slot!r}."
            raise UsageError(msg)
