"""The processes of one training: torchrun's ranks, or a single process without any launcher."""

import os

# What DeepSpeed asks the environment for, whoever started the process. With one process nobody listens on the
# port: `join` gives it a store in memory, so that tasks that start together cannot take each other's port.
ALONE = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}


def join() -> None:
    """Choose the device, and open the process group of a process that no launcher has started.

    DS_ACCELERATOR=cpu in the environment keeps a training off a GPU that is there. Call this before anything
    imports DeepSpeed, which settles on its accelerator when it is imported.
    """
    import torch

    os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
    os.environ.setdefault("DEEPSPEED_LOG_LEVEL", "warning")
    if "WORLD_SIZE" in os.environ:
        return
    os.environ.update(ALONE)
    if not on_cpu():
        torch.cuda.set_device(0)
    backend = "gloo" if on_cpu() else "nccl"
    torch.distributed.init_process_group(backend, store=torch.distributed.HashStore(), rank=0, world_size=1)


def on_cpu() -> bool:
    """Whether this training runs on the CPU."""
    return os.environ.get("DS_ACCELERATOR") == "cpu"


def rank() -> int:
    """This process's number among the ranks."""
    return int(os.environ.get("RANK", "0"))


def size() -> int:
    """How many ranks train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def barrier() -> None:
    """Wait until every rank is here."""
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def leave() -> None:
    """Close the process group, after every rank has come to the end."""
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
