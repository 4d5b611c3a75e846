"""One line of the table."""

import attrs

__all__ = ["Row"]


@attrs.frozen(kw_only=True)
class Row:
    """One number, and what it should be."""

    measurement: str
    name: str
    value: float | None
    """None where there is no number; the note says why."""
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without a target or a number."""
        if self.value is None or (self.at_least, self.at_most) == (None, None):
            return None
        enough = self.at_least is None or self.value >= self.at_least
        return enough and (self.at_most is None or self.value <= self.at_most)

    @property
    def target(self) -> str:
        """In words."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return f"<= {self.at_most:g}" if self.at_most is not None else ""

    def line(self) -> str:
        """For the terminal."""
        shown = "-" if self.value is None else f"{self.value:.5g}"
        met = {True: "reached", False: "MISSED", None: ""}[self.met]
        return (
            f"{self.measurement:<18}{self.name:<44}{shown:>10} {self.unit:<9}"
            f"{self.target:<9}{met:<9}{self.note}"
        ).rstrip()
