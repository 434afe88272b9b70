"""Python without this project and all that it depends on but a few packages."""

import os
import subprocess
import sys
import sysconfig

# What torch and onnxruntime import, and what these need.
TORCH = {"torch", "torchgen", "functorch", "numpy", "typing_extensions", "sympy", "mpmath"}
TORCH |= {"networkx", "jinja2", "markupsafe", "fsspec", "filelock", "cuda", "nvidia", "triton"}
ONNX = {"onnxruntime", "numpy", "flatbuffers", "google", "packaging", "sympy", "mpmath"}
START = """
import sys
from importlib.machinery import PathFinder
allowed = {allowed}
class Few(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        top = name.partition(".")[0]
        known = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        return super().find_spec(name, path, target) if known or top in allowed else None
sys.meta_path[:] = [Few if one is PathFinder else one for one in sys.meta_path]
sys.path.append({packages!r})
"""


def run_alone(code, folder, allowed):
    """Run `code` in the folder, where only the standard library and these packages are found.

    -I and -S: neither PYTHONPATH, nor the folder, nor packages that are installed as links.
    """
    start = START.format(allowed=sorted(allowed), packages=sysconfig.get_path("purelib"))
    argv = [sys.executable, "-I", "-S", "-c", start + code]
    env = os.environ | {"OMP_NUM_THREADS": "1"}  # networks of tests are small
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
