"""Planning a whole job at once: which requests share which prefix, in which order.

For jobs whose requests are all known before the first one runs. ``plan_offline`` finds
the groups that save most prompt work and puts them in order; it computes nothing else
and knows nothing of a kernel, so what it returns can be fed to one in any way.
"""

from fairq.offline._group import OfflineGroup
from fairq.offline._plan import OfflinePlan
from fairq.offline._planner import plan_offline

__all__ = ["OfflineGroup", "OfflinePlan", "plan_offline"]
