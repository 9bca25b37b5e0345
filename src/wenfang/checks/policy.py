"""What is done when a check fails, for each use that content is made for.

A policy is a JSON file, strict, every part of it optional:

    {"uses": {
      "default":   {"checks": {"personal": {"action": "block"}}, "listed": ["..."]},
      "marketing": {"checks": {"longest_copy": {"threshold": 24}, "form": {"action": "off"}},
                    "allowed": ["010-62345678"], "folders": ["our texts"]}
    }}

A use is any name. What it leaves out it takes from the file's "default", and that from the
built-in policy (`ACTIONS`); words and folders add up. Folders are relative to the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from wenfang.checks.check import Check
from wenfang.config import from_dict, nearest
from wenfang.errors import ConfigError, NotFoundError

Action = Literal["block", "repair", "warn", "off"]
LIMIT_BYTES = 1 << 20
DEFAULT = "default"

# What the built-in policy does when a check fails.
ACTIONS: dict[str, Action] = {
    "form": "repair",
    "facts": "repair",
    "copied_lines": "repair",
    "longest_copy": "repair",
    "near_copy": "repair",
    "folder_copy": "repair",
    "words": "repair",
    "offence": "repair",
    "personal": "repair",
    "picture_copy": "repair",
    "picture_neighbour": "repair",
    "melody_copy": "repair",
    "sound_clipping": "repair",
    "sound_silence": "repair",
    "sound_loudness": "repair",
    "speech_timing": "repair",
    "film_timing": "repair",
    "batch_sameness": "repair",
    "repeated_text": "repair",
    "rights": "block",
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a use asks of one check; None leaves it as it is.

    action     block: nothing is made; repair: draw again; warn: the report says so; off: not asked
    threshold  another than the check's own
    """

    action: Action | None = None
    threshold: float | None = None


@dataclass(frozen=True, kw_only=True)
class Use:
    """What one use asks: rules by the names of checks, words, and folders to compare with."""

    checks: dict[str, Rule] = field(default_factory=dict)
    listed: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def over(self, other: Use) -> Use:
        """This use where it says something, `other` where it does not."""
        names = {**other.checks, **self.checks}
        return Use(
            checks={name: _over(self.checks.get(name), other.checks.get(name)) for name in names},
            listed=(*other.listed, *self.listed),
            allowed=(*other.allowed, *self.allowed),
            folders=(*other.folders, *self.folders),
        )

    def judged(self, check: Check) -> Check:
        """`check` with this use's action where it failed."""
        rule = self.checks.get(check.name)
        if check.verdict not in ("repair", "block") or rule is None:
            return check
        if rule.action is None or rule.action == "off":
            return check
        return replace(check, verdict=rule.action)

    @property
    def thresholds(self) -> dict[str, float]:
        """Thresholds that this use sets, by check."""
        return {
            name: rule.threshold for name, rule in self.checks.items() if rule.threshold is not None
        }


def _over(rule: Rule | None, other: Rule | None) -> Rule:
    one, two = rule or Rule(), other or Rule()
    return Rule(
        action=one.action or two.action,
        threshold=two.threshold if one.threshold is None else one.threshold,
    )


BUILT_IN = Use(checks={name: Rule(action=action) for name, action in ACTIONS.items()})


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Uses by name; an empty one is the built-in policy."""

    uses: dict[str, Use] = field(default_factory=dict)

    def use(self, name: str = DEFAULT) -> Use:
        """Everything that holds for a use; NotFoundError if the policy does not name it."""
        common = self.uses.get(DEFAULT, Use()).over(BUILT_IN)
        if name == DEFAULT:
            return common
        if name not in self.uses:
            raise NotFoundError(
                "the policy has no use {name}; did you mean {close}? There are: {names}",
                name=name,
                close=nearest(name, self.uses) or DEFAULT,
                names=", ".join(dict.fromkeys((DEFAULT, *self.uses))),
            )
        return self.uses[name].over(common)


POLICY = Policy()


def policy_from(data: object, where: str = "policy") -> Policy:
    """A policy from JSON values; ConfigError names the field that is wrong and the nearest."""
    policy = from_dict(Policy, data, where=where)
    for name, use in policy.uses.items():
        _check_names(use, f"{where}.uses.{name}")
        _check_words(use, f"{where}.uses.{name}")
    return policy


def _check_names(use: Use, where: str) -> None:
    for name in use.checks:
        if name not in ACTIONS:
            raise ConfigError(
                "{where}: there is no check {name}; did you mean {close}? There are: {names}",
                where=f"{where}.checks",
                name=name,
                close=nearest(name, ACTIONS) or next(iter(ACTIONS)),
                names=", ".join(ACTIONS),
            )


def _check_words(use: Use, where: str) -> None:
    for word in (*use.listed, *use.allowed):
        if not any(map(str.isalnum, word)):
            raise ConfigError("{where}: a word without a letter or digit; remove it", where=where)


def read_policy(path: Path) -> Policy:
    """The policy in a JSON file, its folders made absolute; ConfigError where it is none."""
    data = _read_json(path)
    policy = policy_from(data, path.name)
    return Policy(
        uses={name: _absolute(use, path.parent.absolute()) for name, use in policy.uses.items()}
    )


def _absolute(use: Use, folder: Path) -> Use:
    return replace(use, folders=tuple(str(folder / one) for one in use.folders))


def _read_json(path: Path) -> object:
    try:
        with path.open("rb") as stream:
            payload = stream.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            "{path} cannot be read ({reason}); give a policy file",
            path=path,
            reason=error.strerror,
        ) from None
    if len(payload) > LIMIT_BYTES:
        raise ConfigError("{path} is no policy; it has more than a megabyte", path=path)
    try:
        content: object = json.loads(payload.decode("utf-8-sig"), object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ConfigError(
            "{path} is not JSON (line {line}, column {column}); correct it",
            path=path,
            line=error.lineno,
            column=error.colno,
        ) from None
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise ConfigError("{path} is not UTF-8 JSON with every name once", path=path) from None
    return content


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    """An object whose names are all different; ValueError otherwise."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name comes twice")
    return content
