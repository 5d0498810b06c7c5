"""A loss that meets with accidents, as a distribution for worker processes too."""

LOSS = '''
import os
import signal
import time
from pathlib import Path

import torch
from torch import nn


class Accident(nn.Module):
    """A metric loss with a state of its own; at one step something happens, once or always."""

    def __init__(self, how: str, at: int, once: str = ""):
        super().__init__()
        self.how, self.at, self.once = how, at, once
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("hidden", torch.zeros(3), persistent=False)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        self.seen += 1
        self.hidden += torch.rand(3)
        if self.seen == self.at and not (self.once and Path(self.once).exists()):
            if self.once:
                Path(self.once).touch()
            print("something happens", flush=True)
            self.happen()
        same = labels[:, None] == labels[None]
        distances = (embeddings[:, None] - embeddings[None]).square().sum(2)
        return self.scale * (distances * same - distances.clamp(max=1) * ~same).mean() + self.hidden.mean()

    def happen(self):
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "terminated":
            os.kill(os.getpid(), signal.SIGTERM)
        elif self.how == "exited":
            os._exit(3)
        elif self.how == "memory":
            raise MemoryError("no room for 10 GiB")
        elif self.how == "raised":
            raise ValueError("wrong")
        elif self.how == "hung":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            while True:
                time.sleep(3600)
'''


def accident(how, at, once=""):
    """The method that meets with an accident."""
    return {"name": f"{how} at {at}", "loss": {"id": "faulty/accident", "how": how, "at": at, "once": str(once)}}


def setup(install):
    """Install it."""
    install("faulty", {"losses": ["accident = faulty:Accident"]}, LOSS)


#: Six steps in two epochs on the digits; a study of one method has two folds and one reproduction: three jobs.
SMALL = {
    "dataset": {"id": "digits"},
    "reproductions": 1,
    "transforms": {"size": 8, "resize": None, "mean": [0.2], "std": [0.35], "flip": 0.5},
    "training": {"batch_size": 8, "iterations_per_epoch": 3, "max_epochs": 2, "patience": 5},
}


def small(tiny, *methods, **runtime):
    """A study of seconds."""
    tables = tiny(*methods, **SMALL, runtime=runtime)
    return tables | {"transforms": {k: v for k, v in tables["transforms"].items() if v is not None}}


def said(store):
    """What must be equal in equal studies: records but for cost and circumstances, models, and tables."""
    records = {
        record.run: (
            record.model_dump(exclude={"cost", "environment"}),
            [path.read_bytes() for path in store.folder(record.run).glob("*.safetensors")],
        )
        for record in store.records()
    }
    return records, {path.name: path.read_bytes() for path in store.path.glob("leaderboard.*")}
