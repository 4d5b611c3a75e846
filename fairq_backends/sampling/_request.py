"""What a model can never run, found before a request is queued."""

import attrs
import numpy as np

from fairq import Request, RequestRejected, UsageError
from fairq_backends.sampling._params import SamplingParams


@attrs.frozen(kw_only=True)
class RequestCheck:
    """The limits of one model. What it lets pass no step refuses for its contents."""

    vocab_size: int
    """Token ids are 0 .. vocab_size - 1."""

    context_length: int
    """Positions of the longest text; a prompt has to leave one for an answer."""

    def check(self, request: Request) -> None:
        """Return if a model like this can run the request. O(prompt), at C speed.

        Raises:
            UsageError: a token id is outside of the vocabulary, ``sampling`` cannot be
                understood, or there is an adapter; the message names the value.
            RequestRejected: the prompt leaves no room in the context. ``needed`` and
                ``available`` are positions.
        """
        SamplingParams.read(request.sampling)
        if request.adapter is not None:
            msg = (
                "Request.adapter must be None, because this backend loads no adapters; "
                f"got {request.adapter!r}."
            )
            raise UsageError(msg)
        self._check_length(len(request.prompt) + 1)
        highest = int(np.frombuffer(request.prompt.raw, dtype=np.int32).max())
        last = self.vocab_size - 1
        if highest > last:
            msg = (
                f"Request.prompt must have token ids in 0..{last}, the model's "
                f"vocabulary; got {highest}."
            )
            raise UsageError(msg)

    def _check_length(self, needed: int) -> None:
        if needed > self.context_length:
            msg = (
                f"Request needs {needed} positions (its prompt and one token) but the "
                f"model's context has {self.context_length}; it can never run. Shorten "
                "the prompt."
            )
            raise RequestRejected(
                msg, retryable=False, needed=needed, available=self.context_length
            )
