"""Colours and sizes of pictures; readable at 900 pixels and for colour-blind eyes."""

from typing import Any, Final

# Warm for heavy tenants, blue for light ones, in all panels. From the palettes of Okabe
# and Ito, "Color Universal Design" (2008), and P. Tol, "Colour Schemes" (2021).
LIGHT: Final = "#0072B2"
HEAVY: Final = "#D55E00"
STRONG: Final = (HEAVY, "#E69F00", "#882255", "#CC79A7", "#661100")
"""For single heavy tenants, one each; what is beyond them is drawn like the light."""

QUIET: Final = "#9AA0A6"
INK: Final = "#202124"

# Each release of matplotlib types its keys anew; a closed type would fit one of them.
RC: Final[dict[Any, Any]] = {
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so pictures look the same
    "font.size": 11.0,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E8EAED",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}
"""Over matplotlib's own defaults, and not over what a user's matplotlibrc says."""
