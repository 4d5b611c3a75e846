"""``fairq measure``: who got what, according to a log of requests."""

import math
from argparse import Namespace
from pathlib import Path

from fairq.cli._console import show
from fairq.cli._files import check_file, write_json
from fairq.cli._table import CACHED, ROWS, Column, comparison
from fairq.cli._words import grouped
from fairq.cost import LinearCost
from fairq.sim import Run, heavy_tenants, log_to_json, outcome, read_log, total


def measure(arguments: Namespace) -> None:
    """Report on a log: service difference, fairness index, first-token latency."""
    check_file("--json", arguments.json)
    log: Path = arguments.log
    cost = LinearCost()
    records = read_log(log)
    # A log does not say what ran in which step, so nobody can tell the gap.
    run = Run(
        policy="log",
        records=records,
        totals=total(records),
        bound=None,
        largest_gap=math.nan,
    )
    shown = Column("log", run.totals, outcome(run, cost, {}))
    show(f"{log.name}: {grouped(records, heavy_tenants(records, cost))}.")
    show(comparison([shown], CACHED if run.totals.cached_tokens else ROWS))
    if arguments.json is not None:
        write_json(arguments.json, log_to_json(log.name, records, cost, {}))
