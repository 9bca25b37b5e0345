"""How copy may tell a venue's facts: phrases that tell each, and words that would tell another.

Found by reading the training texts of the E2E set. It serves the writer alone: what judges copy
(`checks.facts`) has words and code of its own, so that one's blind spot is not the other's.

Patterns are matched on lower-case text in which slots stand as `<name>`, `<near>`, `<food>` and
`<area>`. What is banned is matched at the end of a text that is still being written, so a pattern
bites as soon as its last letter stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wenfang.data.venue import REPEATED

# Words for one degree, of prices or of ratings.
DEGREES = {"low": r"low(?:er|ly)?", "average": r"(?:average|medium|mid|middle)",
           "high": r"high(?:er|ly)?"}  # fmt: skip
PRICE_DEGREE = {"cheap": "low", "moderate": "average", "high": "high"}
RATING_DEGREE = {degree: degree for degree in DEGREES}
_RATED = r"(?:rat(?:ing|ed)|review|satisfaction|customer)"
_RATING_IS = r"rat(?:ing|ings|ed)(?: is| are| of| at| as| it)*(?: an?)?(?: very| only)? "

PRICE_TOLD = {
    "cheap": r"\bcheap|\blow(?:er)?[- ]pric|\bpric\w+(?: range)? (?:is|are) low\b",
    "moderate": r"\bmoderate(?:ly)?\b",
    "high": r"\bhigh(?:er|ly)?[- ]pric|\bpric\w+(?: range)? (?:is|are) high\b|\bexpensive\b",
    "less than £20": r"\b(?:less than|under|below) £?20\b",
    "£20-25": r"£?\b20 ?(?:-|to|and) ?£?25\b",
    "more than £30": r"\b(?:more than|over|above) £?30\b",
}
RATING_TOLD = {
    **{
        degree: rf"\b{words}[- ](?:customer )?(?:service )?{_RATED}|\b{_RATING_IS}{words}\b"
        for degree, words in DEGREES.items()
    },
    **{f"{figure} out of 5": rf"\b{figure} out of 5\b" for figure in (1, 3, 5)},
}
KIND_TOLD = {"restaurant": r"\brestaurant", "pub": r"\bpub\b", "coffee shop": r"\bcoffee shop"}
KIND_WORDS = {"pub": r"\bpub|\bbar|\btavern|\binn\b|\balehouse", "coffee shop": r"\bcoffee|\bcaf",
              "restaurant": r"\bdiner|\bbistro|\beater"}  # fmt: skip
FOOD_TOLD = {food: rf"\b{food.lower()}\b" for food in
             ("Chinese", "English", "French", "Indian", "Italian", "Japanese")}  # fmt: skip
FOOD_TOLD["Fast food"] = r"\bfast[ -]food\b"
FOOD_WORDS = {**{food: rf"\b{food.lower()}" for food in FOOD_TOLD}, "Fast food": r"\bfast"}
AREA_TOLD = {
    "riverside": r"\briver",
    "city centre": r"\b(?:city|town) cent(?:re|er)\b|\bcent(?:re|er) of (?:the )?(?:city|town)\b",
}
AREA_WORDS = {
    "riverside": r"\briver|\bwater|\bthames|\bbank",
    "city centre": r"\bcity|\bcent|\btown|\bdown",
}
_KIN = r"(?:famil(?:y|ies)|kids?|child(?:ren)?)"
_KIN_STEM = r"\b(?:famil|kid|child|toddler|baby|babies)"
_FOR = r"(?:suitable|recommended|appropriate|meant|intended|ideal|good|designed)"
_NOT = (
    r"(?:\bnot|n't|\bnon|\bno|\bdoes not|\bnot really)[ -]"
    rf"(?:an? |the |all |very |really |so |welcome |allow |{_FOR} for |(?:young|small) )*"
)
FRIENDLY_TOLD = {
    "yes": rf"\b{_KIN}[- ](?:and \w+[- ])?(?:friendly|oriented)"
    rf"|\bwelcom\w+ (?:to )?(?:all )?{_KIN}|\b{_KIN} (?:are|is) (?:very )?welcome"
    rf"|\bsuitable for (?:the whole |all |all the )?{_KIN}",
    "no": rf"{_NOT}{_KIN}[- ](?:friendly|oriented)|\bnot {_FOR} for {_KIN}"
    rf"|\bno {_KIN}\b|\bnot (?:allow|welcome) {_KIN}",
}
# Said of no venue whose facts these are: opinions, dishes, other towns and coins, other figures.
NEVER = (
    r"\b(?:great|good|best|top|excellent|nice|perfect|lovely|fantastic|amazing|wonderful|superb"
    r"|delicious|tasty|poor|bad|terrible|decent|reasonab|fair|afford|inexpens|pricey|costly|budget"
    r"|bargain|premium|value|quality|popular|famous|recommend|worth|outstanding|exceptional"
    r"|mediocre|unfortunately|luckily|only|just|still)",
    rf"\bmoderate\w*[- ](?:customer )?{_RATED}",
    rf"\b{_RATING_IS}moderate",
    r"\bof is\b",
    r"\b(?:sushi|pasta|pizza|wine|cheese|breakfast|lunch|dinner|curry|burger|hamburger|fries|chips"
    r"|fish|beer|tea\b|noodle|steak|fruit|snack|spaghetti|vegetarian|american|mexican|thai|spanish"
    r"|greek|british|european|asian|oriental|uk\b)",
    r"\b(?:cambridge|london|north|south|east|west|outside|outskirt|downtown|suburb|village)",
    r"\b(?:euro|dollar|quid|star|one\b|two\b|three|four|five|ten\b|twenty|thirty|percent|half)",
    r"\b(?:take|deliver|menu|staff|service|atmospher|view|cosy|cozy|play|park|open|late)",
    r"\b(?:all ages|everyone|adult\w* and)",
    r"\b(?:opposite|across|adjacent|behind|inside|next door|beside|walking|minutes?|along)",
    r"\b(?:near|close to|by|next to|at|called|named) (?:the )?<(?:name)> (?:near|close)",
)
_CUISINE = r"(?:chinese|english|fast|french|indian|italian|japanese)"
# Words for a food that are no food themselves; so are those that begin with a capital.
KINDS_OF_FOOD = ("vegan", "vegetarian", "halal", "kosher", "organic", "seasonal", "regional",
                 "local", "traditional", "fusion", "modern", "homemade", "healthy")  # fmt: skip
# Turns of the training texts that nobody would print.
CLUMSY = (
    r"\b(?:kids|children)[- ]friendly",
    r"\bnon[- ]",
    r"\b(?:in|near|at|by|on|of|to) riverside",
    r"\ba (?:[ai]|e[^u]|o[^n])|\ban [^aeiou<]",
    rf"\ban? (?:[\w£,-]+ ){{0,4}}(?:<food>|{_CUISINE})(?: food)?"
    r"(?:[.,]| (?:in|near|with|at|by|and|for)\b)",
    r"\bmoderate[- ]priced",
    r"\bcustomer rated",
    r"\brating of (?:an? |high|low|average)",
    r"\ba (?:not|no) ",
    r"\baverage[- ]rated",
    r"\bcheap and (?:an? )?(?:average|low|high)",
    r"\b(?:average|low|high) (?:area|location)",
    r"\bit's pric",
    r"\b(?:very|quite|a bit|rather)\b",
    r"\bnear (?:the )?<area>",
    r"\b(?:in|at|near) (?:city|town)",
    r"\bfood serving",
    r"\bserv\w+ \S+ (?:food|cuisine) has",
    r"\bprices (?:more|less|£)",
    r"\bin the riverside(?:[.,!]| (?:[^a]|a[^r]))",
    r"\bcenter",
    r"\bprovid\w+ (?:high|low|mod|cheap|less|more|£)",
    r"\bthe (?:less|more|cheap|£)",
    r"\ban? (?:less|more|£)",
    r"\bcheap(?:ly)?[- ]pric",
    r"\b(?:range|food) (?:less|more|£)",
    r"\d price",
    r"\b(?:with|has|have) (?:(?:high|low|moderate|medium|average) )?price[- ]range",
    r"\b(?:with|has|have) (?:high|low|average) (?:customer )?rating[^s]",
    r"\bhigh[- ]rated",
    r"(?<!fast )\bfood,? (?:restaurant|pub|coffee|place)",
    r"\bfood\b[^.!]{0,50}\bfood",
    rf"<name> (?:<food>|restaurant|pub|coffee|{_CUISINE})",
    r"(?<![£\d])20 ?-",
    r"(?<![£\d])(?:20|30)(?:[.,]| [^p])",
)


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """What a text for some facts must say and must not.

    told    by slot, what tells its fact
    banned  what tells another fact; where it stands within `freed`, it does not
    clumsy  what nobody would print
    once    by slot, words that are not used again in a later sentence once its fact is told
    """

    told: Mapping[str, re.Pattern[str]]
    banned: re.Pattern[str]
    clumsy: re.Pattern[str]
    freed: re.Pattern[str] | None = None
    once: Mapping[str, re.Pattern[str]] = field(default_factory=dict)

    def finished(self, text: str) -> tuple[str, ...]:
        """Slots told in the sentences of lower-case `text` that have ended."""
        before = text[: max(text.rfind(". "), text.rfind("! ")) + 1]
        return tuple(slot for slot in self.once if self.told[slot].search(before))

    def repeats(self, text: str, start: int, finished: tuple[str, ...]) -> bool:
        """Whether `text` behind `start` comes back to a slot of `finished`."""
        return any(
            found.end() > start for slot in finished for found in self.once[slot].finditer(text)
        )

    def clean(self, text: str, start: int = 0) -> bool:
        """Whether lower-case `text` holds nothing that is banned and ends behind `start`."""
        if any(found.end() > start for found in self.clumsy.finditer(text)):
            return False
        if self.freed:
            text = self.freed.sub(lambda found: "_" * len(found[0]), text)
        return all(found.end() <= start for found in self.banned.finditer(text))

    def untold(self, text: str) -> list[str]:
        """The slots that lower-case `text` does not tell yet."""
        return [slot for slot, pattern in self.told.items() if not pattern.search(text)]


def lexicon(facts: Mapping[str, str], copied: tuple[str, ...]) -> Lexicon:
    """The lexicon of some facts; those of `copied` are told by their slot."""
    told = {slot: _told(slot, value, copied) for slot, value in facts.items()}
    banned = [*NEVER, *_kind(facts), *_food(facts, copied), *_area(facts, copied),
              *_friendly(facts), *_degrees(facts), *_figures(facts),
              *_slots(facts, copied)]  # fmt: skip
    return Lexicon(
        told={slot: re.compile(pattern) for slot, pattern in told.items()},
        banned=_union(banned),
        clumsy=_union([*CLUMSY, *_article(facts, copied), *_dishes(facts, copied)]),
        once={slot: re.compile(words) for slot, words in _once(facts, copied).items()},
        freed=re.compile(rf"{_NOT}{_KIN_STEM}\w*") if facts.get("familyFriendly") == "no" else None,
    )


def _union(patterns: Sequence[str]) -> re.Pattern[str]:
    """One pattern; those that begin at a word share the test for its beginning."""
    words = [
        one.removeprefix(r"\b") for one in patterns if one.startswith(r"\b") and "|" not in one
    ]
    others = [one for one in patterns if not one.startswith(r"\b") or "|" in one]
    return re.compile("|".join([rf"\b(?:{'|'.join(words)})", *others]))


SPENT = {
    "priceRange": r"\bpric|\bcheap|\bexpens|\bcost|\bmoderate|£",
    "customer rating": r"\brat(?:ing|ed|e )|\breview",
}


def _once(facts: Mapping[str, str], copied: tuple[str, ...]) -> dict[str, str]:
    words = {slot: f"<{slot}>" for slot in copied if slot in ("food", "area", "near")}
    if "familyFriendly" in facts:
        words["familyFriendly"] = _KIN_STEM
    words |= {slot: said for slot, said in SPENT.items() if slot in facts}
    if "area" in facts and "area" not in copied:
        words["area"] = AREA_WORDS[facts["area"]]
    return words


TOLD = {"eatType": KIND_TOLD, "food": FOOD_TOLD, "priceRange": PRICE_TOLD,
        "customer rating": RATING_TOLD, "area": AREA_TOLD,
        "familyFriendly": FRIENDLY_TOLD}  # fmt: skip


def _told(slot: str, value: str, copied: tuple[str, ...]) -> str:
    return f"<{slot}>" if slot in copied else TOLD[slot][value]


def _kind(facts: Mapping[str, str]) -> list[str]:
    given = facts.get("eatType", "")
    return [words for kind, words in KIND_WORDS.items() if kind != given] + (
        [] if given == "restaurant" else [r"\brestaurant"]
    )


def _food(facts: Mapping[str, str], copied: tuple[str, ...]) -> list[str]:
    given = "" if "food" in copied else facts.get("food", "")
    return [words for food, words in FOOD_WORDS.items() if food != given]


def _area(facts: Mapping[str, str], copied: tuple[str, ...]) -> list[str]:
    given = "" if "area" in copied else facts.get("area", "")
    away = [r"\b(?:near|close to|outside|off|from)(?: of)?(?: the)? (?:city|cent|town)"]
    return [words for area, words in AREA_WORDS.items() if area != given] + away


def _article(facts: Mapping[str, str], copied: tuple[str, ...]) -> list[str]:
    """A proper name has no article but before area: in Soho, in the Soho area; others have one."""
    if "area" not in copied:
        return []
    proper = facts["area"][:1].isupper() or not facts["area"][:1].isalpha()
    return [r"\bthe <area>(?:[.,!]| (?:[^a]|a[^r]))"] if proper else [r"(?<!the )<area>"]


def _dishes(facts: Mapping[str, str], copied: tuple[str, ...]) -> list[str]:
    """What is served: Thai food, tapas; neither Thai nor tapas food."""
    if "food" not in copied:
        return []
    if is_kind_of_food(facts["food"]):
        return [r"\b(?:serv|provid|offer|sell)\w* <food>(?:[.,]| [^fcm])"]
    repeated = facts["food"].lower().endswith(REPEATED)
    return [r"<food> (?:cuisine|fare|dish|meal)", *([] if repeated else [r"<food> food"])]


def is_kind_of_food(words: str) -> bool:
    """Whether food is said of it: Thai or vegan, but not tapas or street food."""
    *_, last = words.split()
    return last[:1].isupper() or last.lower() in KINDS_OF_FOOD


def _friendly(facts: Mapping[str, str]) -> list[str]:
    given = facts.get("familyFriendly")
    if given == "yes":
        return [rf"(?:\bno|\bnot|\bnon|n't|\bnever|\bwithout)\b[^.]{{0,40}}{_KIN_STEM}", r"\badult",
                rf"{_KIN_STEM}\w*[ -](?:un|free|not\b|non)"]  # fmt: skip
    return [_KIN_STEM, r"\badult"]


# What may stand between a head word and its degree.
_LINKS = r"(?: (?:is|are|of|in|the|an?|also|at|as|be|to|being)){0,4}"


def _degrees(facts: Mapping[str, str]) -> list[str]:
    price = PRICE_DEGREE.get(facts.get("priceRange", ""), "")
    rating = RATING_DEGREE.get(facts.get("customer rating", ""), "")
    found = [] if price == "low" else [r"\bcheap"]
    found += [] if price == "average" else [r"\bmoderate"]
    found += [] if price == "high" else [r"\bexpens"]
    for degree, words in DEGREES.items():
        if degree not in (price, rating):
            found.append(rf"\b{words}")
            continue
        if degree != price:
            found += [rf"\b{words}[- ](?:(?:\w+ and )?pric|range|end|cost)",
                      rf"\b(?:pric|cost)\w*(?: range)?{_LINKS} {words}",
                      rf"\b{words}[- ](?:customer )?rat\w+ and pric"]  # fmt: skip
        if degree != rating:
            found += [rf"\b{words}[- ](?:\w+ and )?(?:customer )?{_RATED}",
                      rf"\b{_RATING_IS}{words}",
                      rf"\b{words}[- ]pric\w+(?: range)? and (?:customer )?rat"]  # fmt: skip
    return found


def _figures(facts: Mapping[str, str]) -> list[str]:
    price, rating = facts.get("priceRange", ""), facts.get("customer rating", "")
    allowed = [*re.findall(r"\d+", price), *re.findall(r"\d+", rating)]
    found = [] if "£" in price else ["£", r"\bpound"]
    prefixes = {number[: end + 1] for number in allowed for end in range(len(number))}
    union = "|".join(sorted(prefixes, key=len, reverse=True)) or "x"
    wholes = "|".join(allowed) or "x"
    found.append(rf"(?<!\d)(?!(?:{union})$|(?:{wholes})(?!\d))\d")
    figure = rating[0] if rating[:1].isdigit() else "x"
    found.append(rf"(?<!{figure}) out")
    if price == "less than £20":
        found.append(r"(?<!less than )(?<!under )(?<!below )(?<!£)£?20(?=.|$)")
    if price == "more than £30":
        found.append(r"(?<!more than )(?<!over )(?<!above )(?<!£)£?30(?=.|$)")
    return found


def _slots(facts: Mapping[str, str], copied: tuple[str, ...]) -> list[str]:
    return [r"\bthe <name>", r"\bthe <near>", r"\b(?:near|close to|next to) <name>",
            r"(?<!near )(?<!close to )(?<!nearby )<near>"]  # fmt: skip
