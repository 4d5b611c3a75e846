"""What a caller asks for: one prompt, to be continued for one tenant."""

from typing import NewType

import attrs

from fairq._validators import fail, integer, optional_text, text
from fairq.tokens import TokenIds

__all__ = ["Request", "RequestId"]

RequestId = NewType("RequestId", int)
"""Name of a request within one kernel: 0, 1, 2, ... in the order of ``submit``.
It carries no other meaning and is never used again."""


@attrs.frozen(kw_only=True)
class Request:
    """One prompt and how far to continue it.

    Raises:
        UsageError: a field is out of its bounds; the message names it.
    """

    tenant: str = attrs.field(validator=text)
    """Who is charged. Any string that is not empty; unknown tenants have weight 1."""

    prompt: TokenIds = attrs.field(converter=TokenIds)
    """Token ids, at least one, each in 0..2**31-1. Any iterable of integers is taken
    and packed once; a ``TokenIds`` is shared."""

    max_tokens: int = attrs.field(validator=integer(1, "output tokens"))
    """Most output tokens, at least 1. The kernel plans for this many; a backend may
    end the sequence earlier."""

    sampling: object = None
    """Opaque to fairq and handed to the backend in ``Enter``: temperature, seed, stop
    tokens, whatever that backend understands."""

    adapter: str | None = attrs.field(default=None, validator=optional_text)
    """Name of the adapter (LoRA) that the KV depends on, opaque to fairq: prefixes are
    shared only between requests with the same one."""

    @prompt.validator
    def _check_prompt(
        self, attribute: "attrs.Attribute[TokenIds]", prompt: TokenIds
    ) -> None:
        if not prompt:
            fail(self, attribute, prompt, "at least one token long")
