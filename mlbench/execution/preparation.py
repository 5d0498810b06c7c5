"""A study's images: decoded by all cores before the first job needs them."""

from mlbench.api.dataset import Dataset
from mlbench.data.damage import Without
from mlbench.data.decoders import Decoders
from mlbench.data.features import Features
from mlbench.data.prepared import Tell, prepare, prepared
from mlbench.execution.cores import available_cores
from mlbench.protocols.recipe import dataset_table
from mlbench.registry import used_files
from mlbench.spec import Benchmark


def prepare_images(dataset: Dataset, benchmark: Benchmark, tell: Tell) -> Dataset:
    """Prepare the images of a benchmark where that is not done. ``tell`` may raise, to leave it: it can go on later.

    Returns:
        The dataset; without its damaged images if there are any and the benchmark skips them.

    Raises:
        DataError: If there is no room for the images, or what would be left of the dataset cannot be used.
    """
    if isinstance(dataset, Features):
        engine = benchmark.runtime.executor in ("ray", "slurm")  # which chooses among GPUs of other machines
        dataset.make(tell, "cpu" if engine else benchmark.runtime.devices[0])
    if dataset.vector_size is not None:
        return dataset
    runtime, resize, cores = benchmark.runtime, benchmark.transforms.resize, available_cores()
    processes = 0 if runtime.in_process else min(runtime.workers or cores, cores)
    decoders = Decoders(dataset_table(benchmark), used_files(), processes) if processes else None
    if benchmark.damaged == "stop" or isinstance(dataset, Without):
        prepare(dataset.whole if isinstance(dataset, Without) else dataset, resize, decoders, tell)
        return dataset
    damaged = prepared(dataset, resize, decoders, tell).damaged
    return Without(dataset, tuple(dataset.items.ids[index] for index in damaged)) if damaged else dataset
