"""``fairq demo``, as a user sees it: what the README promises about it is true."""

import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from fairq.cli._demo import LOAD, MACHINE, SPEED
from fairq.cli._policies import policy
from fairq.sim import Trace, bundled_trace, simulate


@attrs.frozen
class Shown:
    code: int
    out: str
    err: str
    picture: bytes

    def row(self, label: str) -> tuple[float, float]:
        """The figures of FCFS and VTC."""
        (line,) = [
            each for each in self.out.splitlines() if each.strip().startswith(label)
        ]
        fcfs, vtc = line.split()[-2:]
        return float(fcfs.replace(",", "")), float(vtc.replace(",", ""))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-W", "error", "-m", "fairq", "demo"]
    ran = subprocess.run(  # noqa: S603  # our own module
        command,
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    picture = folder / "fairq-demo.png"
    data = picture.read_bytes() if picture.exists() else b""
    return Shown(ran.returncode, ran.stdout, ran.stderr, data)


def test_the_demo_runs_without_a_word_on_stderr(shown: Shown) -> None:
    assert shown.err == ""
    assert shown.code == 0


def test_light_tenants_wait_five_times_less_under_vtc(shown: Shown) -> None:
    fcfs, vtc = shown.row("first token, light, mean")
    assert fcfs > 5 * vtc


def test_fairness_costs_less_than_two_percent_of_the_throughput(shown: Shown) -> None:
    fcfs, vtc = shown.row("throughput")
    assert vtc == pytest.approx(fcfs, rel=0.02)


def test_vtc_is_fairer_by_every_measure(shown: Shown) -> None:
    for label in ("service difference, max", "service difference, avg", "largest gap"):
        fcfs, vtc = shown.row(label)
        assert vtc < fcfs / 2
    fcfs, vtc = shown.row("Jain index")
    assert fcfs < vtc <= 1


def test_everybody_is_served_under_both_policies(shown: Shown) -> None:
    assert shown.row("finished") == (1500, 1500)
    assert shown.row("rejected") == (0, 0)


def test_the_closing_sentence_agrees_with_the_table(shown: Shown) -> None:
    fcfs, vtc = shown.row("first token, light, mean")
    closing = " ".join(shown.out.split())
    stated = float(closing.partition("first token ")[2].rpartition(" times sooner")[0])
    assert stated == pytest.approx(fcfs / vtc, rel=0.01)


def test_the_picture_is_a_png_and_is_named(shown: Shown) -> None:
    assert shown.picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(shown.picture) > 50_000
    assert shown.out.endswith("Picture: fairq-demo.png\n")


def test_no_line_is_wider_than_80_columns(shown: Shown) -> None:
    assert max(len(line) for line in shown.out.splitlines()) <= 80


def test_the_load_is_what_the_demo_says() -> None:
    trace = bundled_trace()
    seconds = trace.jobs[-1].arrival_s / SPEED
    at_once = Trace(
        trace.name, tuple(attrs.evolve(job, arrival_s=0.0) for job in trace.jobs)
    )
    busy = simulate(at_once, MACHINE.backend(), policy("fcfs")).totals.seconds
    assert busy / seconds == pytest.approx(LOAD, abs=0.1)
