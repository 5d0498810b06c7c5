"""The benchmark's plain losses are those of pytorch-metric-learning, and what it measures passes its own check."""

import pytest
import torch
from mlbench_kernels.bench import plain_losses
from mlbench_kernels.bench.case import Setting, Shape
from mlbench_kernels.bench.cases import heads, losses
from mlbench_kernels.bench.data import make_batch
from pytorch_metric_learning import losses as theirs

PLAIN = {
    "ContrastiveLoss": plain_losses.contrastive,
    "MultiSimilarityLoss": plain_losses.multi_similarity,
    "SupConLoss": plain_losses.sup_con,
    "NTXentLoss": plain_losses.nt_xent,
    "LiftedStructureLoss": plain_losses.lifted_structure,
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_losses_are_those_of_pytorch_metric_learning(name):
    generator = torch.Generator().manual_seed(3)
    x, labels = torch.randn(40, 8, dtype=torch.float64, generator=generator), torch.arange(40) // 4
    torch.testing.assert_close(PLAIN[name](x, labels), getattr(theirs, name)()(x, labels), rtol=1e-8, atol=0)


@pytest.mark.parametrize("case", [*losses.CASES, *heads.CASES], ids=lambda case: case.operation)
def test_every_participant_passes_the_check(case):
    batch = (heads.make if case in heads.CASES else make_batch)(Shape(48, 16, 12), torch.device("cpu"))
    judge = case.judge(batch)
    checked = [provider for provider in case.providers if provider.answer is not None]
    assert len(checked) >= 2
    for provider in checked:
        answer = provider.answer(provider.prepare(batch, Setting("blocked", "ieee"))())
        assert judge(answer, "ieee").passed, provider.name
        for spoilt in (answer._replace(value=answer.value * 1.001), answer._replace(gradient=-answer.gradient)):
            assert not judge(spoilt, "ieee").passed
