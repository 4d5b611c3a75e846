"""Chat templates: Jinja programs that come with a model, run in a sandbox."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import attrs
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fairq_backends.catalogue import ModelError

Message = Mapping[str, str]
"""At least ``role`` and ``content``."""


@attrs.frozen
class ChatTemplate:
    """A template as it was in the model's files; compiled when it is used."""

    path: Path
    """Where it came from, for messages."""

    source: str
    """In Jinja."""

    names: Mapping[str, str] = attrs.field(factory=dict)
    """What it may use besides the messages: ``bos_token``, ``eos_token``."""

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt that ends where the assistant is to begin.

        Raises:
            ModelError: the template is broken, or refuses the messages.
        """
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols"],
            autoescape=False,
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise
        try:
            return environment.from_string(self.source).render(
                messages=list(messages), add_generation_prompt=True, **self.names
            )
        # Templates are programs; a wrong one can fail in any way.
        except (TemplateError, ArithmeticError, LookupError, TypeError) as error:
            self._refuse(error)
        except (ValueError, AttributeError, RecursionError) as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> NoReturn:
        msg = f"The chat template of {self.path} failed: {error}"
        raise ModelError(msg, path=self.path) from error


def _tojson(value: object, indent: int | None = None) -> str:
    # Jinja's own escapes for HTML, which a model was not trained on.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
