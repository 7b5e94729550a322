"""The processes that train together: found in the environment, never made up; and what they do when one fails."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from fallline.errors import FalllineError, InputError, ParameterError, ProcessError
from fallline.parallel import Alone, Place, find, place_in, said_elsewhere, together, told_by_first
from ranks import on_ranks

TORCHRUN = {"RANK": "2", "WORLD_SIZE": "4", "LOCAL_RANK": "0", "MASTER_ADDR": "node7", "MASTER_PORT": "29501"}
SLURM = {
    "SLURM_JOB_ID": "123",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "1",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NODELIST": "gpu[003-007,012],login1",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "PMIX_NAMESPACE": "prterun-host-99@1",
}


def test_torchruns_variables_are_a_place():
    """Torchrun, and those who set its variables, tell rank, size and meeting place."""
    assert place_in(TORCHRUN) == Place(2, 4, "node7", 29501, "torchrun")


def test_a_step_of_slurm_is_a_place():
    """Within srun, the first machine of the step is where tasks meet, at a port of the job's own."""
    place = place_in(SLURM)
    assert place is not None
    assert place[:3] == (1, 4, "gpu003")
    assert place.port == place_in({**SLURM, "SLURM_PROCID": "3"}).port
    assert place.port != place_in({**SLURM, "SLURM_JOB_ID": "124"}).port


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("one", "one"), ("one,two", "one"), ("n[1-3]", "n1"), ("a[08,11]-ib,b2", "a08-ib"), ("x[2]", "x2")],
)
def test_the_first_machine_of_slurms_list(nodes, first):
    """Slurm shortens lists of machines; the first is read out of any."""
    assert place_in({**SLURM, "SLURM_STEP_NODELIST": nodes}).address == first


def test_open_mpi_is_a_place():
    """On one machine, Open MPI's processes meet there; on several, where MASTER_ADDR says."""
    assert place_in(OPEN_MPI)[:3] == (1, 2, "127.0.0.1")
    several = {**OPEN_MPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}
    assert place_in({**several, "MASTER_ADDR": "head"})[:3] == (1, 2, "head")
    with pytest.raises(ParameterError, match="-x MASTER_ADDR=HOST"):
        place_in(several)


def test_torchruns_variables_go_before_slurms():
    """Who starts torchrun in each task of Slurm means what torchrun says."""
    assert place_in({**SLURM, **TORCHRUN}).told_by == "torchrun"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WORLD_SIZE": "4", "MASTER_ADDR": "here"},
        {**TORCHRUN, "RANK": "0", "WORLD_SIZE": "1"},
        {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "n1"},
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"},
        {**SLURM, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
        {**OPEN_MPI, "OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"},
    ],
)
def test_no_process_is_made_up(environment):
    """An allocation, a batch script or one process is no group: nothing is made of it."""
    assert place_in(environment) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"RANK": "4"}, "RANK=4, but torchrun says that there are 4 processes"),
        ({"RANK": "first"}, "RANK='first'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE='0'"),
        ({"MASTER_PORT": "x"}, "MASTER_PORT='x'"),
    ],
)
def test_an_environment_that_contradicts_itself_is_an_error(change, says):
    """What cannot be is said, with the variable's name."""
    with pytest.raises(ParameterError, match=says):
        place_in({**TORCHRUN, **change})
    with pytest.raises(ParameterError, match="Set MASTER_ADDR"):
        place_in({"RANK": "0", "WORLD_SIZE": "2"})
    with pytest.raises(ParameterError, match="SLURM_STEP_NODELIST"):
        place_in({**SLURM, "SLURM_STEP_NODELIST": ""})


def test_alone_gives_back_what_it_is_given():
    """For one process, each verb costs nothing and changes nothing."""
    alone, array = find(), np.arange(3.0)
    assert type(alone) is Alone
    assert (alone.rank, alone.size, alone.local_rank) == (0, 1, 0)
    assert alone.sum(array) is array
    assert alone.broadcast("a") == "a"
    assert alone.gather("a") == ["a"]
    assert alone.agreed(None) is None
    alone.wait()


def test_one_process_needs_no_torch():
    """Where nothing tells of others, torch is not imported."""
    code = "import sys, fallline.parallel as p; p.find(); sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "SLURM_NTASKS": "4", "SLURM_JOB_ID": "1", "SLURM_PROCID": "0"}
    subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, check=True)


def test_an_error_on_one_is_raised_on_all():
    """What fails on one process fails on all, with its error; only that one has to say it."""

    def fail_on_one(processes):
        def fail():
            if processes.rank == 1:
                raise InputError("row 7 is bad")

        return together(processes, fail)

    results = on_ranks(3, fail_on_one)
    assert [type(error) for error in results] == [InputError] * 3
    assert [str(error) for error in results] == ["row 7 is bad"] * 3
    assert [said_elsewhere(error) for error in results] == [True, False, True]


def test_an_error_that_cannot_be_sent_is_told():
    """Errors of any kind reach the others, if only in words."""

    class OddError(Exception):
        """Cannot be pickled: it is made in a function."""

    def fail(processes):
        def odd():
            raise OddError("strange")

        return told_by_first(processes, odd)

    first, other = on_ranks(2, fail)
    assert type(first).__name__ == "OddError"
    assert isinstance(other, FalllineError)
    assert "OddError: strange" in str(other)


def test_the_first_tells_what_it_found():
    """A function of the first process is called once, and its result is everywhere."""
    called = []

    def look(processes):
        return told_by_first(processes, lambda: called.append(processes.rank) or "found")

    assert on_ranks(3, look) == ["found"] * 3
    assert called == [0]


def test_those_who_wait_for_one_that_has_ended_end():
    """A process that is gone is an error of the others', not an endless wait."""

    def leave(processes):
        if processes.rank == 1:
            raise InputError("gone")
        processes.wait()

    results = on_ranks(2, leave)
    assert isinstance(results[0], ProcessError)
