"""Compiles the C kernels of chiffres.native where a compiler is there; all else: pyproject.toml."""

import os
import platform

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

INSTRUCTION_SETS = {"baseline": []}
if platform.machine().lower() in {"x86_64", "amd64"}:
    INSTRUCTION_SETS["avx2"] = ["-mavx2", "-mfma"]
    INSTRUCTION_SETS["avx512"] = [*["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"]]
FLAGS = ["-std=c11", "-O3", "-ffp-contract=fast", "-Wno-psabi"]


class BuildKernels(build_ext):
    """Builds plain shared libraries, with OpenMP where the compiler has it."""

    def build_extension(self, ext):
        """Compile one library; setuptools skips it, with a warning, where that fails."""
        try:
            self._build(ext, ["-fopenmp"])
        except (CompileError, LinkError):
            self._build(ext, [])

    def _build(self, ext, openmp):
        ext.extra_compile_args = [*FLAGS, *INSTRUCTION_SETS[ext.name.rpartition("_")[2]], *openmp]
        ext.extra_link_args = openmp
        ext.libraries = [] if os.name == "nt" else ["m"]
        super().build_extension(ext)

    def get_export_symbols(self, ext):
        """Export what kernels.c exports: these are no Python modules."""
        return ext.export_symbols


setup(
    ext_modules=[
        Extension(
            f"chiffres.native._kernels_{name}", ["src/chiffres/native/kernels.c"], optional=True
        )
        for name in INSTRUCTION_SETS
    ],
    cmdclass={"build_ext": BuildKernels},
)
