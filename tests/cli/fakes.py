"""A backend that runs a model of a few lines, and models that can be fetched."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from fairq.backend import Capacity
from fairq.errors import BackendError, RequestRejected
from fairq.plan import StepPlan, StepResult
from fairq.request import Request, RequestId
from fairq.testing._witness import sampled
from fairq.tokens import TokenIds

VOCABULARY = 128
END = 0
"""Ends a text; it is no text."""


class Row(list[float]):
    """Logits, as far as the command line looks at a tensor."""

    def topk(self, k: int) -> tuple["Row", "Row"]:
        ranked = sorted(range(len(self)), key=lambda place: -self[place])[:k]
        return Row(self[place] for place in ranked), Row(ranked)

    def tolist(self) -> list[float]:
        return list(self)


class Pairs:
    """A text stream that gives two characters at a time."""

    def __init__(self) -> None:
        self._held = ""

    def push(self, token: int) -> str:
        self._held += Letters().decode([token])
        return self.end() if len(self._held) == 2 else ""

    def end(self) -> str:
        given, self._held = self._held, ""
        return given


@attrs.frozen
class Letters:
    """A token is a character."""

    def encode(self, text: str) -> list[int]:
        return [ord(each) for each in text if ord(each) < VOCABULARY]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(chr(each) for each in ids if each != END)

    def chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        (message,) = messages
        return f"<{message['role']}>{message['content']}<assistant>"

    def text_stream(self) -> Pairs:
        return Pairs()


class FakeText:
    """Answers with the letters after those of the prompt; ends where a model says so.

    ``model`` chooses what happens: ``plain``, ``mute`` (no tokenizer), ``short`` (ends
    after three tokens), ``torn`` (interrupted in the third step), ``broken`` (its third
    step fails), ``narrow`` (says that no prompt fits).
    """

    made: "list[FakeText]"

    def __init__(  # noqa: PLR0913  # the options of a real one
        self,
        *,
        model: str,
        dtype: str = "float32",
        mode: str = "exact",
        keep_logits: bool = False,
        max_sequences: int = 4,
        tokens_per_step: int = 64,
        blocks: int = 64,
    ) -> None:
        self.options = {"dtype": dtype, "mode": mode, "keep_logits": keep_logits}
        self.capacity = Capacity(
            blocks=blocks,
            block_size=16,
            max_sequences=max_sequences,
            tokens_per_step=tokens_per_step,
        )
        self.model_name = Path(model).stem
        self.tokenizer = None if self.model_name == "mute" else Letters()
        self.logits: dict[RequestId, Row] = {}
        self.closed = 0
        self.sampling = list[object]()
        self._prompts: dict[RequestId, TokenIds] = {}
        self._count: dict[RequestId, int] = {}
        self._steps = 0
        FakeText.made.append(self)

    def check(self, request: Request) -> None:
        if self.model_name == "narrow":
            msg = f"The prompt of {len(request.prompt)} tokens does not fit."
            raise RequestRejected(msg, retryable=False, needed=1, available=0)

    def step(self, plan: StepPlan) -> StepResult:
        self._steps += 1
        if self._steps == 3 and self.model_name == "torn":
            raise KeyboardInterrupt
        if self._steps == 3 and self.model_name == "broken":
            msg = "the third step is broken"
            raise RuntimeError(msg)
        for enter in plan.enter:
            self._enter(enter.request_id, enter.tokens[: enter.prompt_length])
            self.sampling.append(enter.sampling)
        tokens = {name: self._next(name) for name in sampled(plan)}
        self.logits = {name: self._row(token) for name, token in tokens.items()}
        ended = tuple(name for name, token in tokens.items() if token == END)
        return StepResult(plan.step_id, tokens, ended, 10**6 * (5 + plan.tokens))

    def close(self) -> None:
        self.closed += 1

    def _enter(self, name: RequestId, prompt: TokenIds) -> None:
        if max(prompt) >= VOCABULARY:
            msg = f"Request {name} needs token ids below {VOCABULARY}."
            raise BackendError(msg, backend="fake")
        self._prompts[name] = prompt
        self._count[name] = 0

    def _next(self, name: RequestId) -> int:
        count, prompt = self._count[name], self._prompts[name]
        self._count[name] += 1
        if self.model_name == "short" and count == 2:
            return END
        # A fast model depends on what else runs; here, on when it runs.
        shift = self._steps if self.options["mode"] == "fast" else 0
        return 97 + (prompt[count % len(prompt)] + shift) % 26

    def _row(self, token: int) -> Row:
        return Row(-abs(each - token) / 2 for each in range(VOCABULARY))


@attrs.define
class FakeModel:
    """A model whose file is made when it is pulled."""

    name: str
    folder: Path
    about: str = "A model [for tests]"
    licence: str = "MIT"
    bytes: int = 12_340_000
    pulled: int = 0

    def path(self) -> Path | None:
        path = self.folder / f"{self.name}.gguf"
        return path if path.exists() else None

    def pull(self, progress: Callable[[int, int], object]) -> Path:
        self.pulled += 1
        for done in (0, 5, 10):
            progress(done, 10)
        path = self.folder / f"{self.name}.gguf"
        path.write_bytes(b"")
        return path


MODELS: dict[str, FakeModel] = {}


def __getattr__(name: str) -> FakeModel:
    """What the entry points of ``fairq.models`` name."""
    if name in MODELS:
        return MODELS[name]
    raise AttributeError(name)
