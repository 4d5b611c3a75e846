"""Transcripts of the kernel, replayed; ``pytest --rewrite`` accepts what is printed."""

from pathlib import Path

import pytest

from tests.scenario_harness import Block, read, run, write

FILES = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_transcript_prints_what_it_says(
    path: Path, request: pytest.FixtureRequest
) -> None:
    blocks = read(path)
    printed = run(blocks)
    if request.config.getoption("--rewrite"):
        write(path, blocks, printed)
        return
    for block, lines in zip(blocks, printed, strict=True):
        assert block.text(block.expected) == block.text(lines)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_transcript_opens_with_its_reason(path: Path) -> None:
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_reading_and_writing_a_transcript_keeps_it(path: Path, tmp_path: Path) -> None:
    blocks = read(path)
    copy = tmp_path / "copy.txt"
    write(copy, blocks, [block.expected for block in blocks])
    assert path.read_text() == copy.read_text()


def test_there_are_transcripts() -> None:
    assert len(FILES) >= 10


def test_a_transcript_that_expects_something_else_is_noticed() -> None:
    block = Block(["kernel", "submit"], ["request 7"])
    assert run([block]) != [block.expected]
