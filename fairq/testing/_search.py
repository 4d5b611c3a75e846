"""How the checks search with Hypothesis: always the same cases, and without a word."""

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, Verbosity, settings


def quiet(examples: int) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """The same examples each time, and nothing printed but what is raised.

    Whatever profile the author has loaded: a check that passes must pass everywhere.
    """
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        print_blob=False,
        deadline=None,
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
