"""The kernel: a pure state machine that decides what each step computes.

It reads no clock, draws no number, logs nothing and awaits nothing: the same calls in
the same order give the same plans. Drive it with ``plan`` and ``commit``.
"""

from fairq.kernel._kernel import Kernel
from fairq.kernel._snapshot import (
    Idle,
    Phase,
    RequestSnapshot,
    Snapshot,
    TenantSnapshot,
)

__all__ = [
    "Idle",
    "Kernel",
    "Phase",
    "RequestSnapshot",
    "Snapshot",
    "TenantSnapshot",
]
