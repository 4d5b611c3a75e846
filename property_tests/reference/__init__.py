"""The kernel once more, the slowest obvious way.

Written from the documentation and from definitions; it shares no code with fairq and
knows none of its types. Everything is found by going through all of it, counters are
fractions, and a step is decided without changing anything. Where the documentation says
too little to write it down, the comment says what was taken from where.
"""

from property_tests.reference.kernel import KernelModel
from property_tests.reference.rules import Rules

__all__ = ["KernelModel", "Rules"]
