"""The licence of a folder, as the front matter of its README says it.

Hugging Face writes SPDX names in lower case, names of its own (llama3, gemma), or `other` with a
`license_name`. What is no SPDX name becomes a LicenseRef; what is not said stays unknown.
"""

from __future__ import annotations

import re
from pathlib import Path

from wenfang.data.request import UNKNOWN_LICENCE
from wenfang.errors import UsageError
from wenfang.interop.folder import read_text

README = "README.md"
FRONT_LINES_MAX = 400
SPDX = """
0BSD AFL-3.0 AGPL-3.0 Apache-2.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSD-3-Clause-Clear
BSL-1.0 CC0-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0
CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0 CC-BY-NC-SA-2.0 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0 CC-BY-ND-4.0
CC-BY-SA-3.0 CC-BY-SA-4.0 EPL-2.0 EUPL-1.2 GPL-2.0 GPL-3.0 ISC LGPL-2.1 LGPL-3.0 MIT MPL-2.0
MS-PL NCSA ODbL-1.0 OFL-1.1 OSL-3.0 PDDL-1.0 PostgreSQL Unlicense WTFPL Zlib ODC-By-1.0
"""
BY_LOWER_CASE = {name.lower(): name for name in SPDX.split()}
UNSAID = {"", "unknown", "other", "none", "null", "noassertion"}
EXPRESSION = re.compile(r"\(?[A-Za-z0-9.+-]+\)?( (AND|OR|WITH) \(?[A-Za-z0-9.+-]+\)?)*")
LENGTH_MAX = 200


def front_matter(text: str) -> dict[str, list[str]]:
    """The top-level fields of a README's front matter that are words or lists of words.

    Only so much of YAML as such fields need: `name: word`, `name: [a, b]`, and `- word` below.
    """
    lines = text.lstrip("\ufeff").splitlines()[:FRONT_LINES_MAX]
    if not lines or lines[0].strip() != "---":
        return {}
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines[1:]:
        if line.strip() == "---":
            return found
        if matched := re.fullmatch(r"([A-Za-z_]+):\s*(.*)", line):
            name, value = matched.groups()
            inner = value.strip().removeprefix("[").removesuffix("]")
            found[name] = [word for part in inner.split(",") if (word := _word(part))]
        elif name and (matched := re.fullmatch(r"\s*-\s+(.*)", line)):
            found[name].append(_word(matched[1]))
        elif line.strip() and not line[0].isspace():
            name = ""
    return {}  # it never ended


def _word(text: str) -> str:
    return text.strip().strip("'\"").strip()


def spdx(name: str) -> str:
    """A licence's name as an SPDX expression; UNKNOWN_LICENCE for one that says nothing."""
    name = name.strip()
    if name.lower() in UNSAID or len(name) > LENGTH_MAX:
        return UNKNOWN_LICENCE
    if name.lower() in BY_LOWER_CASE:
        return BY_LOWER_CASE[name.lower()]
    base, suffix, _ = re.split(r"(-only|-or-later|$)", name, maxsplit=1, flags=re.IGNORECASE)
    if base.lower() in BY_LOWER_CASE:
        return BY_LOWER_CASE[base.lower()] + suffix.lower()
    joined = any(f" {word} " in name for word in ("AND", "OR", "WITH"))
    if EXPRESSION.fullmatch(name) and (joined or name.startswith("LicenseRef-")):
        return name
    return "LicenseRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")


def folder_licence(folder: Path) -> str:
    """The licence that a folder's README names; UNKNOWN_LICENCE where it names none."""
    if not (folder / README).is_file():
        return UNKNOWN_LICENCE
    fields = front_matter(read_text(folder / README))
    names = fields.get("license") or fields.get("licence") or []
    if [name.lower() for name in names] == ["other"]:
        names = fields.get("license_name", [])
    said = [spdx(name) for name in names]
    if not said or UNKNOWN_LICENCE in said:
        return UNKNOWN_LICENCE
    return " AND ".join(dict.fromkeys(f"({one})" if " OR " in one else one for one in said))


def given_licence(name: str) -> str:
    """A licence that a user states; UsageError where it is no SPDX expression."""
    if not EXPRESSION.fullmatch(name.strip()) or len(name) > LENGTH_MAX:
        raise UsageError(
            "{licence} is no SPDX licence expression; write it as Apache-2.0 or MIT AND ISC",
            licence=name[:80],
        )
    return BY_LOWER_CASE.get(name.strip().lower(), name.strip())
