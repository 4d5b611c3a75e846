"""The two panels of a column: service over time, and first-token latency."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fairq.cli._column import Column, Waits
from fairq.cli._style import HEAVY, INK, LIGHT, STRONG
from fairq.cli._words import seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_S: Final = 0.01
"""Below a hundredth of a second nobody waits; it is where the logarithm starts."""

OVER_A_LINE: Final = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5}
"""The box of a text that may stand on a line."""

FEW: Final = 100
"""Up to here dots are drawn large: they do not cover one another."""


def draw_service(axes: "Axes", column: Column, heavy: Sequence[str]) -> None:
    """Cumulative service of each tenant; the heaviest in colours of their own."""
    colours = dict(zip(heavy, STRONG, strict=False))
    for client, curve in column.curves.items():
        _line(axes, column.times_s, curve, colours.get(client))
    for client, colour in colours.items():
        axes.plot([], [], color=colour, linewidth=2.6, label=f"heavy: {client}")
    axes.plot([], [], color=LIGHT, linewidth=1.0, alpha=0.6, label="everybody else")
    _mark_last_arrival(axes, column)
    axes.margins(x=0)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_title(_service_title(column))


def _line(
    axes: "Axes", times: Sequence[float], curve: Sequence[float], colour: str | None
) -> None:
    thousands = [value / 1000 for value in curve]
    if colour is None:
        axes.plot(times, thousands, color=LIGHT, linewidth=1.0, alpha=0.6)
    else:
        axes.plot(times, thousands, color=colour, linewidth=2.6, zorder=3)


def _mark_last_arrival(axes: "Axes", column: Column) -> None:
    axes.axvline(column.last_arrival_s, color=INK, linewidth=1.0, linestyle=":")
    # The legend is in the upper left corner.
    late = column.last_arrival_s > column.times_s[-1] / 2
    axes.annotate(
        "last arrival " if late else " last arrival",
        (column.last_arrival_s, 0.97 if late else 0.72),
        xycoords=("data", "axes fraction"),
        ha="right" if late else "left",
        va="top",
        fontsize=10,
        bbox=None if late else OVER_A_LINE,
    )


def _service_title(column: Column) -> str:
    share = f"{100 * column.heavy_share:.0f} %"
    name = column.policy.upper()
    return f"{name}: heavy tenants get {share} until the last arrival"


def draw_latency(axes: "Axes", column: Column) -> None:
    """A dot per request, on a logarithmic axis, and the mean of each group."""
    light, heavy = column.light, column.heavy
    light_above = (light.mean_s or 0) >= (heavy.mean_s or 0)
    _dots(axes, "heavy tenants", heavy, HEAVY, above=not light_above)
    _dots(axes, "light tenants", light, LIGHT, above=light_above)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_title(_latency_title(column))


def _dots(axes: "Axes", label: str, waits: Waits, colour: str, *, above: bool) -> None:
    if waits.mean_s is None:
        return
    shown = [max(latency, LEAST_S) for latency in waits.latency_s]
    size = 9 if len(shown) > FEW else 30
    axes.scatter(waits.arrival_s, shown, s=size, color=colour, alpha=0.5, linewidths=0)
    axes.axhline(waits.mean_s, color=colour, linewidth=1.6, linestyle=(0, (5, 3)))
    axes.scatter([], [], s=36, color=colour, label=label)
    axes.annotate(
        f"mean {seconds(waits.mean_s)}",
        (1.0, waits.mean_s),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 4 if above else -4),
        textcoords="offset points",
        ha="right",
        va="bottom" if above else "top",
        color=colour,
        fontweight="bold",
        bbox=OVER_A_LINE,
    )


def _latency_title(column: Column) -> str:
    name = column.policy.upper()
    if column.light.mean_s is None:
        return f"{name}: first-token latency"
    return f"{name}: light tenants wait {seconds(column.light.mean_s)} on average"
