"""The errors a user can meet: each message names the thing, the place and the next step."""

from typing import ClassVar, Literal


class MlbenchError(Exception):
    """Base of every error that is the user's to mend. The command line prints it in one piece, without a traceback."""


class ConfigError(MlbenchError):
    """A benchmark file, a ``--set`` or a component's configuration says something that cannot be."""


class UnknownNameError(ConfigError):
    """A component, a preset or a method that does not exist or is not unique.

    Attributes:
        name: Of a component, the name that was asked for.
    """

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message)
        self.name = name


class MissingWeightsError(ConfigError):
    """The weights that a trunk is to start from are not there."""


class PluginError(MlbenchError):
    """A component failed to import or to construct; the message carries entry point, distribution and version."""


class DataError(MlbenchError):
    """A dataset that is missing, damaged or unfit for the protocol."""


class TrainingStopped(MlbenchError):
    """A training that cannot go on. A loss or a miner may raise it: the run ends, and its record says so.

    Attributes:
        outcome: What the record calls it.
    """

    outcome: ClassVar[Literal["failed", "diverged", "collapsed"]] = "failed"


class Diverged(TrainingStopped):
    """The loss or the embeddings stopped being finite."""

    outcome = "diverged"


class Collapsed(TrainingStopped):
    """All embeddings became equal, or nearly so."""

    outcome = "collapsed"


class StoreError(MlbenchError):
    """A store that cannot be read, written or trusted."""
