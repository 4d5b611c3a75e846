"""How much less a subtree saves, the shorter the shared prefix above it."""

__all__ = ["Profile"]


class Profile:
    """The slopes of what a subtree saves, as a function of the cut above it.

    Let S(d) be the most that the prompts of a subtree can save when the nearest prefix
    above it that has a group is d blocks long. S is convex: each prompt that joins that
    group adds d, and a prefix that gets a group of its own saves the same whatever d
    is. What is stored is where the slope S(d + 1) - S(d) rises, and by how much; the
    value itself is never needed.
    """

    __slots__ = ("_rises",)

    def __init__(self, prompts: int) -> None:
        self._rises = {0: prompts} if prompts else {}

    def add(self, other: "Profile", depth: int) -> None:
        """Add a child's; what it says of cuts at ``depth`` or deeper does not matter.

        Cost: linear in the rises of the child.
        """
        rises = self._rises
        for start, rise in other._rises.items():
            if start < depth:
                rises[start] = rises.get(start, 0) + rise

    def offer_cut(self, depth: int) -> int:
        """Let the subtree have a group at its own top, ``depth`` blocks long.

        That group computes its prefix once: the subtree then saves S(depth) - depth,
        whatever is above it. The profile becomes that of the larger one, which is S
        again down to where S has fallen by ``depth``, and flat from there.

        Returns:
            How deep the cut above must be for none to be needed here: 0 when this
            group never pays. A draw is decided against it.

        Cost: k log k for k rises. At most sqrt(2 * depth) + 2 of them are left, for
        the slopes between them are different integers that sum up to ``depth`` at
        most.
        """
        slope, price = sum(self._rises.values()), depth
        kept: dict[int, int] = {}
        for start in sorted(self._rises, reverse=True):
            fall = slope * (depth - start)
            if fall > price:
                self._rises = kept
                return self._flatten(depth - price // slope, slope, price % slope)
            kept[start] = self._rises[start]
            depth, slope, price = start, slope - kept[start], price - fall
        return 0

    def _flatten(self, top: int, slope: int, rest: int) -> int:
        """Make it flat below ``top``, but for a step of ``rest`` just before it."""
        self._rises[top] = self._rises.get(top, 0) + slope - rest
        if rest:
            self._rises[top - 1] = rest
        return top
