"""Run records on disk: plain files, atomic, content-addressed, verifiable."""

from mlbench.store.lease import Lease as Lease
from mlbench.store.record import FORMAT as FORMAT
from mlbench.store.record import Record as Record
from mlbench.store.record import in_words as in_words
from mlbench.store.store import Store as Store
