"""Whether this project's own GPU kernels can be used; every one of them has a form in torch too."""

import functools
import logging

log = logging.getLogger(__name__)


@functools.cache
def usable() -> bool:
    """Whether Triton can build kernels for this process's GPU. It says once why not."""
    try:
        import triton

        triton.runtime.driver.active.get_current_target()  # builds what starts kernels
    except Exception as error:  # of a missing package, compiler or header, or an unknown GPU
        log.warning(
            "Triton cannot build kernels for this GPU, so slower operations of torch take their "
            "place. It needs a C compiler and Python's headers (on Debian: gcc and python3-dev). "
            "It says: %s",
            error,
        )
        return False
    return True
