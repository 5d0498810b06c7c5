"""A study's images: decoded by all cores before the first job needs them."""

from mlbench.api.dataset import Dataset
from mlbench.data.damage import Without
from mlbench.data.decoders import Decoders
from mlbench.data.prepared import prepare, prepared
from mlbench.execution.cores import available_cores
from mlbench.execution.watch import Watch
from mlbench.protocols.recipe import dataset_table
from mlbench.registry import used_files
from mlbench.spec import Benchmark


def prepare_images(dataset: Dataset, benchmark: Benchmark, watch: Watch) -> Dataset:
    """Prepare the images of a benchmark where that is not done.

    Returns:
        The dataset; without its damaged images if there are any and the benchmark skips them.

    Raises:
        DataError: If there is no room for the images, or what would be left of the dataset cannot be used.
    """
    if dataset.vector_size is not None:
        return dataset
    workers, resize = benchmark.runtime.workers, benchmark.transforms.resize
    decoders = Decoders(dataset_table(benchmark), used_files(), workers or available_cores()) if workers != 0 else None
    if benchmark.damaged == "stop" or isinstance(dataset, Without):
        prepare(dataset.whole if isinstance(dataset, Without) else dataset, resize, decoders, watch.preparing)
        return dataset
    damaged = prepared(dataset, resize, decoders, watch.preparing).damaged
    return Without(dataset, tuple(dataset.items.ids[index] for index in damaged)) if damaged else dataset
