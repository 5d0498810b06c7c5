"""Every operation checked against float64 and timed beside its peers: `python -m mlbench_kernels.bench`.

A case says how to make the inputs, who takes part and what is right (`case`); the files under `cases` are found by
themselves. One group, a case at one shape, is measured by `measure` on a machine: the CPU (`timing_cpu`) or a CUDA GPU
(`timing_gpu`). Groups run in a process beside the program (`worker`), so that a crash or a hang costs one row.
"""
