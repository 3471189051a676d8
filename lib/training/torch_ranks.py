"""The processes of one training: torchrun's ranks, or a single process without any launcher."""

import os
from datetime import timedelta

# Environment variables that DeepSpeed reads. A single process does not use the port: `join` gives it a store in memory,
# so that tasks that start together cannot take each other's port.
ALONE = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
PATIENCE = timedelta(hours=1)  # the others wait while one rank makes a large checkpoint durable


def join() -> None:
    """Choose this rank's device and open the process group (NCCL on GPUs, gloo on CPUs).

    DS_ACCELERATOR=cpu in the environment keeps a training off a GPU that is there. Call this before anything
    imports DeepSpeed, which settles on its accelerator when it is imported.
    """
    import torch

    os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
    alone = size() == 1
    if alone:
        os.environ.update(ALONE)
    local = int(os.environ["LOCAL_RANK"])
    if not on_cpu():
        torch.cuda.set_device(local)
    torch.distributed.init_process_group(
        "gloo" if on_cpu() else "nccl",
        timeout=PATIENCE,
        device_id=None if on_cpu() else torch.device("cuda", local),
        **({"store": torch.distributed.HashStore(), "rank": 0, "world_size": 1} if alone else {}),
    )


def on_cpu() -> bool:
    """Whether this training runs on the CPU."""
    return os.environ.get("DS_ACCELERATOR") == "cpu"


def free_memory() -> int | None:
    """Bytes that are free on the GPU of every rank, so that all decide alike; None on a CPU."""
    import torch

    if on_cpu():
        return None
    least = torch.tensor(torch.cuda.mem_get_info()[0], device="cuda")
    if size() > 1:
        torch.distributed.all_reduce(least, torch.distributed.ReduceOp.MIN)
    return int(least)


def rank() -> int:
    """This process's number among the ranks."""
    return int(os.environ.get("RANK", "0"))


def size() -> int:
    """How many ranks train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def barrier() -> None:
    """Wait until every rank is here."""
    import torch

    torch.distributed.barrier()


def first_says(value: bool) -> bool:
    """The value of the first rank, on every rank."""
    if size() == 1:
        return value
    import torch

    flag = torch.tensor(int(value), device="cpu" if on_cpu() else "cuda")
    torch.distributed.broadcast(flag, 0)
    return bool(flag)


def leave() -> None:
    """Close the process group, after every rank has come to the end."""
    import torch

    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
