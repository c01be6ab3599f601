# SPDX-License-Identifier: Apache-2.0
"""Device compilers that run without a device, and their reports of what a kernel takes.

Each has missing(), the reason why it cannot run here or None; version(); and compile(target, variant, folder), which
gives a Report or raises CompileFailed. `folder` is the caller's, empty, and is removed by it.
"""
import dataclasses
import functools
import os
import pathlib
import re
import shutil
import subprocess

SOURCE_ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBCLC_15 = pathlib.Path("/usr/lib/clc")
CLANG_19_ROOT = SOURCE_ROOT / "build-clang-19" / "usr"  # where tools/setup.sh --matrix unpacks it
TIME_LIMIT = 300  # seconds for one kernel


class CompileFailed(Exception):
    """The compiler's words."""


@dataclasses.dataclass
class Report:
    """What one kernel takes; None where the compiler does not say."""
    registers: int = None  # of one work-item
    spills: int = 0  # registers, or bytes where the compiler counts those
    scratch_bytes: int = 0  # memory of a work-item, or of those of a hardware thread
    local_bytes: int = 0
    sub_group_size: int = None
    waves: int = None  # of a SIMD unit, by the compiler's estimate

    def complaints(self, promised_local_bytes):
        if self.spills > 0:
            yield f"spills: {self.spills}"
        elif self.scratch_bytes > 0:  # else it is, or may be, where the spilled registers are
            yield f"scratch memory: {self.scratch_bytes} bytes"
        if self.local_bytes > promised_local_bytes:
            yield f"local memory: {self.local_bytes} bytes, the row promises {promised_local_bytes}"


def run(command, env=None):
    """The compiler's output, both streams; its failure is ours."""
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors="replace", env=env, timeout=TIME_LIMIT, check=False)
    if result.returncode != 0:
        raise CompileFailed(f"status {result.returncode}\n{result.stdout}")
    return result.stdout


def first_missing(programs, files=()):
    for program in programs:
        if shutil.which(str(program)) is None:
            return f"{program} not found"
    for file in files:
        if not pathlib.Path(file).exists():
            return f"{file} not found"
    return None


@functools.cache
def version_of(*command, env=None):
    numbers = re.findall(r"\d+\.\d+(?:\.\d+)*", run(command, env=dict(env) if env else None))
    return numbers[0] if numbers else "unknown"


def clang_command(clang, variant, *arguments):
    """OpenCL C with clang's own header; diagnostics of one line."""
    return [clang, "-x", "cl", *variant.options, "-Xclang", "-finclude-default-header", "-fno-caret-diagnostics",
            *arguments, variant.source]


def with_libclc(bitcode):
    return ["-Xclang", "-mlink-builtin-bitcode", "-Xclang", bitcode, "-Wno-linker-warnings"]


class Lint:
    """Warnings as errors. Helpers that one program or one option does not use stay: there is one source for all."""
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Wdouble-promotion", "-Werror", "-Wno-unused-function",
                "-Wno-unused-parameter"]

    def missing(self):
        return first_missing(["clang-15"])

    def version(self):
        return f"clang {version_of('clang-15', '--version')}"

    def compile(self, target, variant, folder):
        run(clang_command("clang-15", variant, "-target", "spir64", "-fsyntax-only", *self.warnings))
        return Report()


class Spirv:
    """A module that the validator takes. Without LLVM's passes: they make what the translator cannot say in SPIR-V."""

    def missing(self):
        return first_missing(["clang-15", "llvm-spirv-15", "spirv-val"])

    def version(self):
        return f"clang {version_of('clang-15', '--version')}, llvm-spirv {version_of('llvm-spirv-15', '--version')}"

    def compile(self, target, variant, folder):
        bitcode = folder / "kernel.bc"
        module = folder / "kernel.spv"
        run(clang_command("clang-15", variant, "-target", "spir64", "-O2", "-Xclang", "-disable-llvm-passes",
                          "-emit-llvm", "-c", "-o", bitcode))
        run(["llvm-spirv-15", "--spirv-max-version=1.2", bitcode, "-o", module])
        run(["spirv-val", "--target-env", "opencl2.2", module])
        return Report()


class Amdgcn:
    """LLVM's report: https://llvm.org/docs/AMDGPUUsage.html, kernel-resource-usage."""

    def __init__(self, clang, libclc, env=None):
        self.clang = clang
        self.bitcode = pathlib.Path(libclc) / "amdgcn--amdhsa.bc"
        self.env = env

    def missing(self):
        return first_missing([self.clang], [self.bitcode])

    def version(self):
        return f"clang {version_of(self.clang, '--version', env=self.env and tuple(self.env.items()))}"

    def compile(self, target, variant, folder):
        output = run(clang_command(self.clang, variant, "-target", "amdgcn-amd-amdhsa", f"-mcpu={target.name}",
                                   "-nogpulib", *with_libclc(self.bitcode), "-O3",
                                   "-Rpass-analysis=kernel-resource-usage", "-c", "-o", folder / "kernel.o"), self.env)
        usage = dict(re.findall(r"remark: +([A-Za-z][^:]*): (\S+) \[-Rpass-analysis", output))
        try:
            return Report(registers=int(usage["VGPRs"]) + int(usage.get("AGPRs", 0)),
                          spills=int(usage["VGPRs Spill"]) + int(usage["SGPRs Spill"]),
                          scratch_bytes=int(usage["ScratchSize [bytes/lane]"]),
                          local_bytes=int(usage["LDS Size [bytes/block]"]),
                          waves=int(usage["Occupancy [waves/SIMD]"]))
        except KeyError as missing:
            raise CompileFailed(f"no {missing} in the report:\n{output}") from None


class Nvptx:
    """PTX by clang, and what ptxas makes of it; without a CUDA toolkit, what PTX itself tells."""

    def missing(self):
        return first_missing(["clang-15"], [self.bitcode])

    bitcode = LIBCLC_15 / "nvptx64--nvidiacl.bc"

    @property
    def ptxas(self):
        return shutil.which("ptxas") or shutil.which("ptxas", path="/usr/local/cuda/bin")

    def version(self):
        ptxas = f"ptxas {version_of(self.ptxas, '--version')}" if self.ptxas else "no ptxas"
        return f"clang {version_of('clang-15', '--version')}, {ptxas}"

    def compile(self, target, variant, folder):
        ptx = folder / "kernel.ptx"
        run(clang_command("clang-15", variant, "-target", "nvptx64-nvidia-nvcl", "-Xclang", "-target-cpu", "-Xclang",
                          target.name, "-Xclang", "-target-feature", "-Xclang", "+ptx75", *with_libclc(self.bitcode),
                          "-O3", "-S", "-o", ptx))
        if not self.ptxas:
            return self.report_of_ptx(ptx.read_text(encoding="ascii"))
        output = run([self.ptxas, f"-arch={target.name}", "-v", ptx, "-o", folder / "kernel.cubin"])
        return self.report_of_ptxas(output)

    @staticmethod
    def report_of_ptx(text):
        """Registers are still virtual here; local memory and arrays of a work-item are not."""
        arrays = re.findall(r"\.(local|shared)\b[^;\n]*\.b8\s+\S+\[(\d+)\]", text)
        return Report(scratch_bytes=sum(int(size) for space, size in arrays if space == "local"),
                      local_bytes=sum(int(size) for space, size in arrays if space == "shared"))

    @staticmethod
    def report_of_ptxas(output):
        def number(pattern, default=None):
            found = re.search(pattern, output)
            if found is None and default is None:
                raise CompileFailed(f"ptxas says nothing of {pattern}:\n{output}")
            return int(found.group(1)) if found else default

        spills = number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads")
        stack_bytes = number(r"(\d+) bytes stack frame")
        return Report(registers=number(r"Used (\d+) registers"), spills=spills,
                      scratch_bytes=stack_bytes, local_bytes=number(r"(\d+) bytes smem", 0))


class Ocloc:
    """Intel's compiler for graphics. It says "Build succeeded" after some errors, and of spills in its output only."""

    def missing(self):
        return first_missing(["ocloc"])

    def version(self):
        package = run(["dpkg-query", "-W", "-f", "${Version}", "intel-opencl-icd"]) if shutil.which("dpkg-query") else ""
        return f"ocloc {package or 'unknown'}"

    def compile(self, target, variant, folder):
        # The format with a readable description of each kernel, as newer drivers have it without being asked.
        output = run(["ocloc", "compile", "-file", variant.source, "-device", target.name, "-output", "kernel",
                      "-out_dir", folder, "-options", " ".join(variant.options), "-internal_options",
                      "-cl-intel-allow-zebin"])
        binaries = list(folder.glob("*.bin"))
        if "Build succeeded" not in output or re.search(r"error|invalid|fail", output, re.IGNORECASE) or not binaries:
            raise CompileFailed(output)
        description = self.description_of(binaries[0].read_bytes(), variant.kernel)
        in_output = re.search(r"spilled around (\d+)", output)
        spills = max(int(in_output.group(1)) if in_output else 0, number_after("spill_size", description))
        return Report(registers=number_after("grf_count", description), spills=spills,
                      scratch_bytes=self.scratch_bytes(description),
                      local_bytes=number_after("slm_size", description),
                      sub_group_size=number_after("simd_size", description))

    @staticmethod
    def description_of(binary, kernel):
        """The lines on one kernel in the binary's .ze_info, which is text."""
        text = binary.decode("latin-1")
        for entry in re.findall(rf"^  - name: +{kernel}\n((?:    .*\n)+)", text, re.MULTILINE):
            if "execution_env:" in entry:
                return entry
        raise CompileFailed("the binary does not describe the kernel")

    @staticmethod
    def scratch_bytes(description):
        """Memory of the work-items of a hardware thread, of whatever use."""
        _, _, buffers = description.partition("per_thread_memory_buffers:")
        return sum(int(size) for size in re.findall(r"^ +size: +(\d+)", buffers, re.MULTILINE))


def number_after(key, description):
    found = re.search(rf"\b{key}: +(\d+)", description)
    return int(found.group(1)) if found else 0


def clang_19_environment():
    """clang 19 lies unpacked beside the system: its libclc cannot be installed next to the one that others need."""
    libraries = [CLANG_19_ROOT / "lib" / "x86_64-linux-gnu", CLANG_19_ROOT / "lib" / "llvm-19" / "lib"]
    return dict(os.environ, LD_LIBRARY_PATH=":".join(str(folder) for folder in libraries))


COMPILERS = {
    "lint": Lint(),
    "spirv": Spirv(),
    "ocloc": Ocloc(),
    "nvptx": Nvptx(),
    "amdgcn": Amdgcn("clang-15", LIBCLC_15),
    "amdgcn19": Amdgcn(CLANG_19_ROOT / "lib" / "llvm-19" / "bin" / "clang", CLANG_19_ROOT / "lib" / "clc",
                       clang_19_environment()),
}
