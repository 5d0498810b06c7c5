"""Benchmark files: read, merged, checked, and turned into canonical data for run identity."""

from typing import TYPE_CHECKING

from mlbench._lazy import lazy_exports

if TYPE_CHECKING:
    from mlbench.spec.benchmark import Benchmark as Benchmark
    from mlbench.spec.benchmark import Evaluation as Evaluation
    from mlbench.spec.benchmark import Model as Model
    from mlbench.spec.benchmark import Search as Search
    from mlbench.spec.component import Component as Component
    from mlbench.spec.identity import canonical_json as canonical_json
    from mlbench.spec.identity import digest as digest
    from mlbench.spec.identity import identity_of as identity_of
    from mlbench.spec.load import load_benchmark as load_benchmark
    from mlbench.spec.method import Method as Method
    from mlbench.spec.named import named_methods as named_methods
    from mlbench.spec.runtime import Runtime as Runtime
    from mlbench.spec.runtime import Slurm as Slurm
    from mlbench.spec.shipped import benchmark_names as benchmark_names
    from mlbench.spec.suited import better_suited as better_suited
    from mlbench.spec.training import Optimizer as Optimizer
    from mlbench.spec.training import Training as Training
    from mlbench.spec.transforms import Transforms as Transforms

# `mlbench ls` passes through here, and pydantic costs more than all that it lists.
__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "benchmark": ("Benchmark", "Evaluation", "Model", "Search"),
        "component": ("Component",),
        "identity": ("canonical_json", "digest", "identity_of"),
        "load": ("load_benchmark",),
        "method": ("Method",),
        "named": ("named_methods",),
        "runtime": ("Runtime", "Slurm"),
        "shipped": ("benchmark_names",),
        "suited": ("better_suited",),
        "training": ("Optimizer", "Training"),
        "transforms": ("Transforms",),
    },
)
