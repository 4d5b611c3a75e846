"""Where weights go: a device that torch knows and that is there."""

import torch

from fairq import UsageError


def checked_device(device: torch.device | str) -> torch.device:
    """The device of that name.

    Raises:
        UsageError: torch does not know it, or it is a GPU and torch sees none.
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        msg = f"There is no device {device!r}; try 'cpu' or 'cuda'."
        raise UsageError(msg) from error
    if found.type == "cuda" and not torch.cuda.is_available():
        msg = f"torch sees no GPU, so there is no device {str(device)!r}; try 'cpu'."
        raise UsageError(msg)
    return found
