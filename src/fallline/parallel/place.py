"""The place of this process among others, as whoever started them tells it in the environment.

=========================  ==================================================================================================
started by                 what tells
=========================  ==================================================================================================
torchrun; TorchTrainer of  RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT
Ray; TorchDistributor of
Spark
Slurm (srun)               SLURM_PROCID and SLURM_STEP_NUM_TASKS, within a step; the first of SLURM_STEP_NODELIST
Open MPI (mpirun)          OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE; on several machines, MASTER_ADDR has to be given
=========================  ==================================================================================================

What a batch script of Slurm sees is not enough: it is told how many tasks there may be, and is itself one process.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from fallline.errors import ParameterError

__all__ = ["Place", "place_in"]

# Where ports are free, as a rule, that nobody asked for.
_PORTS, _N_PORTS = 20_000, 10_000


class Place(NamedTuple):
    """Which of how many processes this is, and where they meet.

    Parameters
    ----------
    rank, size : int
    address : str
        Of the machine of rank 0.
    port : int
    told_by : str
        Who started the processes, for messages.
    """

    rank: int
    size: int
    address: str
    port: int
    told_by: str


def place_in(environment: Mapping[str, str]) -> Place | None:
    """The place that an environment tells; None if it tells of no other process.

    Raises
    ------
    ParameterError
        If it contradicts itself, or does not tell where the processes meet.
    """
    for tell in (_torchrun, _slurm, _open_mpi):
        place = tell(environment)
        if place is not None:
            return place if place.size > 1 else None
    return None


def _torchrun(environment):
    if not {"RANK", "WORLD_SIZE"} <= environment.keys():
        return None
    size = _number(environment, "WORLD_SIZE", 1)
    if size == 1:
        return Place(0, 1, "", 0, "torchrun")
    if "MASTER_ADDR" not in environment:
        raise ParameterError(
            f"WORLD_SIZE={size} says that there are {size} processes, but nothing says where they meet. Set MASTER_ADDR and "
            "MASTER_PORT, as torchrun does; or unset WORLD_SIZE to train on one process."
        )
    return _checked(environment, "RANK", size, environment["MASTER_ADDR"], 29500, "torchrun")


def _slurm(environment):
    if not {"SLURM_PROCID", "SLURM_STEP_ID"} <= environment.keys():
        return None
    tasks = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in environment else "SLURM_NTASKS"
    if tasks not in environment:
        return None
    size = _number(environment, tasks, 1)
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
    address = environment.get("MASTER_ADDR") or _first_node(nodes)
    if size > 1 and not address:
        raise ParameterError(
            f"{tasks}={size} says that there are {size} processes, but SLURM_STEP_NODELIST does not say where. "
            "Set MASTER_ADDR to the machine of the first."
        )
    job = environment.get("SLURM_JOB_ID", "") + "." + environment["SLURM_STEP_ID"]
    return _checked(environment, "SLURM_PROCID", size, address, _port_of(job), "Slurm")


def _open_mpi(environment):
    if not {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"} <= environment.keys():
        return None
    size = _number(environment, "OMPI_COMM_WORLD_SIZE", 1)
    address = environment.get("MASTER_ADDR")
    if address is None and environment.get("OMPI_COMM_WORLD_LOCAL_SIZE") == str(size):
        address = "127.0.0.1"
    if size > 1 and address is None:
        raise ParameterError(
            f"Open MPI started {size} processes on several machines, and does not say where the first is. Tell it: "
            "mpirun -x MASTER_ADDR=HOST ..."
        )
    job = environment.get("PMIX_NAMESPACE") or environment.get("OMPI_MCA_ess_base_jobid", "")
    return _checked(environment, "OMPI_COMM_WORLD_RANK", size, address or "", _port_of(job), "Open MPI")


def _checked(environment, rank_name, size, address, port, told_by):
    """The place, if rank and size go together."""
    rank = _number(environment, rank_name, 0)
    if rank >= size:
        raise ParameterError(
            f"{rank_name}={rank}, but {told_by} says that there are {size} processes, counted from 0. Set neither by hand, "
            "or both."
        )
    if "MASTER_PORT" in environment:
        port = _number(environment, "MASTER_PORT", 1)
    return Place(rank, size, address, port, told_by)


def _number(environment, name, least):
    text = environment[name]
    if not text.isdecimal() or int(text) < least:
        raise ParameterError(
            f"The environment has {name}={text!r}, but a whole number of at least {least} is wanted. Correct it, or unset it."
        )
    return int(text)


def _first_node(nodes: str) -> str:
    """The first of Slurm's lists, such as "gpu[003-007,012],login1"."""
    match = re.match(r"([^,\[]*)(?:\[(\w+)[^\]]*\]([^,\[]*))?", nodes.strip())
    return "".join(part or "" for part in match.groups()) if match else ""


def _port_of(job: str) -> int:
    """A port, the same for all processes of a job, and likely another for other jobs."""
    return _PORTS + zlib.crc32(job.encode()) % _N_PORTS
