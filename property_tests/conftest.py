"""Profiles: ``dev`` by default, ``ci`` where CI is set, ``deep`` before a release.

Choose one with ``pytest --hypothesis-profile=deep``.
"""

import os

from hypothesis import HealthCheck, Phase, settings

# The explain phase runs a state machine hundreds of times more to name lines; the
# shrunk program says more, and at once.
PHASES = [phase for phase in Phase if phase is not Phase.explain]

settings.register_profile(
    "dev",
    max_examples=50,
    deadline=None,
    phases=PHASES,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "ci", settings.get_profile("ci"), max_examples=200, phases=PHASES
)
settings.register_profile(
    "deep", settings.get_profile("dev"), max_examples=5_000, print_blob=True
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
