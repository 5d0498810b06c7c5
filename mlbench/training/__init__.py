"""One training: one fold, one seed, one method."""

from mlbench.training.embed import embed as embed
from mlbench.training.keeper import CannotResume as CannotResume
from mlbench.training.keeper import Interrupted as Interrupted
from mlbench.training.keeper import Keeper as Keeper
from mlbench.training.keeper import Position as Position
from mlbench.training.loop import Trained as Trained
from mlbench.training.loop import train as train
from mlbench.training.meter import Meter as Meter
