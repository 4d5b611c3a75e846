"""What is wrong with a model's files."""

from pathlib import Path

from fairq import FairqError


class ModelError(FairqError):
    """A model cannot be found, downloaded, read, or does not fit into memory.

    Attributes:
        path: The file or folder that is meant, as the caller named it.
    """

    def __init__(self, message: str, *, path: str | Path) -> None:
        super().__init__(message)
        self.path = Path(path)
