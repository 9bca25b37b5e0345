"""The words of venue texts: kinds, cuisines, areas, degrees, prices, ratings, families.

Found by reading the E2E development set, slips of the pen included; see `venue_reading`.
"""

from __future__ import annotations

import re


def words(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())


KINDS = {
    "restaurant": r"rest[aeu]+r\w*nts?|eater(?:y|ies)|diners?|bistros?"
    r"|dining (?:place|spot|venue)",
    "pub": r"pubs?|public houses?|bars?|taverns?|inns?|gastropubs?",
    "coffee shop": r"coffee[- ]?(?:shops?|houses?|place|bar|chop|store|spot|cafe|venue)"
    r"|coffee establish\w+|cafes?|coffeeshops?|coffees?\b",
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
    "city centre": r"(?:city|town|cities)(?:'s)? ?cent(?:re|er|ral|ers|res)\b"
    r"|cent(?:re|er) of (?:the )?(?:city|town|cambridge)|cent(?:re|er) (?:city|area|of it)"
    r"|downtown|mid-?town"
    r"|centrally|inner city|(?:heart|middle) of (?:the )?(?:city|town)|in the cent(?:re|er)"
    r"|central (?:location|area|cambridge|family|venue|coffee|restaurant|pub)"
    r"|in (?:the )?(?:city|town)\b",
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
RATING_HEADS = words(
    "rating ratings rated rates rate ranking rankings ranked review reviews reviewed feedback "
    "score scores scored scoring stars star satisfaction approval raiting ratting raring "
    "opinion opinions "
    "reputation recommendations regarded reviewers"
)
PRICE_HEADS = words(
    "price prices priced pricing pricy cost costs costing costly charge charges charging fare "
    "fares value priced range ranges ranged ranging cheaper budget end bracket spending prized "
    "priceing expense expensive pirce prince"
)
DEAR = {
    "high": r"expensive|pric[e]?y|costly|up ?scale|high[- ]end|up ?market|dear|over ?priced"
    r"|luxur\w+",
    "low": r"cheap(?:er|ly)?|inexpensive|affordabl[ey]|economical(?:ly)?|budget|bargain"
    r"|low[- ]?cost|unexpensive|(?:not|n't) (?:so |very |too |that )?(?:expensive|pricey)",
    "average": r"mid[- ]?(?:range|priced?)|(?:middle|medium|moderate)[- ]range",
}
_DEGREE = "|".join(sorted(DEGREE_OF, key=len, reverse=True))
# Turns of phrase that keep a degree away from its head.
SPOKEN = (
    (re.compile(rf"\brat(?:e|es|ed)\b[^.;]{{0,40}}? as (?:an? |being |very )*({_DEGREE})\b"),
     "customer rating"),
    (re.compile(rf"\b(?:ratings?|reviews?) (?:for|of|at|from|by)\b[^.;,]{{0,30}}? (?:is|are) "
                rf"(?:very )?({_DEGREE})\b"), "customer rating"),
    (re.compile(rf"\b({_DEGREE}) in (?:price|cost)"), "priceRange"),
    (re.compile(rf"\b(?:prices?|costs?)\b[^.;,]{{0,30}}? (?:can be|is|are) "
                rf"(?:very |quite )?({_DEGREE})\b(?! (?:customer|rat|review))"), "priceRange"),
)  # fmt: skip
# What a degree becomes in these words: (pattern, degree that was read, degree that is meant).
MENDED = (
    (r"(?:not|n't) (?:so |very |too |that )?(?:expensive|pric[e]?y)", "high", "low"),
    (r"\bnot (?:the |that |so |very )*cheap", "low", "high"),
    (r"(?:above|higher than|more than)(?: the)? average", "average", "high"),
    (r"(?:below|lower than|less than)(?: the)? average", "average", "low"),
    (r"\bcosts? a lot", "low", "high"),
)
LINKS = words("is are was were be being of at as on around about : in by")
SOFTENERS = words(
    "a an the very quite rather pretty only just considered relatively somewhat fairly slightly "
    "generally mostly usually overall also currently really more its their has have from by it "
    "bit little on customer customers which that food this"
)
KIN = (
    r"famil(?:y|ies)|famly|kids?|kid'?s|child(?:ren)?(?:'s|s)?|childern|toddlers?"
    r"|youngsters|little ones"
)
NEGATIONS = re.compile(
    r"\b(?:not|non|no|nor|never|without|isn'?t|aren'?t|doesn'?t|don'?t|does'nt|is'nt|wasn'?t|cannot"
    r"|can't|unsuitable|inappropriate|lacks?|lacking|un|unfriendly|discourages?|prohibits?|bans?"
    r"|nonfamily|nonchild|isn t|free|none|leave|neither|hardly|inadvisable|dislikes?|except|avoid"
    r"|won't|shouldn't|wouldn't|refuses?|excludes?|unwelcome|unwelcoming|anti)\b"
    r"(?! far| regret| only)"
)
GRACES = (
    r"friend\w*|frien?dly|freindly|firendly|welcom\w+|suit\w*|appropriat\w+|allow\w*|orient\w+"
    r"|perfect|ideal|great|good|nice|okay|ok|accommodat\w+|cater\w*|accept\w*|enjoy\w*|fun|bring"
    r"|permitted|recommended|atmosphere|environment|venue|place|restaurant|pub|coffee|establishment"
    r"|for|outing|based|safe|style|dining|fit|fitting|comfortable|love|eatery|compatible|meal|run"
    r"|invites?|serves?|geared|setting|facility|spot|day|location|cafe|caf|shop|focus\w*|to|prohibited|policy"
    r"|area|amenities|visit|like|around|unfriendly"
    r"|unsuitable|inappropriate|free|unwelcome"
)


MONEY = r"(?:(?:£|gbp|eur|euros?|pounds?|\$|l) ?)?"
UNIT = r"(?: ?(?:£|pounds?|euros?|quid|gbp|\$))?"
UNDER = (
    r"less tha[nt]|under|below|lower than|up to|no more than|cheaper than|within|maximum of|less|<"
    r"|max|least than|not more than|beneath|at most"
)
OVER = (
    r"more tha[nt]|over|above|higher than|upwards? of|greater than|at least|start\w* (?:at|from)"
    r"|exceed\w*|excess of|>|beyond|from|minimum of|more|plus"
)
TWENTY, THIRTY = r"(?:20|twenty)(?!\d)(?:\.00)?", r"(?:30|thirty)(?!\d)(?:\.00)?"
PRICE_FIGURES = {
    "<20": re.compile(
        rf"(?:{UNDER})[a-z ]{{0,12}}? ?{MONEY}{TWENTY}(?! ?(?:-|to) ?)"
        rf"|{MONEY}{TWENTY}{UNIT} (?:or|and) (?:less|under|below)|sub-? ?{MONEY}{TWENTY}"
    ),
    ">30": re.compile(
        rf"(?:{OVER})[a-z ]{{0,12}}? ?{MONEY}{THIRTY}"
        rf"|{MONEY}{THIRTY}{UNIT} ?(?:or|and|\+|plus) ?(?:more|over|above|up)?"
        rf"|{MONEY}{THIRTY}{UNIT} (?:price )?minimum"
        rf"|minimum (?:price |cost )?(?:of )?{MONEY}{THIRTY}"
    ),
    "20-25": re.compile(
        rf"{MONEY}{TWENTY}{UNIT} ?(?:-|to|and|through|until|~|or)+ ?{MONEY}(?:25|twenty[- ]five)"
    ),
}
_RATED, _FIVE = r"\b(\d|one|two|three|four|five|single)", r"(?:5|five)(?!\d)"
RATING_FIGURE = re.compile(
    rf"{_RATED}(?:[- ]star)?s?[- ]?(?:out(?: of)?|of|/|over|our of|put of|oout of|out if|from)[- ]?"
    rf"(?:a )?(?:possible )?(?:the )?{_FIVE}|{_RATED}[- ]?star(?:s|red)?\b"
    rf"|\brat\w+ (?:is |of |as |at |a |an )*{_RATED}(?= ?[.,;]| and| stars?|$)"
)
# "north of the city centre" tells where the river is, not that the venue is central.
ELSEWHERE = re.compile(
    r"(?:outside|outskirts of|north of|south of|east of|west of|away from|from|off|not in) (?:of )?"
    r"(?:the )?(?:cambridge )?(?:city|town)? ?cent(?:re|er)(?: of the city)?"
)
STERLING = re.compile(r"(?:british|english) (?:pounds?|sterling)")
