"""Kernels for GPUs that are not here: compiled to machine code, by Triton's own compiler."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")
SCRIPT = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from vie.clips import color_kernel
from vie.objectives import bank_kernel

NUMBERS = {"T": "i32", "HW": "i32", "blocks": "i32", "K": "i32", "D": "i32"}
POINTERS = {"clips": "*u8", "orders": "*i64", "greys": "*u8", "rows": "*i64"}


def compiled(kernel, capability, constants, out="fp32"):
    types = NUMBERS | POINTERS | {"out": f"*{out}"} | dict.fromkeys(constants, "constexpr")
    signature = {name: types.get(name, "*fp32") for name in kernel.arg_names}
    source = ASTSource(kernel, signature, constants)
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    assert len(made.asm["cubin"]) > 1000


for capability in (80, 90, 100):
    compiled(color_kernel._luma_sums, capability, {"BLOCK": 1024})
    sizes = {"BLOCK": 1024, "BLOCKS": 64}
    absent = dict.fromkeys(("factors", "orders", "greys", "sums"))
    for out in ("fp32", "bf16"):
        compiled(color_kernel._finish, capability, {"JITTER": True} | sizes, out)
        compiled(color_kernel._finish, capability, {"JITTER": False} | sizes | absent, out)
    tile = {"BLOCK_K": 64, "BLOCK_D": 128}
    compiled(bank_kernel._similarities, capability, tile)
    compiled(bank_kernel._gradient, capability, tile | {"SPAN": 512})
"""


@pytest.mark.slow
def test_kernels_compile_for_gpus_of_three_generations(tmp_path):
    settings = {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
