"""Training under torchrun, on real processes: the answer of one process, one model file, and a clear end when one dies."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fallline
from torchrun.scenarios import make, model_of, modules_of, scenarios

pytest.importorskip("torch")
SCRIPT = Path(__file__).parent / "torchrun" / "scenarios.py"
PYTHON = [sys.executable, "-W", "ignore"]


def free_port():
    """A port that nobody uses: others may run torchrun at its usual one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def torchrun(size, *command, **options):
    """Run a command on so many processes."""
    launch = ["-m", "torch.distributed.run", f"--nproc-per-node={size}", f"--master-port={free_port()}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*PYTHON, *launch, *map(str, command)],
        env=environment, capture_output=True, text=True, timeout=300, check=False, **options,
    )  # fmt: skip


def came_of(folder, what, size):
    return [pickle.loads((folder / f"{what}.{rank}").read_bytes()) for rank in range(size)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that processes train on."""
    folder = tmp_path_factory.mktemp("torchrun")
    make(folder)
    return folder


@pytest.fixture(scope="module", params=[2, 3])
def ran(request, folder, alone):
    """What each of two or three processes came to in all scenarios; after `alone`, which compiles what they share."""
    done = torchrun(request.param, SCRIPT, "all", folder)
    assert done.returncode == 0, done.stderr
    return came_of(folder, "all", request.param)


@pytest.fixture(scope="module")
def alone(folder):
    """What one process comes to."""
    return {name: model_of(given) for name, given in scenarios(folder).items()} | modules_of(folder)


@pytest.mark.parametrize(
    "name", ["each update", "each update, sparse", "each update, windows", "all rows", "usual, few updates"]
)
def test_every_update_together_is_the_answer_of_one_process(ran, alone, name):
    """From files, dense and sparse, in memory and in windows: the weights of one process, to 1e-5 of their size."""
    weights, history, _ = ran[0][name]
    wanted, before, _ = alone[name]
    assert np.abs(weights - wanted).max() < 1e-5 * np.abs(wanted).max()
    for here, there in zip(history, before, strict=True):
        assert (here["rows"], here["updates"]) == (there["rows"], there["updates"])
        assert here["loss"] == pytest.approx(there["loss"], rel=1e-4)


MODULES = [f"module, {n} rows" for n in (1, 2, 65, 211)] + [
    "module, micro-batches", "module, all found", "module, file", "mlp",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_the_answer_of_one_process(ran, alone, name):
    """On tensors of awkward sizes and on files, from `fit` and from `train`: the weights of one process, to 1e-5."""
    weights, history, _ = ran[0][name]
    wanted, before, _ = alone[name]
    assert np.abs(weights - wanted).max() < 1e-5 * np.abs(wanted).max()
    assert [record["rows"] for record in history] == [record["rows"] for record in before]


def test_averaged_weights_are_as_good_as_those_of_one_process(ran, alone):
    """Each process on rows of its own: at the end, the loss is that of one process."""
    loss, wanted = (found["all found"][1][-1]["loss"] for found in (ran[0], alone))
    assert loss < 1.02 * wanted


@pytest.mark.parametrize("name", [*scenarios(Path()), "in memory", *MODULES])
def test_all_processes_come_to_the_same_bits(ran, name):
    """Weights, history and measures are the same on every process."""
    weights, history, summary = ran[0][name]
    for other in ran[1:]:
        np.testing.assert_array_equal(other[name][0], weights)
        assert other[name][1] == history
        assert other[name][2].get("validation") == summary.get("validation")
    assert np.isfinite(weights).all()


def test_it_is_the_same_every_time(ran):
    """Repeated on as many processes, training gives the same bits."""
    np.testing.assert_array_equal(ran[0]["again"][0], ran[0]["averaged"][0])


def test_the_summary_says_how_they_trained(ran):
    """How many processes there were, how often they met, and why the solver is descent."""
    training = ran[0]["all found"][2]["training"]
    assert training["processes"] == len(ran)
    assert training["sync_every"] > 1
    assert f"{len(ran)} processes can divide only this one" in training["why_solver"]
    assert ran[0]["each update"][2]["training"]["sync_every"] == 1


def test_errors_are_the_same_everywhere(ran):
    """Different data on each rank, data that cannot be used, and divergence: all raise the same, and none hangs."""
    different, files, column, target, diverged, missing, tensors, shapes, settings = ran[0]["errors"]
    assert "The processes were given different data" in tensors
    assert "different settings: micro_batch is 2, elsewhere 3" in settings
    assert "InputError" in shapes or "ParameterError" in shapes
    assert "The processes were given different data" in different
    assert "The processes were given different data" in files
    assert "no such column" in column
    assert "InputError" in target or "TargetError" in target
    assert diverged.startswith("DivergenceError")
    assert "0.parquet" in missing
    for other in ran[1:]:
        assert other["errors"] == ran[0]["errors"]


def test_the_command_writes_one_model_and_prints_one_report(folder):
    """`fallline train` under torchrun: one file, one report, which says that there are two; exit code 0."""
    command = [
        "-m",
        "fallline",
        "train",
        folder / "numbers.parquet",
        "--target",
        "y",
        "-o",
        folder / "y.fall",
    ]
    done = torchrun(2, *command, "--epochs", 2, "--batch-size", 32)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The model:") == 1
    assert "2 processes" in done.stdout
    assert fallline.load(folder / "y.fall").summary["training"]["processes"] == 2


def test_a_process_that_is_killed_is_started_again_from_the_checkpoint(folder):
    """kill -9 of one rank under `torchrun --max-restarts=1`: the bits of a run in which none was killed."""
    done = torchrun(2, "--max-restarts=1", SCRIPT, "killed", folder)
    assert done.returncode == 0, done.stderr
    results = came_of(folder, "killed", 2)
    whole = torchrun(2, SCRIPT, "whole", folder)
    assert whole.returncode == 0, whole.stderr
    weights, history, *_ = came_of(folder, "whole", 2)[0]
    for found, its_history, _, restarts, written in results:
        assert restarts == "1"
        assert written[0] > 0
        np.testing.assert_array_equal(found, weights)
        assert its_history == history


def test_a_process_that_dies_ends_the_others(folder):
    """Without torchrun to watch over them: the other ends within seconds, and says that one has ended."""
    port, started = free_port(), []
    for rank in range(2):
        environment = {
            **os.environ,
            "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
        started.append(subprocess.Popen([*PYTHON, SCRIPT, "waiting", folder], env=environment))
    assert started[0].wait(120) == 0
    assert started[1].wait(120) == -9
    (said,) = came_of(folder, "waiting", 1)
    assert said.startswith("ProcessError: Another of the processes has ended")


WAYS = {
    "Open MPI": lambda rank: {
        "OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    },
    "Slurm": lambda rank: {
        "SLURM_PROCID": str(rank), "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "localhost",
    },
}  # fmt: skip
MEET = "from fallline.parallel import find; p = find(); assert p.gather((p.rank, p.local_rank)) == [(0, 0), (1, 1)]"


@pytest.mark.parametrize("way", WAYS)
def test_processes_meet_that_others_than_torchrun_started(way):
    """With the variables of Open MPI or Slurm alone, processes meet."""
    port = str(free_port())
    started = [
        subprocess.Popen([*PYTHON, "-c", MEET], env={**os.environ, "MASTER_PORT": port, **WAYS[way](rank)})
        for rank in range(2)
    ]
    assert [process.wait(120) for process in started] == [0, 0]
