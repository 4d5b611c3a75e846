"""Planted bugs in the plan of a whole job."""

from typing import Final

from fairq.offline._cuts import choose_cuts, members_of_cuts
from fairq.offline._planner import _groups, _sort
from fairq.offline._profile import Profile
from fairq.offline._trie import _close, _common, prefix_trie
from property_tests.mutants.patch import Mutant, edit, mutant

OFFLINE: Final[tuple[Mutant, ...]] = (
    mutant(
        "all but the first level is forgotten",
        "A longer prefix inside a shared one never gets a group.",
        edit(members_of_cuts, "above.depth < node.cut_below", "not above.depth"),
    ),
    mutant(
        "a group costs only its own edge",
        "What is above a prefix is thought to be computed already.",
        edit(
            choose_cuts,
            "node.cut_below = profile.offer_cut(node.depth)",
            "node.cut_below = profile.offer_cut(\n"
            "        node.depth - (node.parent.depth if node.parent else 0)\n"
            "    )",
        ),
    ),
    mutant(
        "a draw makes a group",
        "A prefix gets a group that saves nothing, of a single request at worst.",
        edit(members_of_cuts, "depth < node", "depth <= node"),
    ),
    mutant(
        "the step is lost",
        "A subtree is thought to save as much as the next longer prefix would.",
        edit(Profile._flatten, "if rest:", "if False:"),
    ),
    mutant(
        "it does not become flat",
        "A subtree that has a group is thought to want the prefix above it as well.",
        edit(Profile.offer_cut, "self._rises = kept", "pass"),
    ),
    mutant(
        "what is saved deeper counts",
        "Slopes beyond the end of a prefix are added to those of its parent.",
        edit(Profile.add, "if start < depth:", "if True:"),
    ),
    mutant(
        "equal prompts count once",
        "A prefix is thought to be used by fewer requests than end there.",
        edit(choose_cuts, "len(node.ends)", "min(1, len(node.ends))"),
    ),
    mutant(
        "the last token is shared",
        "Of a prompt that another one begins with, nothing is left to compute.",
        edit(prefix_trie, "(len(prompts[index]) - 1) //", "len(prompts[index]) //"),
    ),
    mutant(
        "a block less is shared",
        "Two prompts that differ in a block are not compared in the one before it.",
        edit(_common, "same, most = 0, most + 1", "same = 0"),
    ),
    mutant(
        "a fork is lost",
        "Prompts that differ hang from the shorter prefix above.",
        edit(_close, "if branch[-1].depth < depth:", "if False:"),
    ),
    mutant(
        "adapters share",
        "Requests with different adapters are in one group.",
        edit(_groups, "setdefault(request.adapter, [])", "setdefault(None, [])"),
    ),
    mutant(
        "the prefix counts for each",
        "Groups are put in order as if nothing were saved.",
        edit(_sort, " - group.saved_tokens", ""),
    ),
)
