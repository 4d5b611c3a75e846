"""Planted bugs in prefix sharing: the tree, tables, groups, who waits, who pays."""

from typing import Final

from fairq.kernel._counters import VirtualCounters
from fairq.kernel._draft import Draft
from fairq.kernel._groups import _part, _split, shared_prefixes
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._newcomers import Newcomers
from fairq.kernel._node import Hit
from fairq.kernel._pins import Pins
from fairq.kernel._prefixes import PrefixTree
from fairq.kernel._tables import Tables
from fairq.prefix_cache import PrefixCache
from property_tests.mutants.patch import Mutant, edit, mutant

TREE: Final[tuple[Mutant, ...]] = (
    mutant(
        "blocks are found before they are computed",
        "Somebody enters with blocks that hold nothing yet.",
        edit(PrefixTree.find, "if child.ready < same:", "if False:"),
    ),
    mutant(
        "a search that ended is never repeated",
        "Who waits does not see what has come into the cache meanwhile.",
        edit(Hit.holds, "self.node.version == self.version", "True"),
    ),
    mutant(
        "an old search is believed",
        "Who waits is given blocks that have been evicted.",
        edit(Hit.holds, "self.node.alive and", ""),
    ),
    mutant(
        "the half of an edge is the whole",
        "Two texts that part inside an edge are taken for one.",
        edit(PrefixTree._common, "high = middle - 1", "low = high"),
    ),
    mutant(
        "what is found counts as held",
        "A hit that nobody holds takes nothing from what is available.",
        edit(
            PrefixTree.unlocked,
            "while node is not None and not node.locks",
            "while False",
        ),
    ),
    mutant(
        "whoever left first is forgotten",
        "Eviction does not know which end was released last.",
        edit(PrefixTree.unlock, "leaf.used = self._releases", "pass"),
    ),
    mutant(
        "a tail is used with its beginning",
        "A text that ends inside an edge makes all of the edge recent.",
        edit(
            PrefixTree.insert,
            "if same < len(child.blocks):",
            "if same < len(child.blocks) and child.start + same < end:",
        ),
    ),
    mutant(
        "eviction begins at the front",
        "Of an edge the first blocks go, and the rest cannot be found any more.",
        edit(
            PrefixTree.evict,
            "gone += reversed(node.blocks[keep:])",
            "gone += node.blocks[: len(node.blocks) - keep]",
        ),
    ),
    mutant(
        "a split is ready",
        "When an edge is cut, what is not computed counts as computed.",
        edit(
            PrefixTree._split,
            "node.ready = max(0, node.ready - count)",
            "node.ready = len(node.blocks)",
        ),
    ),
)

TABLES: Final[tuple[Mutant, ...]] = (
    mutant(
        "nothing is left to compute",
        "Who finds all of its text has nothing to sample from.",
        edit(Tables._search, "(sequence.known - 1)", "sequence.known"),
    ),
    mutant(
        "it takes before it holds",
        "A request evicts what it has found to make room for the rest.",
        edit(
            Tables.grant,
            "node = tree.lock(hit)\n    fresh = self._ledger.take(blocks - depth)",
            "fresh = self._ledger.take(blocks - depth)\n    node = tree.lock(hit)",
        ),
    ),
    mutant(
        "a block that is not full is shared",
        "The last block of who leaves is found by others.",
        edit(
            Tables.release,
            "computed // self._ledger.size",
            "-(-computed // self._ledger.size)",
        ),
    ),
    mutant(
        "outputs are not kept",
        "Of who leaves only the prompt can be found.",
        edit(
            Tables.release,
            "computed // self._ledger.size",
            "min(computed, sequence.prompt_length) // self._ledger.size",
        ),
    ),
    mutant(
        "adapters share",
        "KV that one adapter computed is read by another.",
        edit(
            PrefixCache.namespace,
            '("tenant", tenant, adapter)',
            '("tenant", tenant)',
        ),
    ),
    mutant(
        "a group is a tenant",
        "A tenant that is called like a group reads its cache.",
        edit(PrefixCache.namespace, '"group", group', '"tenant", group'),
    ),
    mutant(
        "pins hold nothing",
        "What is pinned is evicted like anything else.",
        edit(Pins.pin, "self.ledger.tree.lock(hit)", "hit.node"),
    ),
)

GROUPS: Final[tuple[Mutant, ...]] = (
    mutant(
        "nobody waits for a leader",
        "Everybody computes the same prefix at the same time.",
        edit(Newcomers._hold_back, "if hit.coming is None:", "if True:"),
    ),
    mutant(
        "a plan too long",
        "A request waits for a leader once more than it may.",
        edit(Newcomers._hold_back, ">= self._keeper", "> self._keeper"),
    ),
    mutant(
        "a run that its leader has left",
        "Who computed a prefix is named with it, whatever its table begins with now.",
        edit(shared_prefixes, "if end == node.blocks[-1:] else []", "if True else []"),
    ),
)

PAYING: Final[tuple[Mutant, ...]] = (
    mutant(
        "a leader pays nothing",
        "The charge is split over those who waited, and not over all.",
        edit(_part, "(1 + sum(", "(0 + sum("),
    ),
    mutant(
        "a leader is paid twice",
        "Each time that somebody enters the whole charge is split again.",
        edit(_split, "leader.has_shared |= part > 0", "pass"),
    ),
    mutant(
        "a leader is paid for what it found",
        "Others take over a charge that nobody has borne.",
        edit(_split, "min(_common(leader, it), spent)", "_common(leader, it)"),
    ),
    mutant(
        "a share is charged twice",
        "Who takes it over pays, and who computed it has paid too.",
        edit(VirtualCounters.share, "payer.prompt_tokens -= positions", "pass"),
    ),
    mutant(
        "a shortfall is not measured",
        "The bound knows nothing of leaders that have fallen behind.",
        edit(
            VirtualCounters.share,
            "max(self.largest_shortfall, shortfall)",
            "self.largest_shortfall",
        ),
    ),
    mutant(
        "what is taken over is no commitment",
        "The bound knows nothing of shares that somebody bears.",
        edit(Draft._apply_admissions, "tenant.prompt_price * share.tokens", "0"),
    ),
    mutant(
        "what is found is no commitment",
        "The bound knows nothing of the price of what was found.",
        edit(
            Newcomers._try,
            "self._draft.admit(sequence, grant, charge)",
            "self._draft.admit(sequence, grant, tenant.prompt_price * unpaid)",
        ),
    ),
    mutant(
        "found again, paid again",
        "Who comes back pays for what it finds as if it were new.",
        edit(
            Lifecycle._settle_cached,
            "sequence.found_positions(cached)",
            "min(cached, sequence.prompt_length)",
        ),
    ),
)

PREFIXES: Final[tuple[Mutant, ...]] = TREE + TABLES + GROUPS + PAYING
"""Planted bugs: what the properties of prefix sharing must find, one by one."""
