"""Transcripts of the kernel, replayed; ``pytest --rewrite`` accepts what is printed."""

from pathlib import Path

import pytest

from fairq.testing import check_scenario, play

FILES = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_transcript_prints_what_it_says(
    path: Path, request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--rewrite"):
        path.write_text(play(path.read_text()))
    check_scenario(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_transcript_opens_with_its_reason(path: Path) -> None:
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_playing_a_transcript_gives_the_file_to_the_letter(path: Path) -> None:
    assert path.read_text() == play(path.read_text())


def test_there_are_transcripts() -> None:
    assert len(FILES) >= 10
