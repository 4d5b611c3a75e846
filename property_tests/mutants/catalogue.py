"""The planted bugs: what the suite must find, one by one."""

from typing import Final

from property_tests.mutants.answers import REPORTING
from property_tests.mutants.charges import CHARGING
from property_tests.mutants.inside import INSIDE
from property_tests.mutants.memory import MEMORY
from property_tests.mutants.order import ORDERING
from property_tests.mutants.patch import Mutant

MUTANTS: Final[tuple[Mutant, ...]] = CHARGING + MEMORY + ORDERING + INSIDE + REPORTING
