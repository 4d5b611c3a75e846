"""The documentation is run: code, commands, links, names, numbers.

Blocks of one file run from top to bottom, in one namespace and one empty folder:

* ``python`` blocks are executed;
* an ``output`` block is what the python block above it prints;
* ``console`` and ``sh`` blocks: ``fairq`` commands go through the command line, and
  lines of a console block that are no command must be among what was printed;
* ``toml`` blocks are parsed.
"""

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import attrs
import pytest

import fairq
from fairq import Admission, Policy, Snapshot, errors
from fairq.cli import main
from fairq.kernel import TenantSnapshot
from fairq.sim import bundled_trace

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNNABLE = (
    "README.md",
    "docs/backends.md",
    "docs/kernel.md",
    "docs/simulator.md",
    "docs/tutorial.md",
)
"""Pages that would be useless without code that runs."""

FENCE = re.compile(r"^```(.*)$")
HEADING = re.compile(r"^#{1,6} +(.*)$")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(
    r"^(?:(?:tests|property_tests|fairq|fairq_backends|docs)(?:/[\w.-]+)*/?"
    r"|[\w-]+\.(?:md|toml))$"
)
RUN = ("replay", "measure", "backends")
"""Commands that are run; ``demo`` has tests of its own."""

Page = Callable[[str], str]


@attrs.frozen
class Block:
    """A fenced block: what it says it is, its first line in the file, its text."""

    kind: str
    line: int
    text: str


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(text: str) -> Iterator[Block]:
    kind, first, inside = "", 0, list[str]()
    fenced = False
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if fence is None:
            inside.append(line)
        elif fenced:
            yield Block(kind, first, "\n".join(inside) + "\n")
            fenced = False
        else:
            kind, first, inside, fenced = fence[1], number + 1, [], True
    assert not fenced, f"the block in line {first} never ends"


def prose(text: str) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def everything() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in PAGES)


each_page = pytest.mark.parametrize("path", PAGES, ids=name_of)


# --- code and commands ----------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a page runs: an empty folder with what its commands take for granted."""
    data = tmp_path / "fairq" / "data"
    data.mkdir(parents=True)
    arena = files("fairq").joinpath("data", "arena_27clients.csv")
    rows = arena.read_text(encoding="utf-8").splitlines(keepends=True)
    # A part of it is enough to see that a command works.
    (data / "arena_27clients.csv").write_text("".join(rows[:120]))
    head = "arrival_s,client,prompt_tokens,output_tokens\n"
    jobs = "".join(f"{i},{'gold' if i % 3 else 'free'},40,8\n" for i in range(12))
    (tmp_path / "trace.csv").write_text(head + jobs)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a block, as arguments; a backslash goes on in the next line."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if block.kind == "sh":
            yield shlex.split(line, comments=True)
        elif line.startswith("$ "):
            yield shlex.split(line[2:], comments=True)


def said(block: Block) -> list[str]:
    """What a console block shows besides commands, a line each, single-spaced."""
    if block.kind != "console":
        return []
    lines = block.text.replace("\\\n", " ").splitlines()
    shown = [" ".join(line.split()) for line in lines if not line.startswith("$ ")]
    return [line for line in shown if line not in ("", "...")]


def run_commands(block: Block) -> None:
    for argv in commands(block):
        if argv[:1] == ["fairq"] and argv[1] in RUN:
            assert main(argv[1:]) == 0, f"line {block.line}: {argv}"


def run_python(block: Block, path: Path, namespace: dict[str, object]) -> None:
    # Empty lines in front, so that a traceback shows the line of the page.
    source = "\n" * (block.line - 1) + block.text
    exec(compile(source, path, "exec"), namespace)  # noqa: S102  # our own pages


@pytest.mark.usefixtures("folder")
@each_page
def test_every_block_of_a_page_runs(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace: dict[str, object] = {"__name__": "page"}
    printed = ""
    for block in blocks(path.read_text(encoding="utf-8")):
        match block.kind:
            case "python":
                run_python(block, path, namespace)
                printed = capsys.readouterr().out
            case "output":
                assert block.text == printed, f"line {block.line}"
            case "console" | "sh":
                run_commands(block)
                lines = capsys.readouterr().out.splitlines()
                shown = [" ".join(line.split()) for line in lines]
                assert [] == [line for line in said(block) if line not in shown]
            case "toml":
                tomllib.loads(block.text)
            case other:
                assert other in ("text", "csv", "json"), f"line {block.line}"


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_page_that_explains_code_has_code_that_runs(name: str) -> None:
    found = blocks((ROOT / name).read_text(encoding="utf-8"))
    assert "python" in [block.kind for block in found]


# --- links and files ------------------------------------------------------------------


def anchors(path: Path) -> list[str]:
    """The anchors of a page, made from its headings as GitHub does."""
    found = []
    for line in prose(path.read_text(encoding="utf-8")).splitlines():
        heading = HEADING.match(line)
        if heading is not None:
            words = re.sub(r"[^\w\- ]", "", heading[1].lower())
            found.append(words.replace(" ", "-"))
    return found


def missing(path: Path, link: str) -> bool:
    target, _, anchor = link.partition("#")
    goal = (path.parent / target).resolve() if target else path
    return not goal.exists() or (anchor != "" and anchor not in anchors(goal))


@each_page
def test_every_link_leads_somewhere(path: Path) -> None:
    links = LINK.findall(prose(path.read_text(encoding="utf-8")))
    inside = [link for link in links if "://" not in link]
    assert [] == [link for link in inside if missing(path, link)]


@each_page
def test_every_file_that_is_named_exists(path: Path) -> None:
    code = CODE.findall(prose(path.read_text(encoding="utf-8")))
    named = [text for text in code if "/" in text and FILE.match(text)]
    assert [] == [name for name in named if not (ROOT / name).exists()]


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    links = LINK.findall(index.read_text(encoding="utf-8"))
    reached = [(index.parent / link.partition("#")[0]).resolve() for link in links]
    pages = [path for path in PAGES if path.parent == index.parent and path != index]
    assert [] == [path.name for path in pages if path not in reached]


@each_page
def test_lines_are_short_enough_to_read_beside_code(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    # A row of a table cannot be broken, nor can a link.
    long = [n for n, line in enumerate(text.splitlines(), 1) if len(line) > 100]
    lines = text.splitlines()
    assert [] == [n for n in long if not lines[n - 1].startswith("|")]


# --- names ----------------------------------------------------------------------------


def unnamed(names: list[str], text: str) -> list[str]:
    """The names that no code in a text mentions."""
    words = set(re.findall(r"\w+", " ".join(CODE.findall(text))))
    return [name for name in names if name not in words]


def fields(*kinds: type[attrs.AttrsInstance]) -> list[str]:
    return [field.name for kind in kinds for field in attrs.fields(kind)]


def test_every_public_name_is_mentioned() -> None:
    known = set(re.findall(r"\w+", everything()))
    assert [] == [name for name in fairq.__all__ if name not in known]


def test_every_error_is_explained() -> None:
    assert [] == unnamed(errors.__all__, page("errors.md"))


def test_every_field_of_the_protocol_is_explained() -> None:
    protocol = fields(
        fairq.Capacity, fairq.StepPlan, fairq.Enter, fairq.Chunk, fairq.StepResult
    )
    assert [] == unnamed(protocol, page("backends.md"))


def test_every_field_of_a_policy_and_a_snapshot_is_explained() -> None:
    text = page("kernel.md")
    assert [] == unnamed(fields(Policy, Snapshot, TenantSnapshot), text)
    assert [] == unnamed([each.name for each in (*Admission, *fairq.Idle)], text)


def test_every_statistic_is_explained() -> None:
    assert [] == unnamed(fields(fairq.Statistics), page("tutorial.md"))


def test_flags_and_their_explanations_match(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--help"]) == 0
    flag = re.compile(r"--[a-z][a-z-]*")
    existing = set(flag.findall(capsys.readouterr().out)) - {"--help"}
    assert existing == set(flag.findall(prose(page("simulator.md"))))


@pytest.mark.usefixtures("folder")
def test_every_key_of_a_report_is_explained() -> None:
    assert main(["replay", "trace.csv", "--json", "report.json"]) == 0
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    tenants = {"gold", "free"}
    keys = [key for key in keys_of(report) if key not in tenants]
    assert [] == unnamed(keys, page("simulator.md"))


def keys_of(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


# --- numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("told", ["exact", "1024"])
@pytest.mark.parametrize("admission", [each.value for each in Admission])
@pytest.mark.usefixtures("folder")
def test_the_admission_table_is_what_its_commands_print(
    admission: str, told: str
) -> None:
    text = page("performance.md").replace("\\\n", " ")
    wanted = f"--admission {admission} --max-tokens {told}"
    (command,) = [line for line in text.splitlines() if line.endswith(wanted)]
    arena = files("fairq").joinpath("data", "arena_27clients.csv")
    Path("fairq/data/arena_27clients.csv").write_bytes(arena.read_bytes())
    argv = shlex.split(command.removeprefix("$ "))
    assert main([*argv[1:], "--json", "report.json"]) == 0
    (run,) = json.loads(Path("report.json").read_text(encoding="utf-8"))["runs"]
    assert row(admission, told, run["totals"]) in page("performance.md")


def row(admission: str, told: str, totals: dict[str, float]) -> str:
    work = totals["prompt_tokens"] + totals["output_tokens"]
    recomputed = 100 * totals["recomputed_tokens"] / work
    return (
        f"| {admission} | {told} | {totals['tokens_per_s']:,.0f} | "
        f"{totals['preemptions']} | {recomputed:.1f} % |"
    )


def test_the_bundled_trace_is_what_the_pages_say() -> None:
    trace = bundled_trace()
    tenants = {job.client for job in trace.jobs}
    assert (1500, 27) == (len(trace.jobs), len(tenants))
    assert "1,500 requests of 27 tenants" in page("simulator.md")
