"""What the simulated backend computes: tokens, sums, ends, faults, jitter."""

from random import Random  # noqa: TID251  # seeded in each test
from statistics import mean, stdev

import pytest

from fairq import (
    BackendError,
    Idle,
    Kernel,
    Order,
    Policy,
    PrefixCache,
    Request,
    RequestId,
    StepPlan,
    StepResult,
    SyncBackend,
    TokenIds,
    UsageError,
)
from fairq_backends.simulated import (
    VOCABULARY,
    ProtocolViolation,
    SimulatedBackend,
    SimulatedFault,
    load_presets,
    token_at,
    token_key,
)
from tests.backends._plans import Driver, chunk, enter, plan

PROMPT = [5, 6, 7]


def start(backend: SimulatedBackend, sampling: object = None) -> StepResult:
    """Request 0 enters, with one block, and its prompt is computed."""
    first = enter(0, PROMPT, [0], sampling=sampling)
    return backend.step(plan(0, enter=[first], chunks=[chunk(0, 0, 3)]))


def expected(position: int) -> int:
    return token_at(token_key(TokenIds(PROMPT)), position)


def driver(seed: int, backend: SimulatedBackend) -> Driver:
    return Driver(
        random=Random(seed),  # noqa: S311  # a test, no secret
        block_size=backend.block_size,
        free=list(range(backend.capacity.blocks)),
        slots=list(range(backend.capacity.max_sequences)),
    )


def test_it_is_a_backend() -> None:
    assert isinstance(SimulatedBackend(), SyncBackend)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_kept_up_by_changes_equals_a_count_from_scratch(seed: int) -> None:
    backend = SimulatedBackend(block_size=4, max_sequences=12, strict=True)
    model = load_presets()[backend.gpu].model
    random = driver(seed, backend)
    for _ in range(300):
        made, load = random.plan()
        result = backend.step(made)
        assert round(model.milliseconds(load) * 1e6) == result.elapsed_ns
        sampling = [c.request_id for c in made.chunks if c.samples]
        assert {*made.decodes, *sampling} == result.tokens.keys()
        for name, token in result.tokens.items():
            life = random.lives[name]
            key = token_key(TokenIds(life.prompt))
            assert token_at(key, life.known) == token
            assert (len(life.outputs) + 1 == 1 + 7 * name % 40) == (
                name in result.stopped
            )
        random.answer(made, result)
    assert random.born > 50


@pytest.mark.parametrize("shares", [True, False])
def test_nothing_is_kept_of_who_left_but_what_blocks_hold(*, shares: bool) -> None:
    backend = SimulatedBackend(
        kv_tokens=1600, block_size=4, max_sequences=12, prefix_cache=shares
    )
    random = driver(0, backend)
    for _ in range(100):
        made, _ = random.plan()
        random.answer(made, backend.step(made))
    backend.step(plan(random.steps, leave=[*random.lives, *random.leaving]))
    batch = backend._batch
    pool = batch.pool
    held = (batch.sequences, batch.phases, batch.slots, batch.over)
    kept = (pool.used, pool.more, batch.full, batch.ends)
    counts = [len(each) for each in (*held, *kept)]
    assert [0] * 9 == [*counts, batch.context]
    assert shares == bool(pool.fillers)
    assert len(pool.fillers) <= backend.capacity.blocks


def test_tokens_are_in_the_vocabulary_and_differ_by_position() -> None:
    tokens = [expected(position) for position in range(3, 1003)]
    assert len(tokens) == len(set(tokens))
    assert 0 <= min(tokens) <= max(tokens) < VOCABULARY


def test_tokens_differ_by_prompt() -> None:
    keys = {token_key(TokenIds([first, 1, 2])) for first in range(100)}
    assert len(keys) > 95


def test_tokens_depend_on_nothing_but_prompt_and_position() -> None:
    alone = SimulatedBackend(seed=1)
    tokens = [start(alone).tokens[RequestId(0)]]
    tokens += [
        alone.step(plan(step, decodes=[0])).tokens[RequestId(0)] for step in (1, 2)
    ]
    crowded = SimulatedBackend(gpu="a100-llama3-8b", seed=2, jitter=0.5, block_size=4)
    same = enter(9, PROMPT, [8], slot=3)
    crowded.step(
        plan(
            0,
            enter=[enter(4, range(9), [0, 1, 2]), same],
            chunks=[chunk(4, 0, 9), chunk(9, 0, 2, samples=False)],
        )
    )
    first = plan(1, chunks=[chunk(9, 2, 1)], decodes=[4])
    crowd = [crowded.step(first).tokens[RequestId(9)]]
    crowd.append(crowded.step(plan(2, decodes={4: 4, 9: 3})).tokens[RequestId(9)])
    crowded.step(plan(3, leave=[4, 9]))
    again = enter(9, PROMPT, [5, 6], slot=7, outputs=crowd)
    crowd.append(
        crowded.step(plan(4, enter=[again], chunks=[chunk(9, 0, 5)])).tokens[
            RequestId(9)
        ]
    )
    assert tokens == crowd
    assert [expected(position) for position in (3, 4, 5)] == tokens


def test_a_sequence_ends_with_its_nth_output_token() -> None:
    backend = SimulatedBackend()
    results = [start(backend, {"output_tokens": 3})]
    results += [backend.step(plan(step, decodes=[0])) for step in (1, 2)]
    assert [(), (), (0,)] == [result.stopped for result in results]


def test_a_sequence_of_one_token_ends_with_its_prompt() -> None:
    result = start(SimulatedBackend(), {"output_tokens": 1})
    assert result.stopped == (0,)
    assert {0: expected(3)} == result.tokens


def test_a_preempted_sequence_still_ends_with_its_nth_output_token() -> None:
    backend = SimulatedBackend(strict=True)
    sampling = {"output_tokens": 3}
    start(backend, sampling)
    backend.step(plan(1, leave=[0]))
    outputs = [expected(3)]
    again = enter(0, PROMPT, [1], outputs=outputs, sampling=sampling)
    second = backend.step(plan(2, enter=[again], chunks=[chunk(0, 0, 4)]))
    third = backend.step(plan(3, decodes=[0]))
    assert ((), (0,)) == (second.stopped, third.stopped)


@pytest.mark.parametrize("sampling", [None, {}])
def test_without_a_limit_a_sequence_goes_on(sampling: object) -> None:
    backend = SimulatedBackend()
    assert start(backend, sampling).stopped == ()
    assert backend.step(plan(1, decodes=[0])).stopped == ()


@pytest.mark.parametrize(
    "sampling",
    [
        {"output_tokens": 0},
        {"output_tokens": True},
        {"output_tokens": 2.0},
        {"output_tokens": None},
        {"output_tokens": 2, "temperature": 1.0},
        "greedy",
    ],
    ids=str,
)
def test_sampling_it_does_not_understand_fails_and_names_the_request(
    sampling: object,
) -> None:
    backend = SimulatedBackend()
    with pytest.raises(BackendError, match="Request 0: sampling must be") as caught:
        start(backend, sampling)
    assert (caught.value.backend, caught.value.step_id) == ("simulated", 0)
    assert {0: expected(3)} == start(backend).tokens


def test_a_fault_leaves_the_backend_as_before_the_plan() -> None:
    calm = SimulatedBackend(block_size=4, max_sequences=12)
    shaky = SimulatedBackend(block_size=4, max_sequences=12, fault_rate=0.5)
    random = driver(3, calm)
    faults = 0
    for _ in range(100):
        made, _ = random.plan()
        result = calm.step(made)
        while (again := answer_of(shaky, made)) is None:
            faults += 1
        assert result == again
        random.answer(made, result)
    assert 60 < faults < 150  # a geometric number of faults per step, mean 1


def test_the_same_seed_gives_the_same_weather() -> None:
    assert weather(seed=7) == weather(seed=7)
    assert weather(seed=7) != weather(seed=8)


def test_faults_do_not_shift_the_jitter() -> None:
    calm = SimulatedBackend(jitter=0.2)
    shaky = SimulatedBackend(jitter=0.2, fault_rate=0.5)
    calm_times = [calm.step(plan(step)).elapsed_ns for step in range(50)]
    shaky_times = [time for time in times(shaky, 300) if time is not None][:50]
    assert calm_times == shaky_times


def test_jitter_spreads_the_time_around_its_mean() -> None:
    ns = [time for time in times(SimulatedBackend(jitter=0.2), 4000) if time]
    assert pytest.approx(1e6, rel=0.02) == mean(ns)
    assert pytest.approx(0.2e6, rel=0.1) == stdev(ns)


def test_without_a_rate_there_is_no_fault_and_no_jitter() -> None:
    assert [1_000_000] * 100 == times(SimulatedBackend(seed=5), 100)


def test_a_rate_of_one_fails_every_step() -> None:
    assert [None] * 20 == times(SimulatedBackend(fault_rate=1), 20)


def weather(seed: int) -> list[int | None]:
    return times(SimulatedBackend(seed=seed, jitter=0.1, fault_rate=0.3), 50)


def times(backend: SimulatedBackend, steps: int) -> list[int | None]:
    """What empty steps took; None where one failed."""
    answers = [answer_of(backend, plan(step)) for step in range(steps)]
    return [None if each is None else each.elapsed_ns for each in answers]


def answer_of(backend: SimulatedBackend, plan: StepPlan) -> StepResult | None:
    try:
        return backend.step(plan)
    except SimulatedFault:
        return None


def test_the_kernel_keeps_the_protocol_through_faults_and_preemptions() -> None:
    backend = SimulatedBackend(
        kv_tokens=640, max_sequences=12, fault_rate=0.1, jitter=0.2, strict=True
    )
    kernel = Kernel(backend.capacity)
    for number in range(80):
        sampling = {"output_tokens": 1 + 13 * number % 90}
        prompt = range(1 + 29 * number % 120)
        tenant = f"tenant {number % 5}"
        request = Request(
            tenant=tenant, prompt=prompt, max_tokens=60, sampling=sampling
        )
        kernel.submit(request)
    finished = serve(kernel, backend)
    lengths = {number: min(60, 1 + 13 * number % 90) for number in range(80)}
    assert lengths == dict(sorted(finished.items()))
    assert kernel.snapshot().preemptions > 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("order", [Order.FIFO, Order.PREFIX])
def test_the_kernel_shares_only_what_the_blocks_hold(seed: int, order: Order) -> None:
    backend = SimulatedBackend(
        kv_tokens=320, block_size=4, max_sequences=12, fault_rate=0.1, strict=True
    )
    policy = Policy(
        order=order, token_budget=48, prefix_cache=PrefixCache(everybody=True)
    )
    kernel = Kernel(backend.capacity, policy)
    random = Random(seed)  # noqa: S311  # a test, no secret
    finished: dict[int, int] = {}
    names: dict[int, int] = {}
    for _ in range(12):
        for _ in range(10):
            # Texts that part from one another at some place, and may go on alone.
            common = [random.randrange(2)] * random.randrange(80)
            prompt = [1, *common, *range(random.randrange(1, 9))]
            output = random.randrange(1, 60)
            request = Request(
                tenant=f"tenant {random.randrange(4)}",
                prompt=prompt,
                max_tokens=60,
                sampling={"output_tokens": output},
            )
            names[kernel.submit(request)] = output
        finished |= serve(kernel, backend)
    assert names == dict(sorted(finished.items()))
    snapshot = kernel.snapshot()
    assert snapshot.preemptions > 0
    assert snapshot.cached_tokens > 1000


def serve(kernel: Kernel, backend: SimulatedBackend) -> dict[int, int]:
    """Run until nothing is left; the output tokens of each request."""
    finished: dict[int, int] = {}
    while isinstance(made := kernel.plan(), StepPlan):
        result = answer_of(backend, made)
        events = kernel.commit(result) if result else kernel.fail(made.step_id)
        finished |= {each.request_id: each.output_tokens for each in events.finished}
    assert made is Idle.NO_WORK
    return finished


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"kv_tokens": 15}, "kv_tokens must be an integer >= 16"),
        ({"kv_tokens": 1e6}, "kv_tokens"),
        ({"block_size": 0}, "block_size"),
        ({"max_sequences": 0}, "max_sequences"),
        ({"tokens_per_step": 0}, "tokens_per_step"),
        ({"seed": 1.5}, "seed"),
        ({"seed": True}, "seed"),
        ({"jitter": -0.1}, "jitter"),
        ({"jitter": float("nan")}, "jitter"),
        ({"jitter": float("inf")}, r"jitter must be a number in 0\.\.10"),
        ({"fault_rate": 1.1}, r"fault_rate must be a number in 0\.\.1"),
        ({"fault_rate": "often"}, "fault_rate"),
    ],
    ids=str,
)
def test_an_option_out_of_bounds_is_named(options: dict[str, int], field: str) -> None:
    with pytest.raises(UsageError, match=field):
        SimulatedBackend(**options)  # type: ignore[arg-type]  # wrong on purpose


def test_the_pool_is_rounded_down_to_whole_blocks() -> None:
    assert SimulatedBackend(kv_tokens=100, block_size=16).capacity.blocks == 6


def test_a_step_after_close_is_an_error() -> None:
    backend = SimulatedBackend()
    backend.close()
    with pytest.raises(ProtocolViolation, match="after close"):
        start(backend)
