"""Text to token ids and back."""

from collections.abc import Sequence
from pathlib import Path

import attrs
import tokenizers

from fairq import UsageError
from fairq_backends.catalogue import ModelError
from fairq_backends.llama._stream import TextStream
from fairq_backends.llama._template import ChatTemplate, Message


@attrs.frozen(eq=False)
class Tokenizer:
    """A model's tokenizer with its chat template."""

    path: Path
    """The file it came from."""

    backend: tokenizers.Tokenizer = attrs.field(repr=False)
    """Of the ``tokenizers`` package."""

    eos: tuple[int, ...]
    """Token ids that end a text."""

    bos: int | None = None
    """Put before every text that does not begin with it; None: nothing is."""

    template: ChatTemplate | None = attrs.field(default=None, repr=False)
    """How messages become a prompt."""

    specials: frozenset[int] = attrs.field(init=False, repr=False)
    """Ids that are no text: ``decode`` skips them."""

    @specials.default
    def _specials(self) -> frozenset[int]:
        added = self.backend.get_added_tokens_decoder()
        return frozenset(number for number, token in added.items() if token.special)

    @property
    def vocab_size(self) -> int:
        """One more than the largest id; a model may have more rows than that."""
        return max(self.backend.get_vocab(with_added_tokens=True).values()) + 1

    def encode(self, text: str) -> list[int]:
        """The ids of a text; names of special tokens in it count as those tokens.

        Raises:
            UsageError: the text cannot be UTF-8 (half of a surrogate pair).
        """
        try:
            ids: list[int] = self.backend.encode(text, add_special_tokens=False).ids
        except (TypeError, UnicodeError) as error:
            msg = f"This text cannot be encoded: {error}."
            raise UsageError(msg) from error
        if self.bos is not None and ids[:1] != [self.bos]:
            return [self.bos, *ids]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids. Special tokens and ids without a text are skipped.

        Bytes that are not UTF-8 become U+FFFD.

        Raises:
            UsageError: an id is negative or over 32 bits.
        """
        try:
            text: str = self.backend.decode(list(ids), skip_special_tokens=True)
        except (OverflowError, TypeError) as error:
            msg = f"Token ids must be whole numbers from 0 up: {error}."
            raise UsageError(msg) from error
        return text

    def chat(self, messages: Sequence[Message]) -> str:
        """The prompt for a conversation, up to where the assistant begins.

        Args:
            messages: Each with ``role`` (system, user, assistant) and ``content``.

        Raises:
            ModelError: the model has no chat template, or the template fails.
        """
        if self.template is None:
            msg = f"{self.path} has no chat template; give it a plain prompt."
            raise ModelError(msg, path=self.path)
        return self.template.render(messages)

    def text_stream(self) -> TextStream:
        """Text from ids that come one at a time."""
        return TextStream(self.decode, self.specials)
