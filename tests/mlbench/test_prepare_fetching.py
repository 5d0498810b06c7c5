"""Archives come whole or not at all, and a broken download goes on where it stopped."""

import errno
import hashlib
import os
import random
import ssl
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
from web_server import Offer, offering

from mlbench.api.dataset import Archive
from mlbench.api.errors import DataError
from mlbench.data.prepare.fetching import fetch

CONTENT = random.Random(0).randbytes(50_000)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def offer() -> Iterator[Offer]:
    with offering(CONTENT) as one:
        yield one


def _archive(offer: Offer, checksum: str = SHA256, name: str = "toy.zip") -> Archive:
    return Archive(name=name, url=f"{offer.url}/{name}", checksum=checksum)


def _nothing(done: int, total: int) -> None:
    pass


@pytest.mark.parametrize("checksum", [SHA256, f"md5:{hashlib.md5(CONTENT).hexdigest()}", ""])
def test_a_download_is_the_file(offer: Offer, tmp_path: Path, checksum: str) -> None:
    told = []
    file = fetch(_archive(offer, checksum), tmp_path, lambda done, total: told.append((done, total)))
    assert file.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in tmp_path.iterdir()] == ["toy.zip"]


@pytest.mark.parametrize("resumes", [True, False])
def test_a_broken_download_goes_on(offer: Offer, tmp_path: Path, resumes: bool) -> None:
    offer.breaks_after, offer.resumes = 20_000, resumes
    with pytest.raises(DataError, match=r"toy\.zip.*broke off after 20,000 of 50,000 bytes.*same command again"):
        fetch(_archive(offer), tmp_path, _nothing)
    assert not (tmp_path / "toy.zip").exists()
    assert fetch(_archive(offer), tmp_path, _nothing).read_bytes() == CONTENT
    assert offer.ranges == [None, "bytes=20000-"]


@pytest.mark.parametrize(
    "error",
    [
        ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] bad record mac"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        TimeoutError("The read operation timed out"),
    ],
)
@pytest.mark.parametrize("in_mid", [True, False])
def test_a_network_that_fails_is_told_as_such(
    offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, in_mid: bool
) -> None:
    """The number of a TLS error is that of a disk without permission."""
    read, broken = HTTPResponse.read, []

    def read_then_fail(response: HTTPResponse, amount: int) -> bytes:
        if broken:
            raise error
        broken.append(response)
        return read(response, 20_000)

    def fail(response: HTTPResponse) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(HTTPResponse, *(("read", read_then_fail) if in_mid else ("begin", fail)))
        with pytest.raises(DataError) as caught:
            fetch(_archive(offer), tmp_path, _nothing)
    said = str(caught.value)
    assert said.startswith(f"toy.zip: cannot be fetched from {offer.url}/toy.zip: ")
    assert str(error) in said and "give the same command again, it goes on where it stopped" in said
    assert "written" not in said and "MLBENCH_DATA" not in said
    assert fetch(_archive(offer), tmp_path, _nothing).read_bytes() == CONTENT
    assert offer.ranges[-1] == ("bytes=20000-" if in_mid else None)


def test_a_download_that_was_whole_but_not_yet_named_is_taken(offer: Offer, tmp_path: Path) -> None:
    (tmp_path / "toy.zip.part").write_bytes(CONTENT)
    assert fetch(_archive(offer), tmp_path, _nothing).read_bytes() == CONTENT


def test_a_file_of_before_is_checked_and_not_fetched(offer: Offer, tmp_path: Path) -> None:
    (tmp_path / "toy.zip").write_bytes(CONTENT)
    fetch(_archive(offer), tmp_path, _nothing)
    assert offer.ranges == []


def test_a_wrong_checksum_leaves_nothing(offer: Offer, tmp_path: Path) -> None:
    wrong = "sha256:" + "0" * 64
    with pytest.raises(DataError, match=r"sha256 is [0-9a-f]{64}, its owner's file has 0{64}.*--from"):
        fetch(_archive(offer, wrong), tmp_path, _nothing)
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_another_file_is_found_out_and_removed(offer: Offer, tmp_path: Path) -> None:
    (tmp_path / "toy.zip.part").write_bytes(b"x" * 20_000)
    with pytest.raises(DataError, match="damaged"):
        fetch(_archive(offer), tmp_path, _nothing)
    assert fetch(_archive(offer), tmp_path, _nothing).read_bytes() == CONTENT


def test_a_checksum_of_an_unknown_kind_is_refused(offer: Offer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"crc32:1.*md5:\.\.\. or sha256:"):
        fetch(_archive(offer, "crc32:1"), tmp_path, _nothing)


def test_what_the_server_lacks_or_only_a_person_gives(offer: Offer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.zip.*404.*--from"):
        fetch(_archive(offer, name="missing.zip"), tmp_path, _nothing)
    with pytest.raises(DataError, match=r"on request only.*--from"):
        fetch(Archive(name="asked.zip"), tmp_path, _nothing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is a Linux device")
def test_a_full_disk_is_told(offer: Offer, tmp_path: Path) -> None:
    (tmp_path / "toy.zip.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"No space left.*free some space.*MLBENCH_DATA"):
        fetch(_archive(offer), tmp_path, _nothing)
    assert not (tmp_path / "toy.zip").exists()


@pytest.mark.parametrize(("url", "client"), [("npm:toy@1.0.0", "npm"), ("deb:toy", "apt-get")])
def test_a_client_that_is_not_installed_is_named(
    url: str, client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=rf"{client}, which fetches it, is not installed.*--from"):
        fetch(Archive(name="toy.tgz", url=url), tmp_path, _nothing)


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for the client")
def test_a_package_comes_by_its_client_and_its_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    client.write_text("""#!/bin/sh
[ "$5" = toy@1.0.0 ] && printf content > "$4/toy-1.0.0.tgz" || { echo no such package >&2; exit 1; }
""")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(client.parent), prepend=os.pathsep)
    file = fetch(Archive(name="toy-1.0.0.tgz", url="npm:toy@1.0.0"), tmp_path, _nothing)
    assert file.read_bytes() == b"content"
    with pytest.raises(DataError, match=r"npm pack failed: no such package; get it elsewhere"):
        fetch(Archive(name="toy-2.0.0.tgz", url="npm:toy@2.0.0"), tmp_path, _nothing)
