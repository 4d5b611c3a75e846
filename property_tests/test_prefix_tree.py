"""The prefix tree holds what a list of all its entries holds, and evicts as it would.

The list has one entry per block, found by its whole text; it knows nothing of edges.
"""

from hypothesis import settings

from property_tests.prefixes.tables_machine import TablesMachine

TablesMachine.TestCase.settings = settings(
    max_examples=settings().max_examples, stateful_step_count=40
)
TestTables = TablesMachine.TestCase
