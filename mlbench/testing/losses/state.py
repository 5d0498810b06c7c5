"""What a loss keeps between batches."""

import io

import torch

from mlbench.testing.batch import balanced
from mlbench.testing.losses.gradients import backward
from mlbench.testing.requirement import requirement
from mlbench.testing.same import require_same
from mlbench.testing.subject import Subject


@requirement("Detach what is kept for the next batch.")
def several_steps(subject: Subject) -> None:
    """Three batches in a row can be trained on."""
    loss = subject.build()
    for seed in range(3):
        backward(subject, loss, balanced(seed))


@requirement("Keep tensors that change as buffers (register_buffer), and the rest in get_extra_state as plain numbers.")
def state_dict(subject: Subject) -> None:
    """After two batches, another object with its state dict gives the same value; the state is safe to load."""
    trained, fresh = subject.build(), subject.build(seed=5)
    for seed in range(2):
        subject.loss(trained, balanced(seed))
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    value, other = (subject.loss(loss, balanced(9)) for loss in (trained, fresh))
    require_same(value, other, "with its state dict")
