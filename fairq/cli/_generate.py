"""``fairq generate``: a model continues one prompt; the text appears as it comes."""

import sys
from argparse import Namespace
from contextlib import closing

import attrs

from fairq.cli._catalogue import locate
from fairq.cli._files import check_file, write_json
from fairq.cli._generation import Generation, generate_one
from fairq.cli._terminal import IdWriter, TextWriter, Writer
from fairq.cli._text import (
    TextBackend,
    check_backend,
    load_text_backend,
    tokenizer_of,
)
from fairq.cli._words import count
from fairq.errors import UsageError
from fairq.request import Request

SAMPLING = ("temperature", "top_k", "top_p", "seed")
IDS_INSTEAD = "Give the prompt as --prompt-ids."


def generate(arguments: Namespace) -> None:
    """Continue a prompt; the text goes to stdout, the speed to stderr."""
    check_file("--json", arguments.json)
    sampling = _sampling(arguments)
    check_backend(arguments.backend)
    with closing(_backend(arguments)) as backend:
        request = Request(
            tenant="generate",
            prompt=_prompt_ids(arguments, backend),
            max_tokens=arguments.max_tokens,
            sampling=sampling,
        )
        writer = _writer(backend)
        try:
            made = generate_one(backend, request, writer.push)
        finally:
            writer.end()
    sys.stderr.write(_closing_line(made) + "\n")
    if arguments.json is not None:
        write_json(arguments.json, _report(request, made, writer.text))


def _sampling(arguments: Namespace) -> dict[str, object] | None:
    """What was asked for; None, which is greedy, when nothing was."""
    asked = {
        name: getattr(arguments, name)
        for name in SAMPLING
        if getattr(arguments, name) is not None
    }
    others = [name for name in asked if name != "temperature"]
    if others and not asked.get("temperature"):
        option = "--" + others[0].replace("_", "-")
        msg = (
            f"{option}: only a temperature above 0 draws tokens; without one the most "
            f"likely token is taken. Add --temperature, or drop {option}."
        )
        raise UsageError(msg)
    return asked or None


def _backend(arguments: Namespace) -> TextBackend:
    options: dict[str, object] = {
        "model": locate(arguments.model),
        "keep_logits": True,
        "max_sequences": 1,
    }
    for name in ("dtype", "mode"):
        if getattr(arguments, name) is not None:
            options[name] = getattr(arguments, name)
    return load_text_backend(arguments.backend, **options)


def _prompt_ids(arguments: Namespace, backend: TextBackend) -> list[int]:
    if arguments.prompt_ids is not None:
        given: list[int] = arguments.prompt_ids
        return given
    tokenizer = tokenizer_of(backend, IDS_INSTEAD)
    text = arguments.prompt
    if arguments.chat is not None:
        text = tokenizer.chat([{"role": "user", "content": arguments.chat}])
    ids = tokenizer.encode(text)
    if not ids:
        msg = f"The tokenizer of {backend.model_name} makes no token of {text!r}."
        raise UsageError(msg)
    return ids


def _writer(backend: TextBackend) -> Writer:
    tokenizer = backend.tokenizer
    return IdWriter() if tokenizer is None else TextWriter(tokenizer.text_stream())


def _closing_line(made: Generation) -> str:
    tokens = count(len(made.ids), "token")
    line = f"{tokens} in {made.seconds:.2f} s, the first after {made.first_s:.2f} s"
    if made.tokens_per_s is None:
        return line
    return f"{line}, then {made.tokens_per_s:.1f} tokens/s"


def _report(request: Request, made: Generation, text: str | None) -> dict[str, object]:
    return {
        "prompt_ids": list(request.prompt),
        "generated_ids": list(made.ids),
        "text": text,
        "first_step_top5": [attrs.asdict(each) for each in made.top],
        "tokens_per_s": made.tokens_per_s,
    }
