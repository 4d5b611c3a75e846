"""The same kernel in virtual time: replay a trace, and say who got what.

* traces: ``read_trace``, ``bundled_trace``, ``prefix_groups``, ``merge_traces`` give a
  ``Trace`` of jobs;
* the order of a whole job: ``plan_trace``;
* a run: ``simulate`` drives the kernel and a backend through it and gives a ``Run``;
* measures, of a run or of a log: ``service_difference``, ``jain_index``,
  ``tenant_reports``, ``service_curve``, ``coldest``, and ``outcome`` for all in one;
* files: ``write_log`` and ``read_log``, a row per request; ``to_json``.

Nothing here reads a clock, draws a number or needs an event loop, so the same trace,
backend and policy give the same run on every machine.
"""

from fairq.sim._coldest import Coldest, coldest
from fairq.sim._content import Span
from fairq.sim._curve import service_curve
from fairq.sim._difference import ServiceDifference, service_difference
from fairq.sim._groups import parse_groups, prefix_groups
from fairq.sim._jain import jain_index, max_min_shares
from fairq.sim._log import read_log, write_log
from fairq.sim._offline import Planned, plan_trace
from fairq.sim._outcome import Outcome, outcome
from fairq.sim._report import log_to_json, to_json
from fairq.sim._sessions import WINDOW_S
from fairq.sim._simulate import simulate
from fairq.sim._summary import Summary, percentile
from fairq.sim._tenants import TenantReport, heavy_tenants, tenant_reports
from fairq.sim._totals import total
from fairq.sim._trace import TENANTS, bundled_trace, merge_traces, read_trace
from fairq.sim._values import Job, Record, Run, Totals, Trace

__all__ = [
    "TENANTS",
    "WINDOW_S",
    "Coldest",
    "Job",
    "Outcome",
    "Planned",
    "Record",
    "Run",
    "ServiceDifference",
    "Span",
    "Summary",
    "TenantReport",
    "Totals",
    "Trace",
    "bundled_trace",
    "coldest",
    "heavy_tenants",
    "jain_index",
    "log_to_json",
    "max_min_shares",
    "merge_traces",
    "outcome",
    "parse_groups",
    "percentile",
    "plan_trace",
    "prefix_groups",
    "read_log",
    "read_trace",
    "service_curve",
    "service_difference",
    "simulate",
    "tenant_reports",
    "to_json",
    "total",
    "write_log",
]
