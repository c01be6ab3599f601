# SPDX-License-Identifier: Apache-2.0
"""The targets that every kernel is compiled for, and what their vendors say of them.

Nothing of this is read from a device. The facts are those that the vendor's OpenCL reports on such a device, and decide
the rows; the sizes behind them serve the estimate of how many work-items a compute unit holds at once:

NVIDIA  CUDA C++ Programming Guide, technical specifications per compute capability
AMD     the compiler's own estimate (LLVM, kernel-resource-usage)
Intel   oneAPI GPU Optimization Guide, thread mapping and occupancy
"""
import dataclasses

KIB = 1024


@dataclasses.dataclass(frozen=True)
class Device:
    """What the library asks a device, and the family of kernels that runs on it."""
    family: str
    local_memory_bytes: int
    max_work_group_size: int
    preferred_multiple: int


@dataclasses.dataclass(frozen=True)
class NvidiaMultiprocessor:
    max_warps: int
    max_groups: int
    shared_bytes: int
    reserved_bytes: int  # of shared memory, by the system for each group
    registers: int = 64 * KIB
    registers_at_once: int = 256  # allocated to a warp
    shared_at_once: int = 256


@dataclasses.dataclass(frozen=True)
class IntelSubslice:
    """What shares local memory: a dual subslice or Xe core."""
    threads: int
    local_bytes: int


@dataclasses.dataclass(frozen=True)
class Target:
    name: str  # the compiler's
    title: str
    compiler: str  # a name of compilers.COMPILERS
    devices: tuple  # whose kernels it compiles
    unit: object = None  # sizes for the estimate


CPU = Device("vector", 2048 * KIB, 4096, 8)
ANY = Device("plain", 16 * KIB, 64, 1)
INTEL = Device("simt", 64 * KIB, 512, 32)
NVIDIA = Device("simt", 48 * KIB, 1024, 32)
AMD_WAVE_64 = Device("simt", 64 * KIB, 256, 64)
AMD_WAVE_32 = Device("simt", 64 * KIB, 256, 32)

TARGETS = [
    Target("lint", "OpenCL C 1.2 with warnings as errors", "lint", (NVIDIA, CPU, ANY)),
    Target("spirv", "SPIR-V 1.2", "spirv", (NVIDIA, CPU, ANY)),
    Target("tgllp", "Intel Xe-LP (Tiger Lake)", "ocloc", (INTEL,), IntelSubslice(16 * 7, 64 * KIB)),
    Target("dg2", "Intel Xe-HPG (Arc)", "ocloc", (INTEL,), IntelSubslice(16 * 8, 128 * KIB)),
    Target("pvc", "Intel Xe-HPC (Data Center GPU Max)", "ocloc", (INTEL,), IntelSubslice(8 * 8, 128 * KIB)),
    Target("sm_75", "NVIDIA Turing", "nvptx", (NVIDIA,), NvidiaMultiprocessor(32, 16, 64 * KIB, 0)),
    Target("sm_80", "NVIDIA Ampere (A100)", "nvptx", (NVIDIA,), NvidiaMultiprocessor(64, 32, 164 * KIB, KIB)),
    Target("sm_86", "NVIDIA Ampere (RTX 30)", "nvptx", (NVIDIA,), NvidiaMultiprocessor(48, 16, 100 * KIB, KIB)),
    Target("gfx906", "AMD Vega 20", "amdgcn", (AMD_WAVE_64,)),
    Target("gfx90a", "AMD CDNA 2 (MI200)", "amdgcn", (AMD_WAVE_64,)),
    Target("gfx942", "AMD CDNA 3 (MI300)", "amdgcn19", (AMD_WAVE_64,)),
    Target("gfx1030", "AMD RDNA 2", "amdgcn", (AMD_WAVE_32,)),
    Target("gfx1100", "AMD RDNA 3", "amdgcn19", (AMD_WAVE_32,)),
]


def target_of(name):
    return next(target for target in TARGETS if target.name == name)
