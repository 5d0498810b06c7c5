"""What a loss must do."""

from mlbench.testing import conduct
from mlbench.testing.losses import gradients, numbers, state, values
from mlbench.testing.requirement import Requirement

CHECKS: tuple[Requirement, ...] = (
    values.finite_value,
    gradients.embedding_gradient,
    gradients.parameter_gradient,
    gradients.numerical_gradient,
    values.sample_order,
    values.class_names,
    gradients.no_negatives,
    gradients.no_positives,
    gradients.equal_embeddings,
    gradients.zero_vectors,
    gradients.collapsed_embeddings,
    numbers.autocast,
    numbers.bfloat16,
    conduct.untouched_input,
    conduct.global_generators,
    conduct.global_settings,
    conduct.determinism,
    state.several_steps,
    state.state_dict,
    conduct.picklable,
    values.reference_form,
    values.mined_pairs,
    conduct.reference_parity,
)
