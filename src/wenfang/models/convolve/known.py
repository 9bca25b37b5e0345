"""Other forms of weights that rest: each is made once and kept as long as its owner."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


class Known:
    """Forms by kind and weight; a weight is kept with them, so that its id stays its own."""

    def __init__(self) -> None:
        self._forms: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}

    def form(self, kind: str, weight: Tensor, make: Callable[[], Tensor]) -> Tensor:
        """The form of that kind, made where it is not there yet."""
        key = kind, id(weight)
        if key not in self._forms:
            self._forms[key] = weight, make()
        return self._forms[key][1]
