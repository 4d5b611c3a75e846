"""Planted bugs in what goes first inside the gate, and in the cap on commitments."""

from fairq.disciplines import Dlpm
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._newcomers import Newcomers
from fairq.kernel._ranks import _by_prefix, _by_ratio, _by_work, _outputs
from fairq.kernel._tenant import Tenant
from property_tests.mutants.patch import Mutant, edit, mutant

RANKS: tuple[Mutant, ...] = (
    mutant(
        "the shortest prefix goes first",
        "What is cached is left to be evicted.",
        edit(_by_prefix, "-choice", "choice"),
    ),
    mutant(
        "the longest goes first",
        "Short requests wait for long ones.",
        edit(_by_work, "return ", "return -"),
    ),
    mutant(
        "decode-heavy is prompt-heavy",
        "Requests with little output for their prompt go first.",
        edit(_by_ratio, "-FINE", "FINE"),
    ),
    mutant(
        "what it may produce does not count",
        "A long answer to a short question passes for short.",
        edit(_outputs, "choice.sequence.request.max_tokens - ", "1 + 0 * "),
    ),
)

CHOOSING: tuple[Mutant, ...] = (
    mutant(
        "patience has no end",
        "The oldest request of a tenant can be passed for ever.",
        edit(Newcomers._preferred, "tenant.passing >= self._keeper.patience", "False"),
    ),
    mutant(
        "one more may pass",
        "The oldest is passed by one more than it has patience for.",
        edit(Newcomers._preferred, "tenant.passing >= ", "tenant.passing > "),
    ),
    mutant(
        "who passes is not counted",
        "Patience begins anew with each plan.",
        edit(Lifecycle.admit, "tenant.passed += 1", "pass"),
    ),
    mutant(
        "patience is that of the tenant",
        "Who becomes the oldest has been passed by all that passed the one before.",
        edit(Lifecycle._unqueue, "tenant.passed = 0", "pass"),
    ),
    mutant(
        "those of one plan pass unseen",
        "Many may pass the oldest at once.",
        edit(Tenant.passing, "before + sum(", "before + 0 * sum("),
    ),
    mutant(
        "nobody goes ahead",
        "Tenants inside the gate are served by turn whatever the order.",
        edit(
            Newcomers._open_gate,
            "return 0 if lowest is None else lowest + self._width",
            "return 0 if lowest is None else lowest",
        ),
    ),
    mutant(
        "beyond the gate",
        "Somebody goes ahead who is twice as far behind as is allowed.",
        edit(
            Newcomers._open_gate,
            "if turn(tenant) > lowest + self._width or",
            "if turn(tenant) > lowest + 2 * self._width or",
            "return 0 if lowest is None else lowest + self._width",
            "return 0 if lowest is None else lowest + 2 * self._width",
        ),
    ),
    mutant(
        "of equals the newer goes first",
        "Two requests of one rank and turn are served in the wrong order.",
        edit(
            Newcomers._best, "turn, choice.sequence.id)", "turn, -choice.sequence.id)"
        ),
    ),
    mutant(
        "a round is half as long",
        "Others go ahead for half a quantum only.",
        edit(
            Dlpm.turn, "round(SCALE * self.quantum)", "round(SCALE * self.quantum / 2)"
        ),
    ),
)

CAP: tuple[Mutant, ...] = (
    mutant(
        "the cap is twice as high",
        "A tenant is committed to more than it may be.",
        edit(Newcomers._is_capped, "> cap", "> 2 * cap"),
    ),
    mutant(
        "the cap forgets the draft",
        "Outputs of those who enter together are not added up.",
        edit(Newcomers._is_capped, "+ tenant.pending_outputs", ""),
    ),
    mutant(
        "the cap forgets prompts",
        "Only outputs are a commitment.",
        edit(Newcomers._is_capped, "return prompts + ", "return "),
    ),
    mutant(
        "a request above the cap never runs",
        "A tenant without members may not have one that is too large.",
        edit(
            Newcomers._is_capped,
            " or not (tenant.running or tenant.has_drawn)",
            "",
        ),
    ),
)

INSIDE: tuple[Mutant, ...] = RANKS + CHOOSING + CAP
