"""The one door to matplotlib, which is imported only when a picture is asked for."""

from collections.abc import Sequence
from pathlib import Path

from fairq.cost import LinearCost
from fairq.sim import Run


def draw(
    path: Path,
    runs: Sequence[Run],
    *,
    heavy: Sequence[str],
    cost: LinearCost,
    title: str,
) -> None:
    """Draw runs of one trace side by side into a PNG."""
    from fairq.cli._plot import save  # noqa: PLC0415  # half a second that tables need not pay

    save(path, runs, heavy=heavy, cost=cost, title=title)
