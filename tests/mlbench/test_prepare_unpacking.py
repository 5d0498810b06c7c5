"""Archives unpack to what they hold, inside their folder, within limits."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbench.api.errors import DataError
from mlbench.data.prepare import unpacking
from mlbench.data.prepare.unpacking import unpack

FILES = {"top/a.txt": b"first", "top/deep/b.bin": bytes(range(256)) * 40}


def _nothing(done: int, total: int) -> None:
    pass


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    return info


def _tar(path: Path, files: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    kind = {".tgz": "w:gz", ".gz": "w:gz", ".xz": "w:xz"}.get(path.suffix, "w")
    with tarfile.open(path, kind) as archive:
        for name, content in files.items():
            archive.addfile(_member(name, content), io.BytesIO(content))
        for info in others:
            archive.addfile(info)
    return path


def _deb(path: Path, files: dict[str, bytes]) -> Path:
    data = _tar(path.with_suffix(".tar.xz"), files).read_bytes()
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data}
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, content in parts.items():
            file.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))
    return path


def _unpacked(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


MAKERS = {"a.zip": _zip, "a.tar": _tar, "a.tgz": _tar, "a.tar.gz": _tar, "a.tar.xz": _tar, "a.deb": _deb}


@pytest.mark.parametrize("name", MAKERS)
def test_an_archive_unpacks_to_what_it_holds(name: str, tmp_path: Path, target: Path) -> None:
    told = []
    archive = MAKERS[name](tmp_path / name, FILES)
    unpack(archive, target, lambda done, total: told.append((done, total)))
    assert _unpacked(target) == FILES
    assert told[-1] == (archive.stat().st_size,) * 2
    assert all(done <= total for done, total in told)


def test_another_file_is_copied(tmp_path: Path, target: Path) -> None:
    (tmp_path / "labels.mat").write_bytes(b"numbers")
    unpack(tmp_path / "labels.mat", target, _nothing)
    assert _unpacked(target) == {"labels.mat": b"numbers"}


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_an_interrupted_unpacking_goes_on(
    name: str, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = MAKERS[name](tmp_path / name, FILES)
    unpack(archive, target, _nothing)
    kept = (target / "top/a.txt").stat().st_mtime_ns
    (target / "top/deep/b.bin").write_bytes(b"half")
    unpack(archive, target, _nothing)
    assert _unpacked(target) == FILES
    assert (target / "top/a.txt").stat().st_mtime_ns == kept


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "..\\out.txt", "C:\\out.txt"])
@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
def test_a_member_that_points_outside_is_refused(kind: str, name: str, tmp_path: Path, target: Path) -> None:
    archive = MAKERS[kind](tmp_path / kind, {"fine.txt": b"", name: b"outside"})
    with pytest.raises(DataError, match=r"out\.txt.*points outside"):
        unpack(archive, target, _nothing)
    assert set(_unpacked(tmp_path)) <= {kind, "target/fine.txt"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind: bytes, tmp_path: Path, target: Path) -> None:
    archive = _tar(tmp_path / "a.tar", {}, _member("link", kind=kind, link="/etc"))
    with pytest.raises(DataError, match=r"'link' is (a link|no regular file); refused"):
        unpack(archive, target, _nothing)


def test_links_in_a_zip_are_refused(tmp_path: Path, target: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc")
    with pytest.raises(DataError, match="'link' is a link; refused"):
        unpack(tmp_path / "a.zip", target, _nothing)


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_a_bomb_is_refused_before_it_fills_the_disk(
    name: str, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "FLOOR", 100_000)
    archive = MAKERS[name](tmp_path / name, {f"{index}": bytes(400_000) for index in range(4)})
    with pytest.raises(DataError, match=r"unpacks to more than [\d,]+ bytes, 100 times its size"):
        unpack(archive, target, _nothing)
    assert sum(map(len, _unpacked(target).values())) <= max(100_000, 100 * archive.stat().st_size)


def test_a_zip_that_lies_about_a_size_is_found_out(tmp_path: Path, target: Path) -> None:
    content = _zip(tmp_path / "a.zip", {"a": bytes(5000)}).read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(DataError, match=r"a\.zip: cannot be unpacked"):
        unpack(tmp_path / "a.zip", target, _nothing)
    assert _unpacked(target).get("a") is None


@pytest.mark.parametrize("name", MAKERS)
def test_a_half_archive_is_an_error(name: str, tmp_path: Path, target: Path) -> None:
    archive = MAKERS[name](tmp_path / name, FILES)
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cut short"):
        unpack(archive, target, _nothing)


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 2000), bit=st.integers(0, 7))
def test_a_damaged_archive_is_an_error_or_harmless(at: int, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    target = folder / "target"
    target.mkdir()
    content = bytearray(_tar(folder / "a.tgz", FILES).read_bytes())
    content[at % len(content)] ^= 1 << bit
    (folder / "a.tgz").write_bytes(content)
    try:
        unpack(folder / "a.tgz", target, _nothing)
    except DataError as error:
        assert str(folder / "a.tgz") in str(error)
    else:
        # gzip's header holds a time and a name that nobody checks.
        assert _unpacked(target) == FILES


def test_an_encrypted_zip_is_an_error(tmp_path: Path, target: Path) -> None:
    content = bytearray(_zip(tmp_path / "a.zip", {"a": b"secret"}).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip: cannot be unpacked: .*encrypted"):
        unpack(tmp_path / "a.zip", target, _nothing)


def test_names_that_are_no_utf8_are_read_as_latin_1(tmp_path: Path, target: Path) -> None:
    _tar(tmp_path / "a.tar", {"b\udce4r.txt": b"bear"})
    unpack(tmp_path / "a.tar", target, _nothing)
    placeholder = _zip(tmp_path / "a.zip", {"b_r.txt": b"bear"}).read_bytes()
    (tmp_path / "a.zip").write_bytes(placeholder.replace(b"b_r.txt", b"b\xe4r.txt"))
    assert _unpacked(target) == {"bär.txt": b"bear"}
    (target / "bär.txt").unlink()
    unpack(tmp_path / "a.zip", target, _nothing)
    assert _unpacked(target) == {"bär.txt": b"bear"}


def test_a_name_that_is_a_file_and_a_folder_is_refused(tmp_path: Path, target: Path) -> None:
    archive = _tar(tmp_path / "a.tar", {"a": b"file", "a/b": b"in a folder"})
    with pytest.raises(DataError, match="a file in one place and a folder in another"):
        unpack(archive, target, _nothing)


def test_a_plain_gz_is_no_archive(tmp_path: Path, target: Path) -> None:
    (tmp_path / "images.gz").write_bytes(gzip.compress(b"pixels"))
    unpack(tmp_path / "images.gz", target, _nothing)
    assert list(_unpacked(target)) == ["images.gz"]


def test_tars_in_a_tar_are_unpacked_into_folders_of_their_names(tmp_path: Path, target: Path) -> None:
    inner = {f"{name}.tar": _tar(tmp_path / f"{name}.tar", {"0.jpg": name.encode()}).read_bytes() for name in "ab"}
    seen: list[tuple[int, int]] = []
    whole = _tar(tmp_path / "whole.tar", inner)
    unpack(whole, target, lambda *step: seen.append(step), nested=True)
    assert _unpacked(target) == {"a/0.jpg": b"a", "b/0.jpg": b"b"}
    assert seen == sorted(seen) and seen[-1] == (whole.stat().st_size,) * 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"../a.tar": {}}, r"\.\./a/x' points outside"),
        ({"a.tar": {"../../x": b""}}, r"a/\.\./\.\./x' points outside"),
        ({"a.jpg": {}}, r"'a\.jpg' is no tar, as its members should be"),
    ],
)
def test_what_should_not_be_in_a_tar_of_tars_is_refused(
    files: dict, message: str, tmp_path: Path, target: Path
) -> None:
    inner = {name: _tar(tmp_path / "x.tar", held or {"x": b""}).read_bytes() for name, held in files.items()}
    with pytest.raises(DataError, match=message):
        unpack(_tar(tmp_path / "whole.tar", inner), target, _nothing, nested=True)


def test_a_damaged_tar_in_a_tar_is_an_error(tmp_path: Path, target: Path) -> None:
    half = _tar(tmp_path / "a.tar", {"0.jpg": bytes(4000)}).read_bytes()[:2000]
    with pytest.raises(DataError, match=r"whole\.tar: cannot be unpacked: .*damaged or cut short"):
        unpack(_tar(tmp_path / "whole.tar", {"a.tar": half}), target, _nothing, nested=True)
