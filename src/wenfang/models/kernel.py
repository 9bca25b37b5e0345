"""Functions that numba compiles; imported only where numba is (`wenfang[fast]`).

numba keeps compiled code in __pycache__ beside the function's file, or in the user's cache folder
where that cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any, TypeVar, cast

import numba
import torch

Function = TypeVar("Function", bound=Callable[..., Any])

_ONE_AT_A_TIME = Lock()
# Sums may be reordered, which is what lets them use vector units; infinities keep their meaning.
REORDERED = {"reassoc", "contract", "nsz", "arcp"}


def kernel(function: Function) -> Function:
    """Compile at the first call for the types that it is given; other threads go on meanwhile."""
    compiled: Function = numba.njit(
        nogil=True, cache=True, fastmath=REORDERED, error_model="numpy"
    )(function)
    return compiled


def shared_kernel(function: Function) -> Function:
    """The same for a function whose `prange` loops are shared by threads.

    One call runs at a time, since not every way that numba has of sharing work bears more; as many
    threads take part as torch uses.
    """
    compiled = numba.njit(
        nogil=True, parallel=True, cache=True, fastmath=REORDERED, error_model="numpy"
    )(function)

    @wraps(function)
    def alone(*arguments: Any) -> None:
        with _ONE_AT_A_TIME:
            count = torch.get_num_threads()
            numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
            compiled(*arguments)
            # numba begins its threads at the first call, and sets OpenMP's number, which is torch's
            # as well, to that of all cores.
            if torch.get_num_threads() != count:
                torch.set_num_threads(count)

    return cast(Function, alone)
