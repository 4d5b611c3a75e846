"""A kit to test what is built on fairq: backends, disciplines, loops of one's own.

* conformance: ``check_backend`` and ``check_discipline``, a test of three lines each;
  they raise ``ObligationBroken``. ``max_min`` says what fair shares are;
* values: ``requests``, ``capacities``, ``policies``, ``traces`` are Hypothesis
  strategies; ``journals`` and ``plans`` draw whole runs of a kernel;
* reproducers: a ``RecordingKernel`` writes a ``Journal``, which ``replay`` does again
  and ``Journal.scenario`` turns into text; ``play``, ``check_scenario`` and ``record``
  take such text;
* checks: a ``Witness`` is a backend that checks the plans it is given, and
  ``Receipts`` check what the callers are told.

Needs the extra ``testing``; nothing else in fairq imports it.
"""

try:
    import hypothesis as _hypothesis  # noqa: F401  # asked for here, for the message
except ImportError as _error:
    _MESSAGE = (
        'fairq.testing needs hypothesis. Install it with: pip install "fairq[testing]"'
    )
    raise ImportError(_MESSAGE, name="hypothesis") from _error

from fairq.testing._backend._check import check_backend
from fairq.testing._discipline._check import check_discipline
from fairq.testing._max_min import max_min
from fairq.testing._obligations import Conformance, Obligation, ObligationBroken
from fairq.testing._receipts import Receipts
from fairq.testing._runs import Plans, journals, plans
from fairq.testing._strategies import capacities, policies, requests, traces
from fairq.testing._transcript._calls import (
    Cancel,
    Commit,
    Fail,
    Noted,
    Pin,
    Pinned,
    Plan,
    Raised,
    Submit,
    Unpin,
)
from fairq.testing._transcript._journal import Journal, RecordingKernel
from fairq.testing._transcript._play import check_scenario, play, record
from fairq.testing._transcript._replay import ReplayDiverged, replay
from fairq.testing._witness import Witness

__all__ = [
    "Cancel",
    "Commit",
    "Conformance",
    "Fail",
    "Journal",
    "Noted",
    "Obligation",
    "ObligationBroken",
    "Pin",
    "Pinned",
    "Plan",
    "Plans",
    "Raised",
    "Receipts",
    "RecordingKernel",
    "ReplayDiverged",
    "Submit",
    "Unpin",
    "Witness",
    "capacities",
    "check_backend",
    "check_discipline",
    "check_scenario",
    "journals",
    "max_min",
    "plans",
    "play",
    "policies",
    "record",
    "replay",
    "requests",
    "traces",
]
