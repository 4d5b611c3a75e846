"""The plain format, and the bundled arena trace, which has one more column.

Columns ``arrival_s`` (seconds), ``client`` (the tenant), ``prompt_tokens`` and
``output_tokens``, in any order; ``req_id`` is allowed and not used. Rows are in the
order of arrival.
"""

from typing import Final

from fairq.sim._table import Ordered, read_rows
from fairq.sim._values import Job

COLUMNS: Final = ("arrival_s", "client", "prompt_tokens", "output_tokens")
OPTIONAL: Final = ("req_id",)


def parse_plain(text: str, file: str) -> tuple[Job, ...]:
    """The jobs of a plain CSV. Costs O(rows).

    Raises:
        TraceError: see ``read_trace``.
    """
    arrivals = Ordered()
    return tuple(
        Job(
            row.text("client"),
            arrivals.check(row, "arrival_s", row.seconds("arrival_s")),
            row.tokens("prompt_tokens"),
            row.tokens("output_tokens"),
        )
        for row in read_rows(text, file, COLUMNS, OPTIONAL)
    )
