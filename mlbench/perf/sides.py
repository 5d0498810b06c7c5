"""The two sides of a comparison, installed beside each other: git revisions, folders, or versions of a package."""

import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mlbench.api.errors import MlbenchError


class PerfError(MlbenchError):
    """A measurement that cannot be made or compared."""


@dataclass(frozen=True)
class Side:
    """One side, installed.

    Attributes:
        name: As the user named it.
        revision: The commit or the version that it is.
        site: The folder to put first on the path.
        source: Its files, if it is not a package from an index.
    """

    name: str
    revision: str
    site: Path
    source: Path | None = None

    def files(self, paths: Sequence[Path]) -> list[Path]:
        """What this side has itself in the place of files and folders of the working directory.

        Without a source that is the same; what it has nothing for is left out.
        """
        if self.source is None:
            return list(paths)
        own = [self.source / path for path in paths]  # an absolute path stays what it is
        return [path for path in own if path.exists()]


def install(name: str, into: Path, repository: Path) -> Side:
    """Install one side into a folder of its own, without its dependencies: both sides share those.

    Args:
        name: A folder with a package, a git revision of the repository, or a requirement such as ``acme==1.2``.
        into: An empty or missing folder.
        repository: Where git revisions are looked up.

    Raises:
        PerfError: If there is no such thing, or it does not install.
    """
    into.mkdir(parents=True, exist_ok=True)
    site = into / "site"
    if Path(name).is_dir():
        _install(name, [str(folder) for folder in _packages(Path(name).resolve())], site)
        return Side(name, revision(Path(name)), site, Path(name).resolve())
    if commit := _commit(name, repository):
        source = _checkout(commit, into / "source", repository)
        _install(name, [str(folder) for folder in _packages(source)], site)
        return Side(name, commit[:9], site, source)
    if re.search(r"[=<>@~]", name):
        _install(name, [name], site)
        return Side(name, name, site)
    raise PerfError(
        f"{name!r} is neither a folder, nor a git revision of {repository}, nor a requirement such as package==1.2"
    )


def revision(folder: Path = Path()) -> str:
    """The commit of a folder, with ``-dirty`` if there are changes; ``unknown`` where git knows none."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=9", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"


def _commit(name: str, repository: Path) -> str | None:
    command = ["git", "-C", str(repository), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stdout.strip() or None


def _checkout(commit: str, folder: Path, repository: Path) -> Path:
    archive = folder.with_suffix(".tar")
    subprocess.run(["git", "-C", str(repository), "archive", "--output", str(archive), commit], check=True)
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    archive.unlink()
    return folder


def _packages(root: Path) -> list[Path]:
    """The folders to install: those that ``tool.mlbench.perf.packages`` names, else the root."""
    try:
        tables = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except OSError:
        raise PerfError(f"{root}: there is no pyproject.toml, so there is nothing to install") from None
    named = tables.get("tool", {}).get("mlbench", {}).get("perf", {}).get("packages", ["."])
    return [root / folder for folder in named]


def _install(name: str, what: list[str], site: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation"] if all(map(_can_build, what)) else []
    done = subprocess.run([*command, "--target", str(site), *what], capture_output=True, text=True)
    if done.returncode:
        tail = "\n  ".join(done.stderr.strip().splitlines()[-5:])
        raise PerfError(f"{name} does not install, so nothing was compared:\n  {tail}")


def _can_build(folder: str) -> bool:
    """Whether what builds the package is installed here: then nothing need be fetched."""
    file = Path(folder, "pyproject.toml")
    if not file.is_file():
        return False
    requires = tomllib.loads(file.read_text(encoding="utf-8")).get("build-system", {}).get("requires", ["setuptools"])
    try:
        return all(version(re.split(r"[^\w.-]", text, maxsplit=1)[0]) for text in requires)
    except PackageNotFoundError:
        return False
