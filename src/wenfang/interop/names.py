"""Which tensor of a folder becomes which weight of a model, and what is done to it on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from wenfang.interop.folder import Folder


@dataclass(kw_only=True)
class Names:
    """The plan of an import, which the reader of a family refines.

    theirs   our name of a weight to the folder's name of a tensor
    factors  what a tensor is multiplied with, by our name; 1 where it is not here
    """

    folder: Folder
    theirs: dict[str, str]
    factors: dict[str, float] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the folder gives the weight `name`."""
        return name in self.theirs

    def rows(self, name: str) -> int:
        """Length of the first axis of the weight `name`."""
        return self.folder.weights[self.theirs[name]].shape[0]

    def same(self, first: str, second: str) -> bool:
        """Whether two weights are stored as equal tensors."""
        one, other = (self.folder.weights[self.theirs[name]] for name in (first, second))
        if one.shape != other.shape:
            return False
        tensors = (self.folder.tensor(self.theirs[name]).float() for name in (first, second))
        return torch.equal(*tensors)

    def drop_copy(self, copy: str, of: str) -> None:
        """Forget the weight `copy` if it says what `of` says; it stands in for one that is gone."""
        if self.has(copy) and not self.has(of):
            self.theirs[of] = self.theirs.pop(copy)
        elif self.has(copy) and self.same(copy, of):
            del self.theirs[copy]

    def tie(self, head: str, table: str, asked: bool | None) -> bool:
        """Whether the head is the table of embeddings; its copy is forgotten then.

        asked  what the config says, None where it says nothing. As in transformers a head that
               differs from the table stays itself, whatever the config says.
        """
        if not self.has(head):
            return asked is not False
        if asked is False or not self.has(table) or not self.same(head, table):
            return False
        del self.theirs[head]
        return True


def renamed(
    names: Iterable[str], prefix: str, ignored: re.Pattern[str], old: dict[str, str]
) -> dict[str, str]:
    """Our names to theirs.

    prefix   of all weights but the heads'; a folder of the bare model leaves it out
    ignored  tensors that are no weights: masks and tables that follow from the config
    old      ends of names that older folders have, to those of today
    """
    theirs = [name for name in names if not ignored.search(name)]
    bare = bool(prefix) and not any(name.startswith(prefix) for name in theirs)
    found = {}
    for name in theirs:
        own = name
        for end, today in old.items():
            if own.endswith(end):
                own = own.removesuffix(end) + today
        if bare and not own.startswith(("lm_head.", "cls.", "classifier.")):
            own = prefix + own
        found[own] = name
    return found
