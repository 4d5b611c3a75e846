"""How many examples a slow test gets: a part of what the profile says."""

from hypothesis import settings


def part(divisor: int) -> settings:
    """Settings with ``1 / divisor`` of the examples of the profile, at least 10."""
    return settings(max_examples=max(10, settings().max_examples // divisor))
