"""The checks as one house wants them: a policy, a use of it, and folders to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wenfang.checks import POLICY, Material, Policy, Report, judge, policy_from, read_policy
from wenfang.checks.policy import DEFAULT
from wenfang.config import to_dict
from wenfang.data.comparison import Comparison, read_comparison


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """Asks checks about material; the built-in policy and no folder unless told otherwise."""

    policy: Policy = POLICY
    use: str = DEFAULT
    compared: Comparison | None = None

    @classmethod
    def of(
        cls,
        policy: Path | None,
        use: str = DEFAULT,
        against: Sequence[Path] = (),
        cache: Path | None = None,
    ) -> Judge:
        """Read a policy file and the folders that it and the user name; clear errors for both.

        cache  a folder that keeps the folders' indexes
        """
        read = read_policy(policy) if policy else POLICY
        folders = [*(Path(one) for one in read.use(use).folders), *against]
        compared = read_comparison(folders, cache) if folders else None
        return cls(policy=read, use=use, compared=compared)

    def ask(self, material: Material, names: Iterable[str]) -> Report:
        """The checks `names` on `material`, compared with the folders."""
        return judge(replace(material, compared=self.compared), names, self.policy, self.use)

    def record(self) -> dict[str, Any]:
        """What a replay needs to judge alike; folders are told by their being there, not named."""
        uses: Any = {} if self.policy is POLICY else to_dict(self.policy)["uses"]
        bare = {name: {**one, "folders": []} for name, one in uses.items()}
        return {"uses": bare, "use": self.use, "compared": self.compared is not None}

    @classmethod
    def recalled(cls, record: object) -> Judge:
        """The judge of such a record, without its folders; ConfigError if it is none."""
        if not isinstance(record, dict):
            return cls()
        policy = policy_from({"uses": record.get("uses", {})}, "request") if record else POLICY
        return cls(policy=policy, use=str(record.get("use", DEFAULT)))
