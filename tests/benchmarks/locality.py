"""What locality buys and costs: ``python tests/benchmarks/locality.py [--quick]``.

Replays in virtual time, with the cache on: the micro-benchmark of BatchLLM (offline
too), the conversation trace of Mooncake (``--mooncake FILE``) and agent sessions
(``--agents FILE``), under FCFS, LPM, VTC, DLPM and the gate at several widths. A table
of hit rate, throughput, largest gap against its bound, and how long the coldest wait.
``--json OUT`` writes the rows, ``--plot OUT`` draws throughput against Q. Where a file
is not given, that part is left out, and the output says so.

The numbers are exact: the same trace gives the same rows on every machine.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from fairq import (
    Admission,
    Dlpm,
    Fcfs,
    Lpm,
    Order,
    Policy,
    PrefixCache,
    Vtc,
)
from fairq.sim import Trace, coldest, plan_trace, prefix_groups, read_trace, simulate
from fairq_backends.simulated import SimulatedBackend

GPU = "h200-llama3-8b"
WIDTHS = (0, 10_000, 50_000, 100_000, 200_000, 500_000)
"""Of the gate, in service units per unit of weight."""
TENANTS = 27
TEAMS = 16


@attrs.frozen(kw_only=True)
class Row:
    """One replay."""

    workload: str
    policy: str
    width: float | None
    hit_rate: float
    tokens_per_s: float
    makespan_s: float
    largest_gap: float
    bound: float | None
    cold_p99_s: float | None
    preemptions: int | None
    seconds: float
    """Of real time, to replay it."""


@attrs.frozen(kw_only=True)
class Load:
    """A trace on a machine."""

    name: str
    trace: Trace
    machine: Mapping[str, Any]
    everybody: bool
    weights: Mapping[str, float] = attrs.field(factory=dict)


def policies() -> Iterator[tuple[str, float | None, dict[str, Any]]]:
    """Name, width and fields of the policies that are compared."""
    prefix = Order.PREFIX
    yield "fcfs", None, {"discipline": Fcfs()}
    yield "lpm", None, {"discipline": Lpm(), "order": prefix}
    yield "vtc", None, {"discipline": Vtc()}
    yield "dlpm:50000", 50_000, {"discipline": Dlpm(50_000), "order": prefix}
    yield "dlpm:200000", 200_000, {"discipline": Dlpm(200_000), "order": prefix}
    for width in WIDTHS:
        yield f"gate:{width}", width, {"discipline": Vtc(width), "order": prefix}


def replay(
    load: Load, name: str, width: float | None, fields: Mapping[str, Any]
) -> Row:
    policy = Policy(
        prefix_cache=PrefixCache(everybody=load.everybody),
        weights=load.weights,
        max_waiting=None,
        max_waiting_per_tenant=None,
        **fields,
    )
    begin = time.perf_counter()
    run = simulate(load.trace, SimulatedBackend(**load.machine), policy)
    return Row(
        workload=load.name,
        policy=name,
        width=width,
        hit_rate=run.totals.hit_rate,
        tokens_per_s=run.totals.tokens_per_s,
        makespan_s=run.totals.makespan_s,
        largest_gap=run.largest_gap,
        bound=run.bound,
        cold_p99_s=coldest(run.records).first_token_p99_s,
        preemptions=run.totals.preemptions,
        seconds=time.perf_counter() - begin,
    )


# --- the loads ------------------------------------------------------------------------


def micro(groups: int, members: int, gpu: str, kv_tokens: int) -> Iterator[Row]:
    """All requests at once: first come, first served, by prefix, and planned."""
    trace = prefix_groups(groups, members)
    machine = {"gpu": gpu, "kv_tokens": kv_tokens}
    name = f"{groups} x {members}, {gpu}, {kv_tokens:,} tokens"
    load = Load(name=name, trace=trace, machine=machine, everybody=True)
    yield replay(load, "fcfs", None, {"discipline": Fcfs()})
    yield replay(load, "lpm", None, {"discipline": Lpm(), "order": Order.PREFIX})
    yield offline(load)


def offline(load: Load) -> Row:
    """The same requests in the order that was planned for all of them together."""
    capacity = SimulatedBackend(**load.machine).capacity
    planned = plan_trace(
        load.trace,
        block_size=capacity.block_size,
        pool_tokens=capacity.blocks * capacity.block_size,
    )
    machine = {**load.machine, "max_sequences": capacity.blocks}
    load = attrs.evolve(load, trace=planned.trace, machine=machine)
    fields = {"discipline": Fcfs(), "admission": Admission.RESERVE}
    return replay(load, "offline", None, fields)


def mooncake(path: Path, jobs: int) -> Load:
    """Conversations, at the recorded times: about twice what the machine can do."""
    trace = read_trace(path, tenants=TENANTS)
    weights = {
        f"tenant-{number:02}": TENANTS / (number + 1) for number in range(TENANTS)
    }
    trace = Trace(trace.name, trace.jobs[:jobs])
    here = {job.client for job in trace.jobs}
    return Load(
        name=f"mooncake, {len(trace.jobs):,} requests",
        trace=trace,
        machine={"gpu": GPU},
        everybody=True,
        weights={name: weight for name, weight in weights.items() if name in here},
    )


def agents(path: Path, sessions: int) -> Load:
    """Agent sessions in a closed loop; lengths by 8, pauses of at most 30 s.

    A tenant has every 16th session, as a team has many agents.
    """
    trace = read_trace(path, divide_lengths=8, longest_pause_s=30.0)
    names = list(dict.fromkeys(job.client for job in trace.jobs))[:sessions]
    kept = dict.fromkeys(names)
    places = [n for n, job in enumerate(trace.jobs) if job.client in kept]
    moved = {old: new for new, old in enumerate(places)}
    jobs = []
    for place in places:
        job = trace.jobs[place]
        after = None if job.after is None else moved[job.after]
        client = f"team-{names.index(job.client) % TEAMS:02}"
        jobs.append(attrs.evolve(job, after=after, client=client))
    return Load(
        name=f"agents, {len(names)} sessions, {len(jobs):,} calls",
        trace=Trace(trace.name, tuple(jobs)),
        machine={"gpu": "h100-llama3-8b"},
        everybody=False,
    )


# --- output ---------------------------------------------------------------------------


def rows(options: argparse.Namespace) -> Iterator[Row]:
    quick = options.quick
    for groups, members, gpu, pool in (
        (400, 16, "a100-llama3-8b", 430_000),
        (400, 16, "h100-llama3-8b", 200_000),
        (1600, 4, GPU, 880_000),
    ):
        scale = 10 if quick else 1
        yield from micro(groups // scale, members, gpu, pool // scale)
    loads = []
    if options.mooncake is not None:
        loads.append(mooncake(options.mooncake, 400 if quick else options.jobs))
    if options.agents is not None:
        counts = [20] if quick else options.sessions
        loads += [agents(options.agents, count) for count in counts]
    for load in loads:
        for name, width, fields in policies():
            yield replay(load, name, width, fields)


def show(row: Row, width: int) -> None:
    bound = "" if row.bound is None else f"{row.bound:,.0f}"
    cold = "" if row.cold_p99_s is None else f"{row.cold_p99_s:.1f}"
    print(
        f"{row.workload:<{width}}  {row.policy:<12}{row.hit_rate:>8.3f}"
        f"{row.tokens_per_s:>10,.0f}{row.makespan_s:>10,.0f}{row.largest_gap:>12,.0f}"
        f"{bound:>12}{cold:>10}{row.seconds:>9.1f}",
        flush=True,
    )


def draw(path: Path, done: list[Row]) -> None:
    """Throughput against the width of the gate, and the bound, for each load."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    loads = [row.workload for row in done if row.policy.startswith("gate")]
    names = list(dict.fromkeys(loads))
    figure = Figure(figsize=(6.4 * len(names), 7.2), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(names), squeeze=False, sharex=True)
    for column, name in enumerate(names):
        mine = [row for row in done if row.workload == name]
        gate = [row for row in mine if row.policy.startswith("gate")]
        above, below = axes[0][column], axes[1][column]
        widths = [row.width or 0 for row in gate]
        above.plot(widths, [row.tokens_per_s for row in gate], "o-", label="gate(Q)")
        dlpm = [row for row in mine if row.policy.startswith("dlpm")]
        places = [row.width or 0 for row in dlpm]
        above.plot(places, [row.tokens_per_s for row in dlpm], "s", label="dlpm(Q)")
        for policy, style in (("lpm", "--"), ("vtc", "-."), ("fcfs", ":")):
            level = next(row for row in mine if row.policy == policy)
            above.axhline(level.tokens_per_s, color="0.4", ls=style, label=policy)
            below.axhline(level.largest_gap, color="0.4", ls=style)
        below.plot(widths, [row.bound or 0 for row in gate], "k-", label="bound")
        below.plot(widths, [row.largest_gap for row in gate], "o-", label="largest gap")
        above.set_title(name)
        below.set_xlabel("Q (service units per weight)")
        below.set_yscale("log")
    axes[0][0].set_ylabel("tokens per second")
    axes[1][0].set_ylabel("gap (service units per weight)")
    axes[0][0].legend()
    axes[1][0].legend()
    figure.savefig(path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mooncake", type=Path, help="the conversation trace")
    parser.add_argument("--agents", type=Path, help="the agent sessions")
    parser.add_argument("--jobs", type=int, default=4000, help="of Mooncake")
    parser.add_argument(
        "--sessions", type=int, nargs="+", default=[60, 100], help="of the agents"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--plot", type=Path, help="draw the picture here")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    for name in ("mooncake", "agents"):
        if getattr(options, name) is None:
            print(f"--{name} was not given: that part is left out.")
    heads = "  policy            hit  tokens/s  makespan         gap       bound"
    print(f"{'workload':<44}{heads}  cold p99  seconds")
    done = []
    for row in rows(options):
        show(row, 44)
        done.append(row)
    if options.json is not None:
        options.json.write_text(
            json.dumps([attrs.asdict(row) for row in done], indent=1) + "\n"
        )
    if options.plot is not None:
        draw(options.plot, done)


if __name__ == "__main__":
    main()
