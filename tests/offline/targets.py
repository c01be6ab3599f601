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
    narrowest_sub_group: int = 0


def round_up(number, unit):
    return (number + unit - 1) // unit * unit


@dataclasses.dataclass(frozen=True)
class NvidiaMultiprocessor:
    max_warps: int
    max_groups: int
    shared_bytes: int
    reserved_bytes: int  # of shared memory, by the system for each group

    def occupancy(self, report, work_group_size):
        warps = round_up(work_group_size, 32) // 32
        if report.registers is None:
            return None
        registers = round_up(report.registers * 32, 256)  # as a warp gets them, of 64 Ki
        groups = min(64 * KIB // registers // warps, self.max_warps // warps, self.max_groups,
                     self.shared_bytes // (round_up(report.local_bytes, 256) + self.reserved_bytes or 1))
        return groups * warps / self.max_warps


@dataclasses.dataclass(frozen=True)
class IntelSubslice:
    """What shares local memory: a dual subslice or Xe core. Each of its threads has registers of its own."""
    threads: int
    local_bytes: int

    def occupancy(self, report, work_group_size):
        threads = round_up(work_group_size, report.sub_group_size) // report.sub_group_size
        groups = min(self.threads // threads, self.local_bytes // (round_up(report.local_bytes, KIB) or 1))
        return groups * threads / self.threads


@dataclasses.dataclass(frozen=True)
class AmdSimd:
    max_waves: int

    def occupancy(self, report, work_group_size):
        return report.waves / self.max_waves


@dataclasses.dataclass(frozen=True)
class Target:
    name: str  # the compiler's
    title: str
    compiler: str  # a name of compilers.COMPILERS
    devices: tuple  # whose kernels it compiles
    unit: object = None  # what its work-groups share, for the estimate of occupancy


CPU = Device("vector", 2048 * KIB, 4096, 8)
ANY = Device("plain", 16 * KIB, 64, 1)
XE_LP = Device("simt", 64 * KIB, 512, 32, 8)
XE_HPG = Device("simt", 64 * KIB, 1024, 32, 8)
XE_HPC = Device("simt", 128 * KIB, 1024, 32, 16)
NVIDIA = Device("simt", 48 * KIB, 1024, 32)
AMD_WAVE_64 = Device("simt", 64 * KIB, 256, 64)
AMD_WAVE_32 = Device("simt", 64 * KIB, 256, 32)

TARGETS = [
    Target("lint", "OpenCL C 1.2 with warnings as errors", "lint", (NVIDIA, CPU, ANY)),
    Target("spirv", "SPIR-V 1.2", "spirv", (NVIDIA, CPU, ANY)),
    Target("tgllp", "Intel Xe-LP (Tiger Lake)", "ocloc", (XE_LP,), IntelSubslice(16 * 7, 64 * KIB)),
    Target("dg2", "Intel Xe-HPG (Arc)", "ocloc", (XE_HPG,), IntelSubslice(16 * 8, 128 * KIB)),
    Target("pvc", "Intel Xe-HPC (Data Center GPU Max)", "ocloc", (XE_HPC,), IntelSubslice(8 * 8, 128 * KIB)),
    Target("sm_75", "NVIDIA Turing", "nvptx", (NVIDIA,), NvidiaMultiprocessor(32, 16, 64 * KIB, 0)),
    Target("sm_80", "NVIDIA Ampere (A100)", "nvptx", (NVIDIA,), NvidiaMultiprocessor(64, 32, 164 * KIB, KIB)),
    Target("sm_86", "NVIDIA Ampere (RTX 30)", "nvptx", (NVIDIA,), NvidiaMultiprocessor(48, 16, 100 * KIB, KIB)),
    Target("gfx906", "AMD Vega 20", "amdgcn", (AMD_WAVE_64,), AmdSimd(10)),
    Target("gfx90a", "AMD CDNA 2 (MI200)", "amdgcn", (AMD_WAVE_64,), AmdSimd(8)),
    Target("gfx942", "AMD CDNA 3 (MI300)", "amdgcn19", (AMD_WAVE_64,), AmdSimd(8)),
    Target("gfx1030", "AMD RDNA 2", "amdgcn", (AMD_WAVE_32,), AmdSimd(16)),
    Target("gfx1100", "AMD RDNA 3", "amdgcn19", (AMD_WAVE_32,), AmdSimd(16)),
]


def target_of(name):
    return next(target for target in TARGETS if target.name == name)
