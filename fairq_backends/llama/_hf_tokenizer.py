"""The tokenizer of a Hugging Face folder."""

from pathlib import Path

import tokenizers

from fairq_backends.catalogue import ModelError
from fairq_backends.llama._config import LlamaConfig
from fairq_backends.llama._fields import Fields
from fairq_backends.llama._json import read_json_if_there
from fairq_backends.llama._template import ChatTemplate
from fairq_backends.llama._tokenizer import Tokenizer


def hf_tokenizer(folder: Path, config: LlamaConfig) -> Tokenizer | None:
    """The tokenizer in ``tokenizer.json``; None if there is no tokenizer at all.

    Raises:
        ModelError: it is damaged, or of a format that is not read.
    """
    path = folder / "tokenizer.json"
    if not path.exists():
        _refuse_other_formats(folder)
        return None
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
    # The package raises plain exceptions for whatever is wrong with the file.
    except Exception as error:
        msg = f"{path} cannot be read: {error}."
        raise ModelError(msg, path=path) from error
    # A file may tell to cut or to fill up texts; a prompt stays as it is.
    backend.no_truncation()
    backend.no_padding()
    fields = read_json_if_there(folder / "tokenizer_config.json")
    return Tokenizer(
        path=path,
        backend=backend,
        eos=config.eos or _named_id(fields, backend, "eos_token"),
        bos=_begins(fields, backend, config),
        template=_template(folder, fields),
    )


def _refuse_other_formats(folder: Path) -> None:
    other = folder / "tokenizer.model"
    if other.exists():
        msg = f"{other} is not read; convert it to tokenizer.json."
        raise ModelError(msg, path=other)


def _begins(
    fields: Fields, backend: tokenizers.Tokenizer, config: LlamaConfig
) -> int | None:
    """The bos that every text gets, if the folder says that it gets one."""
    named = _named_id(fields, backend, "bos_token")
    bos = named[0] if named else config.bos
    # Where the config does not say, what the tokenizer puts around nothing does.
    around = backend.encode("", add_special_tokens=True).ids
    default = bos is not None and around[:1] == [bos]
    return bos if fields.flag("add_bos_token", default=default) else None


def _named_id(
    fields: Fields, backend: tokenizers.Tokenizer, key: str
) -> tuple[int, ...]:
    found = backend.token_to_id(_token(fields, key) or "")
    return () if found is None else (found,)


def _token(fields: Fields, key: str) -> str | None:
    """A token in the config: its text, or an object around its text."""
    value = fields.values.get(key)
    if isinstance(value, dict):
        return Fields(fields.path, value).text("content")
    return None if value is None else fields.text(key)


def _template(folder: Path, fields: Fields) -> ChatTemplate | None:
    path = folder / "chat_template.jinja"
    source = _file(path) if path.exists() else _inline(fields)
    if source is None:
        return None
    given = {key: _token(fields, key) for key in ("bos_token", "eos_token")}
    names = {key: token for key, token in given.items() if token is not None}
    return ChatTemplate(path=folder, source=source, names=names)


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read: {error}."
        raise ModelError(msg, path=path) from error


def _inline(fields: Fields) -> str | None:
    """A text, or a list of templates with names, of which one is the default."""
    value = fields.values.get("chat_template")
    if not isinstance(value, list):
        return None if value is None else fields.text("chat_template")
    named = [each for each in value if isinstance(each, dict)]
    default = [each for each in named if each.get("name") == "default"]
    if len(default) != 1:
        fields.refuse("one of several templates in chat_template must be the default")
    return Fields(fields.path, default[0]).text("template")
