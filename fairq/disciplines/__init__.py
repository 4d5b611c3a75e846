"""Queue disciplines: in which order tenants are served.

A discipline sees a tenant through ``TenantView`` and gives it a *turn*, an integer; the
tenant with the smallest turn goes first, ties by the oldest request. How far others may
go ahead of it when its request does not fit is the *slack*: the width of the gate that
the fairness bound rests on. Without a slack (None) there is no gate and no bound.

One file each; a discipline of your own needs no registration, hand it to ``Policy``.
"""

from fairq.disciplines._dlpm import Dlpm
from fairq.disciplines._fcfs import Fcfs
from fairq.disciplines._lpm import Lpm
from fairq.disciplines._protocol import Discipline, TenantView, width
from fairq.disciplines._vtc import Vtc

__all__ = ["Discipline", "Dlpm", "Fcfs", "Lpm", "TenantView", "Vtc", "width"]
