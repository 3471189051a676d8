"""GPUs: what they can do at most, and which share of it is expected. The one place with such numbers.

Peaks are those of the vendor's data sheets, without sparsity. fp32 means that TF32 is off, as it is in PyTorch unless
it is asked for. Shares are assumptions: nothing of this project has been timed on a GPU. STARTS was measured on a CPU,
where PyTorch prepares the work of a GPU.
"""

from dataclasses import dataclass

from lib.base.errors import UsageError, suggestion
from lib.costs.work import Phase, Work

SHARES = {"fp32": 0.6, "tf32": 0.4, "bf16": 0.35, "fp16": 0.35}  # of the arithmetic peak
MEMORY_SHARE = 0.8  # of the bandwidth
STARTS = {False: 0.35e-3, True: 0.65e-3}  # seconds a layer of attention, or of a recurrent model, takes at least
START_SECONDS = 45.0  # imports, the GPU's context, the tokenizer
LOAD_RATE = 1e9  # bytes of weights a second, from a shared file system to the GPU
ROOM = 0.9  # of a GPU's memory may be filled by a task that can also do with less
RAM_BASE = 6e9  # bytes of RAM of a process that uses a GPU
RAM_COPIES = 2  # of the weights that are loaded: in the process, and in the page cache


@dataclass(frozen=True)
class Device:
    """A GPU. peak: FLOP/s by precision; bandwidth: bytes/s; memory: bytes that a process can use."""

    name: str
    peak: dict[str, float]
    bandwidth: float
    memory: float


def _device(name: str, fp32: float, tf32: float, bf16: float, bandwidth: float, memory: float) -> Device:
    return Device(name, {"fp32": fp32, "tf32": tf32, "bf16": bf16, "fp16": bf16}, bandwidth, memory)


DEVICES = {
    device.name: device
    for device in (
        _device("A100-40GB", 19.5e12, 156e12, 312e12, 1.555e12, 42.0e9),
        _device("A100-80GB", 19.5e12, 156e12, 312e12, 2.039e12, 84.8e9),
        _device("H100-80GB", 66.9e12, 494e12, 989e12, 3.35e12, 84.8e9),
        _device("H200-141GB", 66.9e12, 494e12, 989e12, 4.8e12, 150e9),
    )
}
DEFAULT = "A100-80GB"


def find(name: str | None, where: str) -> Device:
    """The GPU called `name`; the default without a name. Raises UsageError for an unknown one."""
    if name is None:
        return DEVICES[DEFAULT]
    if name not in DEVICES:
        raise UsageError(f"{where}: no GPU '{name}' in lib/costs/devices.py{suggestion(name, DEVICES)}")
    return DEVICES[name]


def seconds(work: Work, device: Device, gpus: int = 1) -> float:
    """Expected seconds of a task. Each phase takes what bounds it most; ranks on `gpus` divide the phases evenly."""
    phases = sum(_phase(phase, device) for phase in work.phases)
    return START_SECONDS + work.loaded / LOAD_RATE + phases / _processes(work, gpus)


def _phase(phase: Phase, device: Device) -> float:
    arithmetic = phase.flops / (device.peak[phase.precision] * SHARES[phase.precision])
    memory = phase.moved / (device.bandwidth * MEMORY_SHARE)
    return max(arithmetic, memory, phase.starts * STARTS[phase.recurrent])


def gpu_bytes(work: Work, gpus: int = 1) -> float:
    """The most that is in the memory of one of `gpus` GPUs."""
    return work.gpu - work.spread + work.spread / gpus


def fits(work: Work, memory: float, gpus: int = 1) -> bool:
    """Whether a task leaves room in each of `gpus` GPUs with `memory` bytes."""
    return gpu_bytes(work, gpus) <= ROOM * memory


def fitting(work: Work, device: Device, gpus: int = 1) -> Work:
    """The task, or its way with less memory where it would not leave room."""
    return work if work.otherwise is None or fits(work, device.memory, gpus) else work.otherwise


def ram_bytes(work: Work, gpus: int = 1) -> float:
    """Memory of the machine: every process loads the weights."""
    return _processes(work, gpus) * (RAM_BASE + RAM_COPIES * work.loaded) + work.ram


def _processes(work: Work, gpus: int) -> int:
    return 1 if work.in_turn else gpus


def assumptions(device: Device) -> str:
    """The numbers behind the hours, in a line."""
    rates = ", ".join(f"{name} {device.peak[name] / 1e12:g} TFLOP/s x {SHARES[name]:g}" for name in ("fp32", "bf16"))
    return f"{device.name}: {rates}, memory {device.bandwidth / 1e12:g} TB/s x {MEMORY_SHARE:g}"
