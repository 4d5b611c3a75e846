"""One picture of several runs of the same trace, a column each.

Above: who was served when. Below: how long each request waited for its first token.
Axes are shared along the rows, so that columns can be compared by eye.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairq.cli._column import Column, column, times_of
from fairq.cli._panels import draw_latency, draw_service
from fairq.cli._style import RC
from fairq.cost import LinearCost
from fairq.sim import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN_INCHES: Final = 6.2
HEIGHT_INCHES: Final = 7.8
DPI: Final = 130
CHARACTERS: Final = 70
"""Of the title, beside one another, for each column."""


def save(
    path: Path,
    runs: Sequence[Run],
    *,
    heavy: Sequence[str],
    cost: LinearCost,
    title: str,
) -> None:
    """Draw the runs side by side into a PNG; takes about a second.

    ``heavy`` are the tenants that get colours of their own, heaviest first.

    The same runs give the same bytes (with the same matplotlib). Needs matplotlib,
    never a display.
    """
    import matplotlib as mpl  # noqa: PLC0415  # an extra: see _extras

    times_s = times_of(runs)
    columns = [column(run, heavy, cost, times_s) for run in runs]
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        _figure(columns, heavy, title).savefig(path, format="png", dpi=DPI)


def _figure(columns: Sequence[Column], heavy: Sequence[str], title: str) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # as above
    from matplotlib.figure import Figure  # noqa: PLC0415  # as above

    size = (max(COLUMN_INCHES * len(columns), 8.0), HEIGHT_INCHES)
    figure = Figure(figsize=size, layout="constrained")
    lines = textwrap.fill(title, width=CHARACTERS * len(columns))
    figure.suptitle(lines, x=0.01, ha="left", fontsize=11)
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(columns), sharex=True, sharey="row", squeeze=False)
    for i, shown in enumerate(columns):
        draw_service(axes[0][i], shown, heavy)
        draw_latency(axes[1][i], shown)
        axes[1][i].set_xlabel("time (s)")
    axes[0][0].set_ylabel("service so far (thousand units)")
    axes[1][0].set_ylabel("first-token latency (s)")
    axes[0][0].legend(loc="upper left")
    if axes[1][0].has_data():  # else everything was rejected
        axes[1][0].legend(loc="lower right", ncols=2)
    return figure
