# SPDX-License-Identifier: Apache-2.0
"""The kernels that the library would build on a device, as offline_variants lists them."""
import dataclasses
import pathlib
import subprocess


@dataclasses.dataclass(frozen=True)
class Variant:
    shape: str
    dtype: str
    operation: str
    source: pathlib.Path
    kernel: str
    local_bytes: int  # that the row promises not to exceed
    work_group_size: int
    options: tuple

    def __str__(self):
        return f"{self.shape} {self.dtype} {self.operation}"

    def build(self):
        """What two variants share that a compiler cannot tell apart."""
        return self.source, self.options


def list_variants(program, folder, devices):
    """Writes the programs' sources below `folder`; one variant per shape, dtype, operation and option."""
    variants = []
    for device in devices:
        sources = pathlib.Path(folder) / device.family
        sources.mkdir()
        command = [program, sources, device.family, device.local_memory_bytes, device.max_work_group_size,
                   device.preferred_multiple, device.narrowest_sub_group]
        lines = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
        for line in lines.splitlines():
            shape, dtype, operation, name, kernel, local_bytes, work_group_size, options = line.split("\t")
            variants.append(Variant(shape, dtype, operation, sources / f"{name}.cl", kernel, int(local_bytes),
                                    int(work_group_size), tuple(options.split())))
    return variants
