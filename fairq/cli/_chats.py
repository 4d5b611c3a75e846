"""Three tenants who ask a small model: one too much at once, one steadily, one rarely.

Sizes are for two CPU cores, which generate some 150 tokens/s with SmolLM2-135M: what
``bulk`` sends at the start keeps them busy for about 20 s, and until then the other two
want less than their share.
"""

from collections.abc import Sequence
from itertools import product
from typing import Final

import attrs

from fairq.cli._text import Tokenizer
from fairq.request import Request
from fairq.sim import Job, Trace
from fairq.tokens import TokenIds

BULK, SUPPORT, PHONE = "bulk", "support", "phone"

TASKS: Final = (
    "Write one sentence about {}.",
    "Name three facts about {}.",
    "Explain {} to a child.",
    "Write a slogan for {}.",
)
THINGS: Final = (
    "bridges",
    "bicycles",
    "lighthouses",
    "tea",
    "volcanoes",
    "chess",
    "bees",
    "maps",
    "rivers",
    "clocks",
    "paper",
    "glass",
    "trains",
    "gardens",
    "owls",
)
QUESTIONS: Final = (
    "How do I reset my password?",
    "Where can I see my invoices?",
    "My parcel has not arrived. What can I do?",
    "How do I change my delivery address?",
    "Can I pay by bank transfer?",
    "The app does not start. What should I try first?",
    "How long do I have to return a product?",
    "How do I cancel my subscription?",
)
SHORT: Final = (
    "Say hello in French.",
    "What is the capital of Italy?",
    "Name a fruit.",
    "How many days has a week?",
    "What colour is the sky?",
)


@attrs.frozen
class Chat:
    """One question: who asks what, when, and how long the answer may be."""

    tenant: str
    text: str
    arrival_s: float
    max_tokens: int


def chats() -> tuple[Chat, ...]:
    """All of them, in the order of their arrival."""
    tasks = [task.format(thing) for thing, task in product(THINGS, TASKS)]
    # Of different lengths, so that not all places become free at the same time.
    bulk = [
        Chat(BULK, text, 0.025 * i, 28 + 5 * i % 13) for i, text in enumerate(tasks)
    ]
    support = [
        Chat(SUPPORT, text, 1.75 + 1.25 * i, 24) for i, text in enumerate(QUESTIONS)
    ]
    phone = [Chat(PHONE, text, 2.0 + 2 * i, 16) for i, text in enumerate(SHORT)]
    return tuple(sorted([*bulk, *support, *phone], key=lambda chat: chat.arrival_s))


@attrs.frozen
class Traffic:
    """The chats as a model reads them."""

    chats: Sequence[Chat]
    prompts: Sequence[TokenIds]
    trace: Trace

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Traffic":
        """Every chat through the chat template and the tokenizer of a model."""
        asked = chats()
        prompts = [_ids(tokenizer, chat.text) for chat in asked]
        jobs = tuple(
            Job(chat.tenant, chat.arrival_s, len(prompt), chat.max_tokens)
            for chat, prompt in zip(asked, prompts, strict=True)
        )
        return cls(asked, prompts, Trace("three tenants", jobs))

    def request(self, index: int, job: Job) -> Request:
        """As ``simulate`` asks for it."""
        return Request(
            tenant=job.client,
            prompt=self.prompts[index],
            max_tokens=job.output_tokens,
        )


def _ids(tokenizer: Tokenizer, text: str) -> TokenIds:
    prompt = tokenizer.chat([{"role": "user", "content": text}])
    return TokenIds(tokenizer.encode(prompt))
