"""Planted bugs in what is answered, reported and checked."""

from fairq.kernel._answer import _check_stopped, check_answer
from fairq.kernel._audit import _counters, _sequence
from fairq.kernel._audit_blocks import _conservation
from fairq.kernel._kernel import Kernel
from fairq.kernel._limits import check_queue
from fairq.kernel._report import _tenant, take_snapshot
from property_tests.mutants.patch import Mutant, edit, mutant

ANSWERS: tuple[Mutant, ...] = (
    mutant(
        "a token too many is accepted",
        "An answer may name strangers.",
        edit(check_answer, "len(tokens) != len(d", "len(tokens) < len(d"),
    ),
    mutant(
        "a missing first token is accepted",
        "An answer need not have a token for each chunk that samples.",
        edit(
            check_answer,
            "or not all(request_id in tokens for request_id in sampling)",
            "",
        ),
    ),
    mutant(
        "strangers can be stopped",
        "A sequence without a token in the step can end by it.",
        edit(_check_stopped, "if unknown:", "if False:"),
    ),
    mutant(
        "stops are ignored",
        "A sequence that the backend stopped goes on.",
        edit(Kernel._finish, "reasons.update(", "dict("),
    ),
    mutant(
        "stops count as lengths",
        "A sequence that the backend stopped is reported with the wrong reason.",
        edit(Kernel._finish, "FinishReason.STOP", "FinishReason.LENGTH"),
    ),
    mutant(
        "cancelled twice",
        "A request is reported as finished again.",
        edit(Kernel.cancel, "or request_id in self._cancelled", ""),
    ),
    mutant(
        "cancelled and finished",
        "A cancelled request that ends in the step is reported again.",
        edit(
            Kernel._finish,
            "self._cancelled.pop(request_id, None) is None",
            "self._cancelled.pop(request_id, None) or True",
        ),
    ),
    mutant(
        "cancelled and preempted",
        "A victim that nobody wants any more is reported.",
        edit(Kernel._preempted, "if sequence.id not in self._cancelled", ""),
    ),
    mutant(
        "cancelled and still there",
        "A request cancelled during a step that fails runs on.",
        edit(Kernel.fail, "    self._end_cancelled()\n", ""),
    ),
    mutant(
        "given up too soon",
        "One failed step less than allowed.",
        edit(Kernel._count_failures, "count > self", "count >= self"),
    ),
    mutant(
        "given up too late",
        "One failed step more than allowed.",
        edit(Kernel._count_failures, "count > self", "count > 1 + self"),
    ),
    mutant(
        "failures are never forgiven",
        "Failed steps count although others succeeded between them.",
        edit(Kernel._forgive, "self._failures.pop(request_id, None)", "pass"),
    ),
    mutant(
        "failures of the dead are kept",
        "The kernel grows with everybody who ever failed.",
        edit(Kernel._end, "self._failures.pop(sequence.id, None)", "pass"),
    ),
    mutant(
        "the id of a failed step is used again",
        "A late answer to it would pass for that of its successor.",
        edit(
            Kernel.fail,
            "    self._draft = None\n",
            "    self._draft = None\n    self._next_step -= 1\n",
        ),
    ),
    mutant(
        "who arrived during a failure is left out",
        "A request that came while a step failed waits without turns.",
        edit(Kernel.fail, "    self._life.answered()\n", ""),
    ),
    mutant(
        "refused and queued",
        "A request is rejected after it was queued.",
        edit(
            Kernel.submit,
            "    self._check_queues(request.tenant)\n",
            "",
            "    return request_id\n",
            "    self._check_queues(request.tenant)\n    return request_id\n",
        ),
    ),
    mutant(
        "a queue takes one more",
        "A queue is refused only when it is longer than it may be.",
        edit(check_queue, "waiting >= limit", "waiting > limit"),
    ),
    mutant(
        "time runs backwards",
        "A time before the latest one counts.",
        edit(Kernel.plan, "max(self._now_ns, now_ns)", "now_ns"),
    ),
)

REPORTS: tuple[Mutant, ...] = (
    mutant(
        "the snapshot exchanges queue and batch",
        "Requests of a tenant that run are reported as waiting.",
        edit(_tenant, "waiting=len(tenant.waiting)", "waiting=len(tenant.running)"),
    ),
    mutant(
        "the snapshot counts prompts ahead",
        "Prompts count as computed when they are charged.",
        edit(_tenant, "tenant.prompt_tokens - tenant.prepaid", "tenant.prompt_tokens"),
    ),
    mutant(
        "the newest waits longest",
        "The wait of the newest request is reported as that of the oldest.",
        edit(
            _tenant,
            "next(iter(tenant.waiting.values()), None)",
            "next(reversed(tenant.waiting.values()), None)",
        ),
    ),
    mutant(
        "the snapshot counts a block too many",
        "The pool looks less full than it is.",
        edit(take_snapshot, "life.ledger.free,", "life.ledger.free + 1,"),
    ),
    mutant(
        "the snapshot iterates over a set",
        "Tenants are reported in the order of the hashes of their names.",
        edit(
            take_snapshot,
            "life.counters.tenants.values()",
            "life.counters.tenants\n"
            "    tenants = [tenants[name] for name in {*tenants}]",
        ),
    ),
    mutant(
        "the check misses lost blocks",
        "Nobody notices a leak.",
        edit(
            _conservation,
            "sorted(holders) != list(range(life.ledger.total))",
            "False",
        ),
    ),
    mutant(
        "the check misses blocks held twice",
        "Nobody notices that two sequences share a block.",
        edit(_conservation, "if block in holders:", "if False:"),
    ),
    mutant(
        "the check misses wrong charges",
        "Nobody notices a prompt that runs and was not charged.",
        edit(
            _sequence,
            "if sequence.unpaid and sequence.phase is not Phase.WAITING:",
            "if False:",
        ),
    ),
    mutant(
        "the check misses forgotten tenants",
        "Nobody notices that a tenant with requests is gone.",
        edit(_counters, "is not sequence.tenant", "is None and False"),
    ),
)

REPORTING: tuple[Mutant, ...] = ANSWERS + REPORTS
