"""What a backend owes: each sentence of the step protocol that it can break."""

from typing import Final

from fairq.testing._obligations import Obligation

SHAPE: Final = Obligation(
    "shape",
    "a backend has a capacity, a step and a close",
    "Give it the three members of fairq.SyncBackend or fairq.AsyncBackend; hand "
    "check_backend something that makes one, such as the class.",
)
CAPACITY: Final = Obligation(
    "capacity",
    "capacity is a fairq.Capacity that never changes",
    "Make it once, when the backend is made.",
)
RESULT: Final = Obligation(
    "result",
    "step returns a StepResult",
    "Return StepResult(plan.step_id, tokens). A step that awaits must be an "
    "'async def' itself: that is how the engine tells.",
)
STEP_ID: Final = Obligation(
    "step id",
    "a result carries the step_id of the plan that it answers",
    "Copy plan.step_id of this very plan; do not count steps, because the ids of "
    "failed steps are not used again.",
)
TOKENS: Final = Obligation(
    "tokens",
    "a result has one token for every member of decodes and for every chunk that "
    "samples, and for nobody else",
    "Compute plan.decodes and the chunks with samples=True; a chunk without it yields "
    "no token.",
)
GONE: Final = Obligation(
    "gone",
    "nothing is computed for a sequence that has left",
    "Forget everything about the sequences in plan.leave before you compute; they may "
    "have been cancelled or preempted, so ends of your own are not enough.",
)
TOKEN_IDS: Final = Obligation(
    "token ids",
    "a token is an integer in 0..2**31-1",
    "Convert what the device returns with int(), once, for the whole batch.",
)
STOPPED: Final = Obligation(
    "stopped",
    "stopped is a tuple of requests that have a token in the same result",
    "Name a request in the step that yields its last token, not in a later one.",
)
ELAPSED: Final = Obligation(
    "elapsed",
    "elapsed_ns is an integer of nanoseconds, >= 0",
    "Use time.perf_counter_ns(), or leave it out.",
)
KEPT: Final = Obligation(
    "kept",
    "a result does not change after it was returned",
    "Make a new StepResult with a new dict in each step: the kernel hands the mapping "
    "on and looks into it later.",
)
PLAN: Final = Obligation(
    "plan",
    "a plan is only read",
    "Copy what you want to change, Enter.sampling too.",
)
EXECUTED: Final = Obligation(
    "executed",
    "a plan that follows the protocol is executed",
    "Save the run below as bug.txt and call check_backend(MyBackend, "
    'scenario=Path("bug.txt")) under a debugger: its last plan is the one.',
)
ENDS: Final = Obligation(
    "ends",
    "a step ends",
    "Give what you wait for a time limit of its own and raise when it is over. If a "
    "step may take so long, pass a larger deadline_s.",
)
CHUNKED: Final = Obligation(
    "chunks",
    "a prompt gives the same tokens in however many chunks it is computed",
    "A chunk computes the positions start .. start + length - 1 and sees all before "
    "them; only the one with samples=True yields a token, from its last position.",
)
BATCHED: Final = Obligation(
    "batch",
    "a request gets the same tokens whoever is in the batch with it",
    "Look for what requests share: a table, a slot, a random state, an order, a block "
    "that one leaves and another grows by. If sampling is not reproducible, say "
    "deterministic=False.",
)
LEAVE_FIRST: Final = Obligation(
    "leave first",
    "leave is applied before grow and enter",
    "Go through plan.leave first: slots and blocks of those who leave may be given to "
    "others in the same plan.",
)
PREEMPTED: Final = Obligation(
    "preempted",
    "a request that was preempted goes on where it was",
    "Build its state from Enter alone: Enter.tokens has the prompt and the outputs so "
    "far, and none of its KV is left. Blocks of the victim may be in plan.grow of the "
    "same plan.",
)
CANCELLED: Final = Obligation(
    "cancelled",
    "requests that are cancelled do not disturb the others",
    "Treat everybody in plan.leave alike, whatever the phase it is in; those who stay "
    "keep their slots and blocks.",
)
FULL: Final = Obligation(
    "full",
    "everything that capacity promises can be used at once",
    "Slots are 0 .. max_sequences - 1, blocks 0 .. blocks - 1; allocate for all of "
    "them, or promise less.",
)
DRAINED: Final = Obligation(
    "drained",
    "a batch that has run empty can be filled again",
    "The leave of the last sequences comes with the next plan, maybe much later.",
)
REUSED: Final = Obligation(
    "reused",
    "slots, blocks and memory can be used again and again",
    "Release all that belongs to a sequence when it leaves; request ids only grow and "
    "are no index into anything.",
)
FAILED: Final = Obligation(
    "failed",
    "a step that raises leaves the backend as it was before the plan",
    "First check and compute, then change what you keep: the kernel repeats leave, "
    "grow and enter in its next plan. Blocks that the plan claimed may hold anything "
    "then; all others must hold what they did.",
)
SHARED: Final = Obligation(
    "shared",
    "a request gets the same tokens when a prefix of it is cached",
    "The first Enter.cached positions are computed: read them through the table, and "
    "begin at Chunk.start. What a full block holds must outlive the sequences that "
    "had it, until grow names the block, or an enter beyond its cached part; clear "
    "and write only these.",
)
PROVOKED: Final = Obligation(
    "provoked",
    "provoke(backend) makes the next step raise, and only that one",
    "Mend provoke: it is part of your test, not of the backend.",
)
ANSWERED: Final = Obligation(
    "answered",
    "a plan is answered once, and late answers change nothing",
    "Return from step once per plan, with a result that equals no other.",
)
CLOSED: Final = Obligation(
    "closed",
    "close is a plain function that releases everything, at any time between steps",
    "Let close() work right after the backend was made and with sequences in the "
    "batch. It is called once, by the engine, and by nobody else.",
)
SERVED: Final = Obligation(
    "served",
    "an engine can serve requests with it and be left at any moment",
    "See that step and close work in a thread that is not the one that made the "
    "backend, and that a coroutine step lets no cancellation out.",
)
REPEATED: Final = Obligation(
    "repeated",
    "the same plans give the same tokens each time",
    "Look for what outlives a backend: a global, a seed, a clock. If sampling is not "
    "reproducible, say deterministic=False.",
)

ALL: Final = (
    *(SHAPE, CAPACITY, RESULT, STEP_ID, TOKENS, GONE, TOKEN_IDS, STOPPED, ELAPSED),
    *(KEPT, PLAN, EXECUTED, ENDS, CHUNKED, BATCHED, LEAVE_FIRST, PREEMPTED, CANCELLED),
    *(FULL, DRAINED, REUSED, FAILED, SHARED, PROVOKED, ANSWERED, CLOSED, SERVED),
    REPEATED,
)
"""In the order in which the guide explains them."""
