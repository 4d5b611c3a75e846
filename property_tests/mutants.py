"""The planted bugs: what the suite must find, one by one."""

from typing import Final

from property_tests.mutants_answers import REPORTING
from property_tests.mutants_charges import CHARGING
from property_tests.mutants_memory import MEMORY
from property_tests.mutants_order import ORDERING
from property_tests.mutants_patch import Mutant

MUTANTS: Final[tuple[Mutant, ...]] = CHARGING + MEMORY + ORDERING + REPORTING
