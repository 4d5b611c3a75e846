"""How many examples a test gets that is slower, or faster, than most."""

from hypothesis import settings


def part(divisor: int) -> settings:
    """Settings with ``1 / divisor`` of the examples of the profile, at least 10."""
    return settings(max_examples=max(10, settings().max_examples // divisor))


def times(factor: int) -> settings:
    """Settings with so many times the examples: for a test that is quick to run."""
    return settings(max_examples=factor * settings().max_examples)


def profile() -> str:
    """The profile that runs: ``dev``, ``ci`` or ``deep``."""
    return settings.get_current_profile_name()
