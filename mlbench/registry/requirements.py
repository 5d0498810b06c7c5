"""The plugins that a benchmark requires: checked before anything runs."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import InvalidRequirement, Requirement

from mlbench.api.errors import PluginError
from mlbench.registry.distributions import canonical
from mlbench.registry.entries import entries


def parse_requirement(text: str) -> Requirement:
    """``"acme-losses>=1.2"`` as a requirement.

    Raises:
        ValueError: If it is none, or has more than a name and versions.
    """
    try:
        found = Requirement(text)
    except InvalidRequirement as error:
        raise ValueError(f"{text!r}: {str(error).splitlines()[0]}") from None
    if found.url or found.marker or found.extras:
        raise ValueError(f"{text!r}: write a name and versions only, such as 'acme-losses>=1.2'")
    return found


def check_requirements(requirements: Iterable[str], where: str = "require") -> None:
    """Insist that every required plugin is installed in a fitting version.

    Raises:
        PluginError: Naming all that are not, what is installed and how to install them.
    """
    unmet = [text for text in map(_unmet, map(parse_requirement, requirements)) if text]
    if unmet:
        raise PluginError("\n".join(f"{where}: {text}" for text in unmet))


def _unmet(wanted: Requirement) -> str | None:
    here = _installed(wanted.name)
    if here is None:
        return f"{wanted} is not installed; `pip install '{wanted}'`"
    if wanted.specifier.contains(here, prereleases=True):
        return None
    return f"{wanted} is needed, {wanted.name} {here} is installed; `pip install --upgrade '{wanted}'`"


def _installed(name: str) -> str | None:
    """Its version. A plugin's is that of the distribution whose components are used, whatever hides its metadata."""
    plugins = {canonical(entry.distribution): entry.version for entry in entries()}
    try:
        return plugins.get(canonical(name)) or version(name)
    except PackageNotFoundError:
        return None
