"""What an English text says of a venue: own patterns, found by reading the E2E development set.

Independent by design: it shares neither code nor word lists with what writes such texts or keeps
them to their facts. A reading may hold several values for one slot.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

Said = dict[str, set[str]]

WORD = re.compile(r"£?\d+(?:\.\d+)?|[a-z]+(?:'[a-z]+)?|[.,;:!?()/&-]")
BREAKS = frozenset(".;!?()")

KINDS = {
    "restaurant": r"rest[aeu]+r\w*nts?|eater(?:y|ies)|diners?|bistros?|dining (?:place|spot|venue)",
    "pub": r"pubs?|public houses?|bars?|taverns?|inns?|gastropubs?",
    "coffee shop": r"coffee[- ]?(?:shops?|houses?|place|bar|chop|store|spot|cafe|venue|establish\w+)"
    r"|cafes?|coffeeshops?|coffees?\b",
}
CUISINES = {
    "Chinese": r"chinese?",
    "English": r"english|british|full breakfast|fish (?:and|&|n) chips|breakfasts?",
    "French": r"french|wine and cheese|cheese and wine",
    "Fast food": r"fast[- ]?foods?|hamburgers?|burgers?|fries",
    "Indian": r"indian?|curr(?:y|ies)",
    "Italian": r"italian?|pasta|pizzas?|spaghetti",
    "Japanese": r"japane(?:se|es)|sushi",
    "American": r"american",
    "Mexican": r"mexican|tacos?",
    "Thai": r"thai",
    "Spanish": r"spanish|tapas",
    "Greek": r"greek",
    "Korean": r"korean",
    "Vietnamese": r"vietnamese",
    "German": r"german",
    "Turkish": r"turkish",
}
AREAS = {
    "city centre": r"(?:city|town)(?:'s)? ?cent(?:re|er|ral|ers|res)\b|cent(?:re|er) of (?:the )?"
    r"(?:city|town|cambridge)|cent(?:re|er) city|cent(?:re|er) (?:area|of it)|downtown|mid-?town"
    r"|centrally|inner city|(?:heart|middle) of (?:the )?(?:city|town)|in the cent(?:re|er)"
    r"|central (?:location|area|cambridge)|in (?:the )?(?:city|town)\b",
    "riverside": r"river ?-?side|\briver\b|water ?front|waterside|riverbank|riverfront|the thames",
}
FIGURES = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "single": "1"}
# How good or how dear: the same words for both, told apart by what they stand beside.
DEGREES = {
    "high": "high highly higher excellent great good well best top perfect positive superb "
    "outstanding fantastic favorable favourable exceptional nice maximum amazing wonderful strong "
    "terrific hi excellently above fancy steep",
    "average": "average averagely averaged decent mediocre moderate moderately medium ok okay fair "
    "fairly mid middle mixed reasonable reasonably standard modest middling midrange adequate "
    "acceptable satisfactory mid-range mid-level modestly normal",
    "low": "low lowly lower poor poorly bad badly negative terrible cheap cheaply minimal lowest "
    "disappointing lackluster unfavorable small little least dismal weak horrible",
}
DEGREE_OF = {word: degree for degree, words in DEGREES.items() for word in words.split()}
# Words that mean another degree for prices than for ratings.
DEARNESS = {
    "good": "low", "great": "low", "excellent": "low", "nice": "low", "best": "low",
    "above": "high", "fair": "average", "fairly": "", "well": "", "decent": "average",
    "perfect": "", "okay": "average", "little": "", "top": "high",
}  # fmt: skip
RATING_HEADS = frozenset(
    "rating ratings rated rates rate ranking rankings ranked review reviews reviewed feedback "
    "score scores scored scoring stars star satisfaction approval raiting ratting raring "
    "opinion opinions "
    "reputation recommendations regarded reviewers".split()
)
PRICE_HEADS = frozenset(
    "price prices priced pricing pricy cost costs costing costly charge charges charging fare "
    "fares value priced range ranges ranged ranging cheaper budget end bracket spending prized "
    "priceing expense expensive pirce prince".split()
)
DEAR = {
    "high": r"expensive|pric[e]?y|costly|up ?scale|high[- ]end|up ?market|dear|over ?priced|luxur\w+",
    "low": r"cheap(?:er|ly)?|inexpensive|affordabl[ey]|economical(?:ly)?|budget|bargain|low[- ]?cost"
    r"|unexpensive|(?:not|n't) (?:so |very |too |that )?(?:expensive|pricey)",
    "average": r"mid[- ]?(?:range|priced?)|(?:middle|medium|moderate)[- ]range",
}
LINKS = frozenset("is are was were be being of at as on around about : were in by as".split())
SOFTENERS = frozenset(
    "a an the very quite rather pretty only just considered relatively somewhat fairly slightly "
    "generally mostly usually overall also currently really more its their has have from by but "
    "bit little on".split()
)
KIN = r"famil(?:y|ies)|famly|kids?|kid'?s|child(?:ren)?(?:'s|s)?|childern|toddlers?|youngsters|little ones"
NEGATIONS = re.compile(
    r"\b(?:not|non|no|nor|never|without|isn'?t|aren'?t|doesn'?t|don'?t|does'nt|is'nt|wasn'?t|cannot"
    r"|can't|unsuitable|inappropriate|lacks?|lacking|un|unfriendly|discourages?|prohibits?|bans?"
    r"|nonfamily|nonchild|isn t|free|leave|less|neither|hardly|inadvisable|dislikes?|except|avoid"
    r"|won't|shouldn't|refuses?|excludes?|neither|unwelcome|unwelcoming|unaccommodating|anti)\b"
)
GRACES = (
    r"friend\w*|frien?dly|freindly|firendly|welcom\w+|suit\w*|appropriat\w+|allow\w*|orient\w+"
    r"|perfect|ideal|great|good|nice|okay|ok|accommodat\w+|cater\w*|accept\w*|enjoy\w*|fun|bring"
    r"|permitted|recommended|atmosphere|environment|venue|place|restaurant|pub|coffee|establishment"
    r"|for|outing|based|safe|style|dining|fit|fitting|comfortable|love|eatery|compatible|meal|run"
    r"|invites?|serves?|geared|setting|facility|spot|day|location|cafe|caf|shop|focus\w*|to|unfriendly"
    r"|unsuitable|inappropriate|free|unwelcome"
)


def plain(text: str) -> str:
    """Lower case without accents, typographic marks as plain ones."""
    folded = unicodedata.normalize("NFKD", text.replace("£", " £ "))
    bare = "".join(c for c in folded if not unicodedata.combining(c))
    for odd, usual in (("’", "'"), ("‘", "'"), ("–", "-"), ("—", "-"), ("`", "'")):
        bare = bare.replace(odd, usual)
    return " ".join(bare.lower().split())


def holds(text: str, words: str) -> bool:
    """Whether plain `text` holds plain `words`, or the like with one slip of the pen."""
    return find(text, words) is not None


def find(text: str, words: str) -> tuple[int, int] | None:
    """Where plain `words` stand in plain `text`, exactly or with one slip for every 6 letters."""
    bare = words.removeprefix("the ")
    exact = re.search(rf"(?<!\w){re.escape(bare)}(?!\w)", text)
    if exact:
        return exact.span()
    count, slips = len(bare.split()), max(1, len(bare) // 6) if len(bare) > 4 else 0
    spots = [found.span() for found in re.finditer(r"[\w']+", text)]
    for size in (count, count + 1, max(1, count - 1)):
        for start in range(len(spots) - size + 1):
            first, last = spots[start][0], spots[start + size - 1][1]
            if abs(last - first - len(bare)) <= slips and _slips(text[first:last], bare) <= slips:
                return first, last
    return None


def _slips(one: str, other: str) -> int:
    """Letters to insert, delete or replace (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        left, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (a != b))
    return row[-1]


def read_venue(text: str) -> Said:
    """Values that plain `text` tells, by slot; names should be masked before.

    priceRange and customer rating are degrees ("high", "average", "low") or figures ("<20",
    "20-25", ">30", "1".."5"); familyFriendly is "yes" or "no".
    """
    said: Said = {
        "eatType": _named(text, KINDS),
        "food": _named(text, CUISINES),
        "area": _areas(text),
        "familyFriendly": set(_friendliness(text)),
        "priceRange": set(_price_figures(text)),
        "customer rating": set(_rating_figures(text)),
    }
    for slot, degree in _degrees(_without_figures(text)):
        said[slot].add(degree)
    said["priceRange"] |= {
        degree for degree, words in DEAR.items() if re.search(rf"\b(?:{words})\b", text)
    }
    if re.search(r"(?:not|n't) (?:so |very |too |that )?(?:expensive|pric[e]?y)", text):
        said["priceRange"].discard("high")
    return said


def _named(text: str, table: dict[str, str]) -> set[str]:
    return {name for name, words in table.items() if re.search(rf"\b(?:{words})(?!\w)", text)}


def _areas(text: str) -> set[str]:
    # "north of the city centre" tells where the river is, not that the venue is central.
    away = r"(?:outside|outskirts of|north of|south of|east of|west of|away from|from|off) (?:of )?(?:the )?"
    return _named(re.sub(rf"{away}(?:city|town) ?cent(?:re|er)", " ", text), AREAS)


MONEY = r"(?:(?:£|gbp|eur|euros?|pounds?|\$|l) ?)?"
UNIT = r"(?: ?(?:£|pounds?|euros?|quid|gbp|pound|\$))?"


def _price_figures(text: str) -> Iterator[str]:
    under = r"less tha[nt]|under|below|lower than|up to|no more than|cheaper than|within|maximum of|less|<|max|least than|not more than|beneath|at most"
    over = r"more tha[nt]|over|above|higher than|upwards of|greater than|at least|start\w* (?:at|from)|exceed\w*|excess of|>|in excess of|beyond|upward of|from|minimum of|more|plus"
    twenty, thirty = r"(?:20|twenty)(?!\d)(?:\.00)?", r"(?:30|thirty)(?!\d)(?:\.00)?"
    if re.search(rf"(?:{under})[a-z ]{{0,12}}? ?{MONEY}{twenty}(?! ?(?:-|to) ?)|{MONEY}{twenty}{UNIT} (?:or|and) (?:less|under|below)|sub-? ?{MONEY}{twenty}", text):
        yield "<20"
    if re.search(rf"(?:{over})[a-z ]{{0,12}}? ?{MONEY}{thirty}|{MONEY}{thirty}{UNIT} ?(?:or|and|\+|plus) ?(?:more|over|above|up)?|{MONEY}{thirty}{UNIT} ?\+", text):
        yield ">30"
    if re.search(rf"{MONEY}{twenty}{UNIT} ?(?:-|to|and|through|until|~|or)+ ?{MONEY}(?:25|twenty[- ]five)", text):
        yield "20-25"


RATED = r"\b(\d|one|two|three|four|five|single)"
FIVE = r"(?:5|five)\b"
FIGURE = re.compile(
    rf"{RATED}(?:[- ]star)?s?[- ]?(?:out(?: of)?|of|/|over|our of|put of|oout of|out if|from)[- ]?(?:a )?(?:possible )?(?:the )?{FIVE}"
    rf"|{RATED}[- ]?stars?\b|\brat\w+ (?:is |of |as |at |a |an )*{RATED}(?= ?[.,;]| and| stars?|$)"
)


def _rating_figures(text: str) -> Iterator[str]:
    for found in FIGURE.finditer(text):
        figure = next(group for group in found.groups() if group)
        yield FIGURES.get(figure, figure)


def _without_figures(text: str) -> str:
    """`text` without ratings in figures, but with a head word where each stood."""
    return FIGURE.sub(" stars ", text)


def _degrees(text: str) -> Iterator[tuple[str, str]]:
    """(slot, degree) for each word of degree that belongs to a price or a rating."""
    words = WORD.findall(text.replace("-", " "))
    for place, word in enumerate(words):
        if word not in DEGREE_OF:
            continue
        slot = _before(words, place) or _after(words, place)
        if not slot:
            continue
        degree = DEGREE_OF[word] if slot != "priceRange" else DEARNESS.get(word, DEGREE_OF[word])
        if slot == "customer rating" and word == "above" or _denied(words, place):
            degree = {"high": "low", "low": ""}.get(degree, degree) if word != "above" else degree
        if degree:
            yield slot, degree


def _denied(words: list[str], place: int) -> bool:
    return any(word in ("not", "n't", "isn't", "aren't", "doesn't", "no", "lacks", "don't") or word.endswith("n't") for word in words[max(0, place - 4) : place])


def _slot_of(word: str) -> str:
    if word in RATING_HEADS:
        return "customer rating"
    return "priceRange" if word in PRICE_HEADS else ""


def _before(words: list[str], place: int) -> str:
    """The slot whose head stands before, joined by a verb or a preposition: rating is high."""
    spot, linked = place - 1, False
    while spot >= 0 and place - spot < 8:
        word = words[spot]
        if slot := _slot_of(word):
            near = linked or place - spot == 1 or word in ("rated", "priced", "rate", "rates", "reviewed", "scores", "charges", "ranked", "costs", "charge")
            if word in ("range", "ranges") and spot and _slot_of(words[spot - 1]):
                slot = _slot_of(words[spot - 1])
            return slot if near else ""
        if word in LINKS:
            linked = True
        elif word not in SOFTENERS and word not in ("customer", "customers", "which", "that", "food", "this", "currently"):
            return ""
        spot -= 1
    return ""


def _after(words: list[str], place: int) -> str:
    """The slot whose head comes next within a few words: high customer rating."""
    for step in range(1, 6):
        if place + step >= len(words):
            return ""
        word = words[place + step]
        if word in BREAKS or word in ("but", "with", "while", "is", "are", "located", "near", "which", "serves", "serving", "in"):
            return ""
        if word in ("and", ",", "/", "&") and step + place + 1 < len(words) and words[place + step + 1] not in DEGREE_OF:
            return ""
        if slot := _slot_of(word):
            return slot
    return ""


def _friendliness(text: str) -> Iterator[str]:
    clauses = re.split(r"[.;!?]|\bbut\b|\bhowever\b|\balthough\b|\bwhile\b|\bthough\b|,(?! not)| and (?!(?:kid|child|famil|is not|not|fami))", text)
    for clause in clauses:
        bare = clause.replace("-", " ")
        for found in re.finditer(rf"\b(?:{KIN})\b", bare):
            around = bare[max(0, found.start() - 60) : found.end() + 45]
            if not re.search(rf"\b(?:{GRACES})\b", around.replace(found[0], " ", 1)):
                continue
            yield "no" if NEGATIONS.search(around) else "yes"
        if re.search(r"\badults?\b", bare) and not re.search(r"\badults? (?:and|or|&) (?:kid|child)|(?:kid|child)\w* (?:and|or|&) adult", bare):
            yield "no"
        if re.search(r"\ball (?:the )?ages\b|everyone|\bwhole family", bare):
            yield "no" if NEGATIONS.search(bare) else "yes"
        if re.search(r"\b(?:over|above) (?:18|eighteen)|\b18 ?\+|mature (?:audience|crowd)", bare):
            yield "no"
