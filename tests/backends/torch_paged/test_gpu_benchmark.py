"""The benchmark of a GPU, rehearsed on a CPU: every line of it but CUDA's own.

Its numbers mean nothing here. That it runs from end to end does: on a GPU there is one
chance.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import torch

from tests.benchmarks.gpu import child, parent, timing
from tests.benchmarks.gpu.bench import Bench
from tests.benchmarks.gpu.cublas_rows import ranges
from tests.benchmarks.gpu.log import Log
from tests.benchmarks.gpu.measurements import MEASUREMENTS, Measurement, chosen
from tests.benchmarks.gpu.report import Report
from tests.benchmarks.gpu.rows import Row
from tests.benchmarks.gpu.sizes import SIZES

ROOT: Final = Path(__file__).parents[3]
COMMAND: Final = ROOT / "tests" / "benchmarks" / "gpu" / "__main__.py"

STEPS: Final = [
    *("step, {}, eager", "scheduler, {}, eager"),
    *("step, {}, graphs", "scheduler, {}, graphs"),
    *("step, {}, graphs, past 32", "scheduler, {}, graphs, past 32"),
    "{}, logits with graphs as without",
]
ROWS: Final = {
    "ceilings": ["copy bandwidth", "matmul rate"],
    "decode-attention": [
        "batch 2 x 128, segment 64",
        "batch 2 x 128, segment 128",
    ],
    "prefill-attention": [
        f"{what}, program_rows {rows}"
        for what in ("64 after 0", "16 after 64")
        for rows in (64, 128)
    ],
    "shared-prefix": [
        "shared, program_rows 16",
        "shared, program_rows 64",
        "shared, program_rows 128",
        "shared, program_rows 64 and 16",
        "shared, program_rows 128 and 16",
        "gain over a prefix in blocks of each one's own",
        "gain over the same blocks read by each",
    ],
    "row-bits": [
        "prefill, 16 rows as 128",
        "prefill, 64 rows as 128",
        "split and folded, 16 rows as prefill",
        "split and folded, 64 rows as prefill",
        "split and folded, 128 rows as prefill",
    ],
    "decode-step": [name.format(mode) for mode in ("fast", "exact") for name in STEPS],
    "exact-price": [
        f"{weight}, {rows} rows"
        for weight in ("qkv (48 x 32)", "down (32 x 48)")
        for rows in (1, 16)
    ],
    "cublas-rows": [
        "qkv (48 x 32), results of one row",
        "down (32 x 48), results of one row",
    ],
    "cublas-rows-fixed": [
        "qkv (48 x 32), results of one row",
        "down (32 x 48), results of one row",
    ],
    "launches": [
        "an empty kernel, eager",
        "an empty kernel, in a graph",
        "add_norm of one row, eager",
        "add_norm of one row, in a graph",
    ],
    "fusion": ["decodes, batch 2 x 128", "prompt, 64 after 0"],
    "varlen": ["varlen_attn takes block tables"],
    "side-by-side": [
        "fairq, fast",
        "fairq, exact",
        "transformers, generate_batch",
        "fairq, fast, ahead of it",
    ],
}
"""What a complete run measures, by measurement, in order."""


def command(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, str(COMMAND), *options],
        cwd=ROOT,
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole run; its output is under ``printed``."""
    path = tmp_path_factory.mktemp("rehearsal") / "rows.json"
    done = command("--rehearse", "--json", str(path))
    assert 0 == done.returncode, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {**found, "printed": done.stdout}


def test_a_rehearsal_measures_everything(rehearsed: dict[str, Any]) -> None:
    made: dict[str, list[str]] = {}
    for row in rehearsed["rows"]:
        made.setdefault(row["measurement"], []).append(row["name"])
    assert ROWS == made
    assert [] == rehearsed["errors"] == rehearsed["skipped"]


def test_every_row_has_a_number(rehearsed: dict[str, Any]) -> None:
    for row in rehearsed["rows"]:
        assert row["value"] is not None, row
        assert row["value"] >= 0, row


def test_a_step_is_the_same_whatever_runs_it(rehearsed: dict[str, Any]) -> None:
    same = [row for row in rehearsed["rows"] if "with graphs as without" in row["name"]]
    assert [1.0, 1.0] == [row["value"] for row in same]


def test_both_sides_have_the_same_weights(rehearsed: dict[str, Any]) -> None:
    (row,) = (row for row in rehearsed["rows"] if "generate_batch" in row["name"])
    assert row["note"].endswith("of our first tokens it has 100%")


def test_targets_are_those_of_the_documentation(rehearsed: dict[str, Any]) -> None:
    targets = {row["name"]: row["target"] for row in rehearsed["rows"]}
    assert ">= 0.5" == targets["64 after 0, program_rows 128"]
    assert ">= 6" == targets["gain over a prefix in blocks of each one's own"]
    assert "<= 1.5" == targets["step, fast, graphs"]
    assert "<= 0.01" == targets["scheduler, fast, graphs"]
    assert ">= 1" == targets["fairq, fast, ahead of it"]
    # Not enough bytes for this one to count.
    assert "" == targets["batch 2 x 128, segment 64"]


def test_it_says_where_and_how_it_measured(rehearsed: dict[str, Any]) -> None:
    assert torch.__version__ == rehearsed["machine"]["torch"]
    assert set(rehearsed["machine"]) > {"date", "device", "triton", "nvidia-smi"}
    for text in ("pytest -m gpu", rehearsed["method"], "copy bandwidth"):
        assert text in rehearsed["printed"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    done = command()
    assert 2 == done.returncode
    assert "There is no GPU that Torch can use. --rehearse does without." in done.stdout


def test_a_measurement_without_enough_time_is_skipped_and_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    done = command(
        "--rehearse", "--budget", "1", "--only", "varlen", "--json", str(path)
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "varlen: SKIPPED, the budget was too small" in done.stdout
    skipped = json.loads(path.read_text(encoding="utf-8"))["skipped"]
    assert ["ceilings", "varlen"] == [each["measurement"] for each in skipped]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"--only takes ceilings, .*; got nonsense"):
        chosen("varlen,nonsense")


def test_the_ceilings_are_always_measured_first() -> None:
    assert ["ceilings", "varlen"] == [each.name for each in chosen("varlen")]
    assert MEASUREMENTS == chosen("")


def test_all_of_it_is_expected_to_take_less_than_eight_minutes() -> None:
    assert 0 < sum(each.seconds for each in MEASUREMENTS) < 465 < 8 * 60


def test_an_error_is_written_down_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(tmp_path / "log")
    broken = Measurement("broken", 1, module="no_such_module")
    measurements = [broken, *chosen("varlen")[1:]]
    assert 1 == child.run_child(log.path, measurements, "rehearsal")
    (error,) = log.entries("error")
    assert error["error"].startswith("ModuleNotFoundError: No module named")
    assert ["varlen"] == [row.measurement for row in log.rows()]
    assert "broken: FAILED" in capsys.readouterr().out


def test_a_process_that_dies_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dying = tmp_path / "dies.py"
    dying.write_text("import os\nos.abort()\n", encoding="utf-8")
    path = tmp_path / "rows.json"
    code = parent.Parent(dying, "rehearsal", 60, path).run(chosen("varlen")[1:])
    assert 1 == code
    (error,) = json.loads(path.read_text(encoding="utf-8"))["errors"]
    assert "its process ended with -6" == error["error"]
    assert "varlen: FAILED" in capsys.readouterr().out


def test_a_process_that_hangs_is_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hanging = tmp_path / "hangs.py"
    hanging.write_text("import signal\nsignal.pause()\n", encoding="utf-8")
    quick = Measurement("quick", 0.1, module="varlen")
    assert 1 == parent.Parent(hanging, "rehearsal", 60, None).run([quick])
    assert "quick: FAILED, ran past 0 s" in capsys.readouterr().out


def test_a_share_needs_the_ceilings(tmp_path: Path) -> None:
    bench = Bench(torch.device("cpu"), SIZES["rehearsal"], Log(tmp_path / "log"))
    bench.measurement = "decode-attention"
    with pytest.raises(RuntimeError, match="needs the copy bandwidth; run the ceil"):
        _ = bench.copy_rate


def test_a_row_knows_whether_its_target_is_reached() -> None:
    row = Row(measurement="m", name="n", value=1.0, unit="u")
    for value, expected in ((0.8, True), (0.79, False), (None, None)):
        assert expected is attrs.evolve(row, value=value, at_least=0.8).met
    for value, expected in ((1.5, True), (1.51, False), (None, None)):
        assert expected is attrs.evolve(row, value=value, at_most=1.5).met
    assert row.met is None


def test_a_report_without_anything_is_still_a_report(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    Report(Log(tmp_path / "none"), "full", 0.0).write(path)
    assert [] == json.loads(path.read_text(encoding="utf-8"))["rows"]


def test_times_are_medians_with_their_spread() -> None:
    took = timing.Timing.of([3.0, 1.0, 2.0])
    assert "2 ms (1 to 3, n=3)" == took.text()


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], ""), ([4], "4"), ([1, 2, 3, 7, 9, 10], "1-3, 7, 9-10")],
)
def test_numbers_of_rows_are_told_as_ranges(numbers: list[int], expected: str) -> None:
    assert expected == ranges(numbers)


def test_the_sizes_are_those_that_the_targets_are_about() -> None:
    full = SIZES["full"]
    heads = full.heads
    each = 4 * heads.kv_heads * heads.dim  # K and V, two bytes a number
    large = [b * length for b, length in full.decode_batches if b * length * each > 2e9]
    assert len(large) >= 3
    assert full.repeats >= 20 and SIZES["quick"].repeats >= 20
    assert (64, 4096, 256) == full.shared
    assert ((8192, 0), (512, 8192)) == full.prefills
    assert 8.0e9 < full.model.parameters < 8.1e9
    assert 1.2e9 < full.small_model.parameters < 1.6e9
