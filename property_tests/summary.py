"""The tables of ``python -m property_tests``, and the same as plain data."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.table import Table

from property_tests.peers import rows
from property_tests.record import Proof, Record
from property_tests.suite import Watcher


def summary(profile: str, watcher: Watcher, record: Record) -> dict[str, Any]:
    """Everything that was seen, for a file."""
    ratios = {
        name: None if ratio is None else round(float(ratio), 4)
        for name, ratio in in_order(record)
    }
    return {
        "profile": profile,
        "complete": watcher.complete,
        "tests": {part: tally_of(watcher, part) for part in watcher.tallies},
        "theorems": ratios,
        "generated": {
            name: round(float(ratio), 4) for name, ratio in record.generated.items()
        },
        "peers": peers(),
        "mutants": {
            "planted": len(record.mutants),
            "found": sum(finder is not None for finder in record.mutants.values()),
            "survivors": survivors(record),
        },
        "worlds": [
            {"config": world.config, "states": world.states, "depth": world.depth}
            for world in record.worlds
        ],
        "proofs": {
            name: {"proved": proof.proved, "refuted_without": list(proof.refuted)}
            for name, proof in record.proofs.items()
        },
    }


def in_order(record: Record) -> list[tuple[str, Fraction | None]]:
    """Theorems by name, T2 before T10."""

    def key(item: tuple[str, Fraction | None]) -> tuple[str, int, str]:
        first = item[0].split()[0]
        digits = first.lstrip("T")
        number = int(digits) if digits.isdigit() else 0
        return first.rstrip("0123456789"), number, item[0]

    return sorted(record.theorems.items(), key=key)


def tally_of(watcher: Watcher, part: str) -> dict[str, float]:
    tally = watcher.tallies[part]
    return {
        "passed": tally.passed,
        "failed": tally.failed,
        "skipped": tally.skipped,
        "seconds": round(tally.seconds, 1),
    }


def peers() -> dict[str, int]:
    table = rows()
    covered = sum(row.covered for row in table)
    return {"bugs": len(table), "covered": covered, "not here": len(table) - covered}


def survivors(record: Record) -> list[str]:
    return [name for name, finder in record.mutants.items() if finder is None]


# --- on the terminal ----------------------------------------------------------------


def show(profile: str, watcher: Watcher, record: Record) -> None:
    """Print all tables."""
    console = Console()
    console.print()
    console.print(theorems(record))
    console.print(mutants(record))
    console.print(worlds(record))
    console.print(proofs(record))
    console.print(parts(profile, watcher, record))


def table(title: str, *columns: str, numbers: Iterable[str] = ()) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left")
    return made


def theorems(record: Record) -> Table:
    made = table(
        "Theorems: the most that was seen of what is allowed",
        *("theorem", "made up", "with traces", ""),
        numbers=["made up", "with traces"],
    )
    for name, ratio in in_order(record):
        if ratio is None:
            made.add_row(name, "exact", "exact", "")
            continue
        found = record.generated.get(name)
        alone = "" if found is None else f"{float(found):.3f}"
        made.add_row(name, alone, f"{float(ratio):.3f}", "▇" * round(12 * ratio))
    return made


def mutants(record: Record) -> Table:
    made = table("Planted bugs", "bug", "found by")
    for name, finder in record.mutants.items():
        made.add_row(name, finder or "[bold red]NOBODY[/]")
    return made


def worlds(record: Record) -> Table:
    numbers = ["states", "depth"]
    made = table("Small worlds, explored whole", "world", *numbers, numbers=numbers)
    for world in record.worlds:
        made.add_row(world.config, f"{world.states:,}", str(world.depth))
    total = sum(world.states for world in record.worlds)
    made.add_section()
    made.add_row("all", f"{total:,}", "")
    return made


def proofs(record: Record) -> Table:
    made = table("Proofs", "theorem", "proved", "refuted without")
    for name, proof in record.proofs.items():
        proved = "yes" if proof.proved else "[bold red]NO[/]"
        made.add_row(name, proved, "\n".join(proof.refuted))
    return made


def parts(profile: str, watcher: Watcher, record: Record) -> Table:
    numbers = ["passed", "failed", "skipped", "seconds"]
    title = f"Property tests, profile {profile}"
    made = table(title, "part", *numbers, "seen", numbers=numbers)
    seen = headlines(record)
    for part, tally in watcher.tallies.items():
        failed = f"[bold red]{tally.failed}[/]" if tally.failed else "0"
        made.add_row(
            part,
            str(tally.passed),
            failed,
            str(tally.skipped),
            f"{tally.seconds:.1f}",
            seen.get(part, ""),
        )
    return made


def headlines(record: Record) -> dict[str, str]:
    """What is worth knowing of each part, in a few words."""
    ratios = [ratio for ratio in record.theorems.values() if ratio is not None]
    found = sum(finder is not None for finder in record.mutants.values())
    states = sum(world.states for world in record.worlds)
    deepest = max((world.depth for world in record.worlds), default=0)
    counts = peers()
    return {
        "State machines": (
            f"with docs/peers.md: {counts['covered']} of {counts['bugs']} bugs of "
            f"peers have a test, {counts['not here']} cannot occur"
        ),
        "Theorems": f"largest ratio {float(max(ratios, default=0)):.3f}",
        "Planted bugs": f"{found} of {len(record.mutants)} found",
        "Small worlds": f"{states:,} states, depth {deepest}",
        "Proofs": proved(list(record.proofs.values())),
    }


def proved(found: list[Proof]) -> str:
    count = sum(proof.proved for proof in found)
    refuted = sum(len(proof.refuted) for proof in found)
    return f"{count} of {len(found)} proved, {refuted} negations refuted"
