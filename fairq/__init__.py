"""fairq decides which requests an LLM server works on next.

General layout:

* values (``request``, ``plan``, ``events``, ``policy``, ``cost``, ``backend``,
  ``errors``): frozen, validated, no behaviour;
* ``kernel``: the pure state machine that decides; ``disciplines``: in which order;
* ``engine``: drives the kernel with a backend, in async code;
* ``offline``: groups a whole job by prefixes before it starts;
* ``sim``: drives the same kernel in virtual time;
* ``plugins``: finds backends by name; ``cli``: the ``fairq`` command.

Start with ``open_engine`` in a server, with ``Kernel`` in a loop of your own.
"""

from fairq.backend import AsyncBackend, Backend, Capacity, SyncBackend
from fairq.cost import LinearCost
from fairq.disciplines import Discipline, Dlpm, Fcfs, Lpm, Vtc
from fairq.engine import Engine, Statistics, TokenStream, open_engine
from fairq.errors import (
    BackendError,
    EngineClosed,
    FairqError,
    InvariantError,
    ReaderTooSlow,
    RequestRejected,
    TraceError,
    UsageError,
)
from fairq.events import Events, Finished, FinishReason, Share
from fairq.kernel import Idle, Kernel, Snapshot
from fairq.offline import OfflineGroup, OfflinePlan, plan_offline
from fairq.order import Order
from fairq.plan import (
    BlockId,
    Chunk,
    DecodeSet,
    Enter,
    SharedPrefix,
    StepId,
    StepPlan,
    StepResult,
)
from fairq.plugins import load_backend
from fairq.policy import Admission, Policy
from fairq.prefix_cache import PrefixCache
from fairq.request import Request, RequestId
from fairq.tokens import TokenIds

__all__ = [
    "Admission",
    "AsyncBackend",
    "Backend",
    "BackendError",
    "BlockId",
    "Capacity",
    "Chunk",
    "DecodeSet",
    "Discipline",
    "Dlpm",
    "Engine",
    "EngineClosed",
    "Enter",
    "Events",
    "FairqError",
    "Fcfs",
    "FinishReason",
    "Finished",
    "Idle",
    "InvariantError",
    "Kernel",
    "LinearCost",
    "Lpm",
    "OfflineGroup",
    "OfflinePlan",
    "Order",
    "Policy",
    "PrefixCache",
    "ReaderTooSlow",
    "Request",
    "RequestId",
    "RequestRejected",
    "Share",
    "SharedPrefix",
    "Snapshot",
    "Statistics",
    "StepId",
    "StepPlan",
    "StepResult",
    "SyncBackend",
    "TokenIds",
    "TokenStream",
    "TraceError",
    "UsageError",
    "Vtc",
    "load_backend",
    "open_engine",
    "plan_offline",
]
