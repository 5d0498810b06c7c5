"""The compile report: a hard gate on what the shipped kernels cost, without a GPU."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is not installed")
from mlbench_kernels.aot import ARCHITECTURES, compare, load, make_report, save, shipped
from mlbench_kernels.aot import __main__ as command
from mlbench_kernels.aot.compile import compile_job
from mlbench_kernels.aot.kernels import RULES
from mlbench_kernels.aot.machine_code import Listing

ROOT = Path(__file__).parents[2]
PINNED = re.search(r"^triton==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
UNITS = {80: "mma.sync", 90: "wgmma", 100: "tcgen05", 120: "mma.sync"}


@pytest.fixture(scope="module")
def committed():
    return load(ROOT / f"leaderboards/kernels/compile/triton-{PINNED}.json")


def every_job():
    return (job for arch in ARCHITECTURES for job in shipped(arch))


def test_the_report_holds_every_shipped_kernel_and_nothing_else(committed):
    expected = {(job.kernel, f"sm_{job.arch}") for job in every_job()}
    assert {(kernel, arch) for kernel, entry in committed["kernels"].items() for arch in entry} == expected


def test_every_triton_form_of_a_rule_is_shipped():
    import mlbench_kernels.rules

    forms = {file.stem for folder in mlbench_kernels.rules.__path__ for file in Path(folder).glob("*_triton.py")}
    assert {rule.triton.rpartition(".")[2] for rule in RULES.values()} == forms


def cost(job, **change):
    resources = {"registers": 184, "spill bytes": 0, "matrix unit": UNITS[job.arch], "matrix instructions": 4}
    return {job.kernel: {f"sm_{job.arch}": resources | change}}


def report(*kernels):
    merged = {name: entry for kernel in kernels for name, entry in kernel.items()}
    return {"triton": "3.7.1", "instructions": "SASS", "kernels": merged}


def test_nothing_spills_on_hopper_and_everything_fits(committed):
    for kernel, entry in committed["kernels"].items():
        for arch, resources in entry.items():
            assert resources["shared bytes"] <= ARCHITECTURES[int(arch.removeprefix("sm_"))], (kernel, arch)
            assert arch != "sm_90" or resources["spill bytes"] == 0, kernel


def test_the_matrix_unit_of_each_architecture_is_used(committed):
    for job in every_job():
        found = committed["kernels"][job.kernel][f"sm_{job.arch}"]
        assert found["matrix unit"] == ("fma" if job.precision == "ieee" else UNITS[job.arch]), job
        assert found["matrix instructions"] > 0, job
        assert found["product instructions per pair and step"] > 0, job


def test_the_memory_model_of_the_tuning_table_is_an_upper_bound(committed):
    for job in every_job():
        found = committed["kernels"][job.kernel][f"sm_{job.arch}"]["shared bytes"]
        if "gradient" not in job.name:  # whose second product has operands of its own
            assert found <= job.tiling.shared_memory(job.precision), job


@pytest.fixture(scope="module")
def anew():
    # A changed engine, tiling or compiler shows in any kernel; each costs seconds.
    return make_report(job for job in shipped(90, "nearest negative, any form, bf16, ") if job.tiling.rows == 128)


@pytest.mark.skipif(version("triton") != PINNED, reason="another compiler than that of the committed report")
def test_compiled_anew_it_is_the_same(committed, anew):
    assert compare(committed, anew) == []


def test_a_kernel_compiles_without_a_gpu_and_multiplies_on_the_matrix_unit(anew):
    ((kernel, entry),) = anew["kernels"].items()
    resources = entry["sm_90"]
    assert (resources["matrix unit"], resources["spill bytes"]) == ("wgmma", 0), kernel
    assert 0 < resources["product instructions per pair and step"] < resources["instructions per pair"]


@pytest.mark.parametrize(
    "name", ["nearest negative, any form", "8 hardest negatives", "gradient of hinges of negatives, square"]
)
def test_kernels_address_rows_in_64_bits(name):
    # N * D may exceed 2^31: no offset is a product of 32 bits of a row's number and what a row takes.
    job = next(job for job in shipped(90, name) if job.tiling.rows == 64)
    products = re.findall(r"arith\.muli .* : tensor<\d+x1xi(\d+)>", compile_job(job).ttir)
    assert len(products) >= 2, "the rows of both sides"
    assert set(products) == {"64"}


def test_check_names_kernel_architecture_quantity_and_both_values(tmp_path, capsys, monkeypatch):
    job = next(shipped(90))
    file = tmp_path / "committed.json"
    save(file, report(cost(job)))
    monkeypatch.setattr(command, "make_report", lambda jobs, progress: report(cost(job, **{"spill bytes": 88})))
    assert command.main(["--check", str(file)]) == 1
    assert capsys.readouterr().err == f"{job.kernel}, sm_90, spill bytes: committed 0, found 88\n"
    assert command.main(["--check", str(file), "--json", str(file)]) == 1
    assert command.main(["--check", str(file)]) == 0


def test_json_keeps_what_was_not_compiled_and_does_not_depend_on_order(tmp_path, monkeypatch):
    first, second = (next(shipped(arch)) for arch in (80, 90))
    texts = []
    for order in ((first, second), (second, first)):
        file = tmp_path / f"{order[0].arch}.json"
        for job in order:
            monkeypatch.setattr(command, "make_report", lambda jobs, progress, job=job: report(cost(job)))
            command.main(["--json", str(file)])
        texts.append(file.read_bytes())
    assert texts[0] == texts[1]
    both = load(tmp_path / "80.json")["kernels"]
    assert both[first.kernel]["sm_80"] == cost(first)[first.kernel]["sm_80"]
    assert both[second.kernel]["sm_90"] == cost(second)[second.kernel]["sm_90"]


def test_a_kernel_that_is_not_in_the_committed_report_is_named():
    job = next(shipped(90))
    assert compare(report(), report(cost(job))) == [f"{job.kernel}, sm_90: not in the committed report"]


SASS = """
        /*0000*/                   S2R R0, SR_CTAID.X ;
.L_x_1:
        /*0010*/                   LDG.E R2, desc[UR4][R2.64] ;
.L_x_0:
        /*0020*/                   HMMA.16816.F32.BF16 R4, R8, R10, R4 ;
        /*0030*/              @!P0 BRA `(.L_x_0) ;
        /*0040*/                   FMNMX R4, R4, R5, PT ;
        /*0050*/               @P1 BRA `(.L_x_1) ;
        /*0060*/                   EXIT ;
.L_x_2:
        /*0070*/                   BRA `(.L_x_2);
"""
PTX = """
\tmov.u32 \t%r1, %ctaid.x;
$L__BB0_2:
\tld.global.b32 \t%r2, [%rd1];
$L__BB0_4:                              // %.lr.ph
\tmma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1}, {%r2}, {%r3}, {%f1};
\t@%p1 bra \t$L__BB0_4;
\tmin.f32 \t%f1, %f1, %f2;
\t@%p2 bra \t$L__BB0_2;
\tret;
"""


@pytest.mark.parametrize(("text", "count"), [(SASS, 8), (PTX, 7)], ids=["SASS", "PTX"])
def test_loops_are_read_from_machine_code(text, count):
    listing = Listing.of(text)
    assert len(listing.instructions) == count
    assert listing.matrix() == ("mma.sync", 1)
    assert listing.stream_and_product() == (5, 2)
