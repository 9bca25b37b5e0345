"""Laws of `venue_ad`: all facts and no others, a poster that holds them, a seal on each file."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from conftest import Call
from wenfang.backends.choosing import OPENERS
from wenfang.backends.copywriter import Copy, Copywriter, FactStep, varied
from wenfang.backends.loading import load_named
from wenfang.backends.venue_lexicon import lexicon
from wenfang.backends.writer import Ask, Draft
from wenfang.checks.facts import read_facts
from wenfang.checks.judging import Judge
from wenfang.compose import poster
from wenfang.compose.paper import Colour
from wenfang.compose.poster import (
    MARGIN,
    PALETTES,
    WIDTH,
    Poster,
    PosterFact,
    PosterText,
    compose_poster,
    contrast_pairs,
    palette_of,
    quiet_box,
)
from wenfang.compose.shapes import Sheet, Type, lettering, width_of
from wenfang.data.venue import article, copied_slots, lexicalise, parse_facts, require_facts
from wenfang.errors import BriefError, BundleError, CheckError, MediaError, RightsError
from wenfang.scenarios.venue_ad import poster_text
from wenfang.scenarios.venue_copy import (
    HEADLINE_CHARACTERS,
    POST_CHARACTERS,
    Desk,
    WriterDrafting,
    headline,
    with_tags,
)
from wenfang.store import Manifest

EXAMPLE = Path(__file__).resolve().parents[1] / "examples/venue.json"
FILES = ["ad.md", "poster-web.png", "poster.pdf", "poster.png", "report.html", "social.txt"]
ALL = {
    "name": "The Copper Kettle",
    "eatType": "coffee shop",
    "food": "Italian",
    "priceRange": "less than £20",
    "customer rating": "5 out of 5",
    "area": "riverside",
    "familyFriendly": "yes",
    "near": "Holloway Books",
}
# Names that sound like facts, values that no training text held, few facts and many.
VENUES: tuple[Mapping[str, str], ...] = (
    ALL,
    {"name": "Bo", "eatType": "pub"},
    {"name": "Café 21", "priceRange": "moderate"},
    {"name": "The Cheap Riverside Pub", "food": "Szechuan", "area": "city centre"},
    {"name": "Zoë's", "eatType": "restaurant", "food": "tapas", "near": "Łódź Główna"},
    {"name": "the Lantern", "food": "Modern British", "area": "the Docklands"},
    {"name": "Five Stars", "eatType": "pub", "customer rating": "1 out of 5", "area": "Soho"},
    {"name": "Kids' Corner", "priceRange": "£20-25", "familyFriendly": "no", "near": "Avalon"},
    {"name": "茶馆 Lotus", "food": "Fast food", "priceRange": "high", "customer rating": "low"},
)


def amiss(text: str, facts: Mapping[str, str]) -> dict[str, str]:
    """What the check, which shares nothing with the writer, finds wrong."""
    return {one.slot: one.outcome for one in read_facts(text, facts) if one.outcome != "realised"}


# The piece


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home and, in `out`, the piece of the example, made by the bundle that ships."""
    from wenfang.cli import main

    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WENFANG_HOME", str(folder / "home"))
        patch.delenv("WENFANG_LANG", raising=False)
        with pytest.raises(SystemExit) as leaving:
            main(["create", str(EXAMPLE), "-o", str(folder / "out")])
    assert leaving.value.code == 0
    return folder


@pytest.fixture
def at_shop(shop: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The command line in the home of that piece."""
    monkeypatch.setenv("WENFANG_HOME", str(shop / "home"))
    monkeypatch.chdir(shop)
    return call


def text_of(folder: Path, name: str) -> str:
    return (folder / name).read_text("utf-8")


def test_facts_become_six_sealed_files(shop: Path, at_shop: Call) -> None:
    made = sorted(p.name for p in (shop / "out").iterdir() if p.name in FILES)
    assert made == FILES
    assert at_shop("verify", "out").code == 0


def test_body_and_post_tell_every_fact_and_no_other(shop: Path) -> None:
    _, _, copy = text_of(shop / "out", "ad.md").partition("\n# ")
    headline_, body, _, post, label = copy.strip().split("\n\n")
    assert amiss(body, ALL) == {}
    assert amiss(post.partition("\\#")[0], ALL) == {}
    assert set(amiss(headline_, ALL).values()) <= {"missing"}
    assert label == "*AI GENERATED*"


def test_the_published_post_fits_with_its_label(shop: Path) -> None:
    post = text_of(shop / "out", "social.txt").strip()
    assert len(post) <= POST_CHARACTERS
    assert post.endswith("AI GENERATED")


def test_the_report_shows_what_every_text_tells(shop: Path) -> None:
    page = text_of(shop / "out", "report.html")
    assert page.count('class="pass">told<') == 8 * 4 - 4
    assert page.count('class="note">not told<') == 4  # of the headline
    assert page.count('class="block"') == 0
    assert "CC-BY-SA-4.0" in page


def test_a_piece_is_replayed_bit_for_bit(at_shop: Call) -> None:
    again = at_shop("replay", "out", "--json")
    found = {Path(one["path"]).name: one["outcome"] for one in again.json["files"]}
    assert found == dict.fromkeys(FILES, "identical")


def test_the_pdf_is_the_poster(shop: Path) -> None:
    document = pypdfium2.PdfDocument(shop / "out" / "poster.pdf")
    (page,) = document
    width, height = page.get_size()
    assert (round(width), round(height)) == (595, 842)
    document.close()


# Any writer


class Pen:
    """Answers what a function makes of the facts that it is asked to tell."""

    name = "openai:http://localhost#m"

    def __init__(self, answer: Callable[[dict[str, str]], str], licence: str = "CC0-1.0") -> None:
        self.answer = answer
        self.asks: list[Ask] = []
        self.made_from: tuple[Manifest, ...] = (
            Manifest(kind="bundle", name="m", media_type="application/x-endpoint", licence=licence),
        )

    def write(self, ask: Ask, on_text: Callable[[str], None] = lambda text: None) -> list[Draft]:
        self.asks.append(ask)
        return [Draft(text=self.answer(parse_facts(ask.prompt)))] * ask.count


def tell(facts: Mapping[str, str]) -> str:
    """Plain sentences, one for each fact."""
    told = {
        "eatType": "It is a {}.",
        "food": "It serves {} food.",
        "priceRange": "Prices are {}.",
        "customer rating": "Its customer rating is {}.",
        "area": "It is in the {}.",
        "near": "It is near {}.",
    }
    said = [f"This is {facts['name']}."]
    said += [told[slot].format(value) for slot, value in facts.items() if slot in told]
    if "familyFriendly" in facts:
        said.append(f"It is {'' if facts['familyFriendly'] == 'yes' else 'not '}family friendly.")
    return " ".join(said)


Make = Callable[..., Any]


@pytest.fixture
def make(call: Call, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Create a piece with a pen as writer, the example's fields changed."""

    def run(pen: Pen | None, *arguments: str, **fields: object) -> Any:
        if pen:
            monkeypatch.setitem(OPENERS, "pen", lambda name: pen)
        brief = {**json.loads(EXAMPLE.read_text("utf-8")), "writer": "pen:x", **fields}
        Path("brief.json").write_text(json.dumps(brief), "utf-8")
        return call("create", "brief.json", "-o", "out", "--json", *arguments)

    return run


def test_a_writer_of_another_kind_is_used_where_it_is_right(make: Make) -> None:
    pen = Pen(tell)
    assert make(pen, tone="warm").code == 0
    assert tell(ALL) in text_of(Path("out"), "ad.md").replace("\\", "")
    assert "Tone: warm" in pen.asks[0].system


def test_a_writer_that_invents_is_refused_and_nothing_is_published(make: Make) -> None:
    found = make(Pen(lambda facts: f"{tell(facts)} It has great wine and cheese."))
    assert found.code == CheckError.exit_code
    assert "passed every check (the fact food is Italian, the text says French" in found.error
    assert list(Path("out").glob("*")) == []


def desk(pen: Pen, most: int = POST_CHARACTERS) -> Desk:
    return Desk(drafting=WriterDrafting(pen, ""), judge=Judge(), post_characters=most)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: f"{text} It is in the city centre.", "area"),
        (lambda text: text.replace("5 out of 5", "3 out of 5"), "customer rating"),
        (lambda text: text.replace("Holloway Books", "the park"), "near"),
        (lambda text: text.replace("is family", "is not family"), "familyFriendly"),
        (lambda text: text.replace("less than £20", "£20-25"), "priceRange"),
        (lambda text: "A fine place.", "name"),
    ],
)
def test_what_is_wrong_or_missing_is_named(change: Callable[[str], str], said: str) -> None:
    with pytest.raises(CheckError, match=rf"passed every check \(.*the fact {said}"):
        desk(Pen(lambda facts: change(tell(facts)))).write(ALL, 2, 0)


def test_a_writer_is_asked_a_second_time() -> None:
    answers = iter(["Nothing.", tell(ALL)])
    pen = Pen(lambda facts: next(answers))
    words = desk(pen).write(ALL, 2, 5)
    assert words.body == tell(ALL)
    assert words.refused == 2
    assert [ask.seed for ask in pen.asks] == [5, 6]


def test_a_post_that_is_too_long_leaves_out_facts_in_their_order() -> None:
    pen = Pen(tell)
    words = desk(pen, most=130).write(ALL, 1, 0)
    asked = [tuple(parse_facts(ask.prompt)) for ask in pen.asks[1:]]
    left = [slot for slot in ALL if slot != "near"]
    assert asked[0] == tuple(left)
    assert asked[1] == tuple(slot for slot in left if slot != "customer rating")
    assert len(words.post) <= 130
    assert set(amiss(words.post.partition("#")[0], ALL).values()) == {"missing"}
    assert "Holloway" not in words.post
    assert "Holloway" in words.body


def test_a_post_that_cannot_fit_is_an_error() -> None:
    with pytest.raises(CheckError, match="no post for The Copper Kettle fits 30 characters"):
        desk(Pen(tell), most=30).write(ALL, 1, 0)


def test_a_name_is_no_markdown(make: Make) -> None:
    facts = {"name": "The *Old* `Inn` _5_ #1", "type": "pub"}
    assert make(Pen(tell), facts=facts).code == 0
    assert "The \\*Old\\* \\`Inn\\` \\_5\\_ \\#1" in text_of(Path("out"), "ad.md")


def test_a_private_piece_keeps_no_brief(make: Make, home: Path) -> None:
    assert make(Pen(tell), "--private").code == 0
    assert "family_friendly" not in text_of(Path("out"), "report.html")
    for path in Path("out").glob("*.wenfang.json"):
        assert '"request"' not in path.read_text("utf-8")
    for path in home.rglob("*.json"):
        assert "family_friendly" not in path.read_text("utf-8")


def test_commerce_needs_a_licence_that_allows_it(make: Make) -> None:
    assert make(Pen(tell), "--commercial").code == 0
    found = make(Pen(tell, licence="CC-BY-NC-4.0"), "--commercial", "--fresh")
    assert found.code == RightsError.exit_code
    assert "CC-BY-NC-4.0" in found.error


def test_rows_of_a_table_become_pieces(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPENERS, "pen", lambda name: Pen(tell))
    rows = (
        "scenario,writer,facts.name,facts.type,facts.family_friendly,seed",
        "venue_ad,pen:x,Mill House,pub,true,1",
        "venue_ad,pen:x,Blue Door,,false,2",
        "venue_ad,pen:x,Alone,,,3",
    )
    Path("many.csv").write_text("\n".join(rows), "utf-8")
    found = call("create", "many.csv", "-o", "out", "--json")
    errors = [piece["error"] for piece in found.json["pieces"]]
    assert errors[:2] == [None, None]
    assert "the facts hold a name alone" in errors[2]
    assert found.code == BriefError.exit_code


def test_the_report_speaks_the_language_of_its_reader(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_LANG", "zh")
    assert make(Pen(tell)).code == 0
    assert ">已说<" in text_of(Path("out"), "report.html")
    assert "AI GENERATED" in text_of(Path("out"), "social.txt")  # English copy, English label


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"facts": {"name": "Bo"}}, "the facts hold a name alone; give at least one more"),
        ({"facts": {"name": " ", "type": "pub"}}, "the fact name is empty"),
        ({"facts": {"type": "pub"}}, "the field name is missing"),
        ({"facts": {"name": "Bo", "type": "castle"}}, "is not one of restaurant, pub, coffee"),
        ({"facts": {"name": "Bo", "price": "£9"}}, "is not one of cheap, moderate"),
        ({"facts": {"name": "Bo", "typ": "pub"}}, "did you mean type?"),
        ({"facts": {"name": "B" * 61, "type": "pub"}}, "name has 61 characters; at most 60"),
        ({"facts": {"name": "B[o]", "type": "pub"}}, "holds a bracket or a control character"),
        ({"facts": {"name": "B\u0007", "type": "pub"}}, "a bracket or a control character"),
        ({"facts": {"name": "Bo", "near": "BO"}}, "near is the venue itself"),
        ({"facts": {"name": "مطعم", "type": "pub"}}, "a poster cannot set مطع"),
        ({"facts": {"name": "\U000f0000", "type": "pub"}}, "a bracket or a control"),
        ({"drafts": 13}, "drafts is 13; give 1 to 12"),
        ({"tone": "a\nb"}, "tone is longer than 200 characters or holds a line break"),
        ({"tone": "warm", "writer": "copywriter"}, "has the tone it was trained on"),
        ({"palette": "red"}, "is not one of auto, clay"),
        ({"language": "zh"}, "is not one of en"),
        ({"writer": "nowhere:x"}, "there is no writer nowhere:x"),
        ({"writer": "verse"}, "was trained for the layout verse, not venue"),
    ],
)
def test_what_cannot_be_done_is_one_line(make: Make, fields: dict[str, Any], said: str) -> None:
    found = make(None, **{"writer": "copywriter", **fields})
    assert found.code >= 10
    assert said in found.error
    assert not Path("out/poster.png").exists()


# The bundle


@pytest.fixture(scope="module")
def copywriter() -> Copywriter:
    return Copywriter(load_named("copywriter"))


@pytest.mark.parametrize("facts", VENUES, ids=lambda facts: facts["name"])
def test_copy_tells_every_fact_and_no_other(
    copywriter: Copywriter, facts: Mapping[str, str]
) -> None:
    for draft in copywriter.write(facts, 2, 1):
        assert amiss(draft.text, facts) == {}, draft.text
        assert facts["name"].removeprefix("the ") in draft.text


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_copy_tells_facts_by_chance(copywriter: Copywriter, seed: int) -> None:
    chance = random.Random(seed)
    facts = {"name": "Aromi", **chance.choice(VENUES[1:])}
    for slot, value in ALL.items():
        if chance.random() < 0.5:
            facts.setdefault(slot, value)
    for draft in copywriter.write(require_facts(facts), 4, seed):
        assert amiss(draft.text, facts) == {}, draft.text


def test_the_same_seed_gives_the_same_copy(copywriter: Copywriter) -> None:
    texts = [[one.text for one in copywriter.write(ALL, 3, seed)] for seed in (1, 1, 2)]
    assert texts[0] == texts[1]
    assert texts[1] != texts[2]
    assert len(set(texts[0])) == len(texts[0])


def test_a_bundle_of_another_layout_is_refused(home: Path) -> None:
    with pytest.raises(BundleError, match="layout verse, not venue"):
        Copywriter(load_named("verse"))


def test_a_draft_far_less_likely_than_the_best_is_left_out() -> None:
    drafts = [
        Copy(text="A pub near Avalon.", log_probability_nats=-0.4),
        Copy(text="There is one.", log_probability_nats=-0.7),
        Copy(text="The aest of it.", log_probability_nats=-1.9),
        Copy(text="A pub near Avalon!", log_probability_nats=-0.5),
    ]
    assert [one.text for one in varied(drafts, 4)] == ["A pub near Avalon.", "There is one."]


@pytest.mark.parametrize(
    "text",
    [
        "<name> is a cheap pub",
        "<name> is a restaurant",
        "<name> serves chinese",
        "<name> is near the river",
        "<name> has a great",
        "<name> is rated 3",
        "<name> costs more than £30",
        "<name> is not family",
        "<name> is a highly rated",
        # What is true, but nobody would print.
        "<name> is kids friendly",
        "<name> has a less than £20",
        "<name> is an pub",
    ],
)
def test_the_constraint_refuses_what_was_not_given(text: str) -> None:
    words = lexicon({"name": "Bo", "eatType": "coffee shop", "familyFriendly": "yes"}, ("name",))
    assert not words.clean(text)


def test_the_constraint_lets_every_value_be_told() -> None:
    for text, slot, value in (
        ("<name> is not family-friendly.", "familyFriendly", "no"),
        ("<name> is not a family-friendly place.", "familyFriendly", "no"),
        ("<name> costs more than £30.", "priceRange", "more than £30"),
        ("<name> has a price range of £20-25.", "priceRange", "£20-25"),
        ("<name> has a low customer rating.", "customer rating", "low"),
        ("<name> is rated 1 out of 5.", "customer rating", "1 out of 5"),
        ("<name> is in the riverside area.", "area", "riverside"),
        ("<name> is in the city centre.", "area", "city centre"),
        ("<name> serves fast food.", "food", "Fast food"),
    ):
        words = lexicon({"name": "Bo", slot: value}, ("name",))
        assert words.clean(text), text
        assert words.untold(text) == []


def test_no_text_ends_before_all_is_told(copywriter: Copywriter) -> None:
    facts = {"name": "Bo", "eatType": "pub"}
    step = FactStep(lexicon(facts, copied_slots(facts)), copywriter.tokenizer, ("name",))
    ids = [copywriter.tokenizer.id("<name>"), *copywriter.tokenizer.encode(" is here.")]
    assert step._allowed(ids, [0.0], [step.end]) == {}
    whole = [*ids[:1], *copywriter.tokenizer.encode(" is a pub.")]
    assert step._allowed(whole, [0.0], [step.end]) == {step.end: 0.0}


@pytest.mark.parametrize(
    ("pieces", "facts", "text"),
    [
        (["in the ", "<area>", " area."], {"area": "the Docks"}, "in the Docks area."),
        (["in the ", "<area>", " area."], {"area": "harbour area"}, "in the harbour area."),
        (["serves ", "<food>", " food."], {"food": "street food"}, "serves street food."),
        (["<food>", " foods"], {"food": "street food"}, "Street food foods"),
        (["is an ", "<food>", " pub."], {"food": "European"}, "is a European pub."),
        (["<name>", " is. ", "<name>"], {"name": "the Inn"}, "The Inn is. The Inn"),
        (["<name>", " is"], {"name": "eBar"}, "eBar is"),
    ],
)
def test_what_stands_beside_a_value_is_put_right(
    pieces: list[str], facts: dict[str, str], text: str
) -> None:
    assert lexicalise(pieces, facts) == text


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("Italian pub", "an"), ("European", "a"), ("one-off", "a"), ("8-bit", "an"), ("Éclair", "an")],
)
def test_an_article_is_heard(words: str, wanted: str) -> None:
    assert article(words) == wanted


# Headline and hashtags


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (ALL, "A riverside Italian coffee shop near Holloway Books"),
        ({"eatType": "pub", "area": "city centre"}, "A pub in the city centre"),
        ({"food": "street food", "area": "Soho"}, "Street food in Soho"),
        ({"food": "Thai", "near": "the station"}, "Thai food near the station"),
        ({"eatType": "pub", "food": "European"}, "A European pub"),
        ({"area": "harbour"}, "In the harbour"),
        ({"area": "the Docks"}, "In the Docks"),
        ({"priceRange": "cheap"}, "Low prices"),
        ({"customer rating": "3 out of 5"}, "Customer rating: 3 out of 5"),
        ({"familyFriendly": "no"}, "Bo"),
        ({"near": "x" * 60}, "Bo"),
    ],
)
def test_a_headline_is_set_from_the_facts(facts: Mapping[str, str], line: str) -> None:
    given = {"name": "Bo", **{slot: one for slot, one in facts.items() if slot != "name"}}
    found, told = headline(given)
    assert found == line
    assert len(found) <= HEADLINE_CHARACTERS
    assert amiss(found, {slot: given[slot] for slot in told}) == {}


def test_hashtags_say_what_was_given_and_fit() -> None:
    facts = {**ALL, "name": "Zoë's & Sons", "familyFriendly": "no"}
    post, tags = with_tags("Come.", facts, 280)
    assert list(tags) == ["#ZoësSons", "#CoffeeShop", "#ItalianFood", "#Riverside"]
    assert post == " ".join(("Come.", *tags))
    assert with_tags("Come.", facts, 16)[0] == "Come. #ZoësSons"
    assert with_tags("Come.", {"name": "1701"}, 280)[1] == {}


# The poster

HARD = [
    *VENUES,
    {**ALL, "name": "W" * 60, "food": "M" * 60, "area": "W" * 60, "near": "M" * 60},
    {**ALL, "name": "Ye Olde Trip to Jerusalem Tavern and its Beer Garden, 1189"},
    {**ALL, "name": "Supercalifragilisticexpialidocious", "near": "Llanfair" * 7},
    {"name": "北京烤鸭店前门大街总店第一分店东花园餐厅", "near": "天安门" * 20, "food": "Chinese"},
    {**ALL, "near": "Nottingham Castle Museum and Art Gallery", "familyFriendly": "no"},
]


class Drawn(Sheet):
    """A sheet that remembers where words stand."""

    boxes: list[tuple[float, float, float, float]]

    def words(self, text: str, at: tuple[float, float], how: Type, colour: Colour) -> float:
        points = [point for one in lettering(text, how)[0] for point in one.points]
        if points:
            across, down = zip(*points, strict=True)
            self.boxes.append(
                (at[0] + min(across), at[1] + min(down), at[0] + max(across), at[1] + max(down))
            )
        return super().words(text, at, how, colour)


def poster_of(facts: Mapping[str, str], seed: int = 3, palette: str = "clay") -> Poster:
    return compose_poster(poster_text(facts, headline(facts)[0]), seed, palette)


@pytest.mark.parametrize("facts", HARD, ids=lambda facts: facts["name"][:20])
def test_nothing_runs_off_the_sheet_or_into_each_other(
    facts: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes: list[tuple[float, float, float, float]] = []
    monkeypatch.setattr(Drawn, "boxes", boxes, raising=False)
    monkeypatch.setattr(poster, "Sheet", Drawn)
    sheet = poster_of(facts).sheet
    for shape, _ in sheet.shapes[1:]:
        for x, y in (point for one in shape for point in one.points):
            assert -1 <= x <= WIDTH + 1
            assert -1 <= y <= quiet_box()[1]
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert left >= MARGIN - 12
        assert right <= WIDTH - MARGIN + 12
        for other in boxes[number + 1 :]:
            apart = other[0] >= right or other[2] <= left or other[1] >= bottom or other[3] <= top
            assert apart, (number, boxes)


@pytest.mark.parametrize("facts", HARD[9:], ids=lambda facts: facts["name"][:20])
def test_a_long_name_shrinks_or_breaks_and_loses_nothing(facts: Mapping[str, str]) -> None:
    name = poster._fitted_name(facts["name"], poster.NAME_HEIGHTS[0])
    assert name.size < poster.NAME_SIZES[0]
    assert max(width_of(line, name.type) for line in name.lines) <= poster.MEASURE
    joined = "".join(name.lines).replace("-", "").replace(" ", "")
    assert joined == facts["name"].replace(" ", "")


def test_the_same_words_and_seed_give_the_same_poster() -> None:
    one, same, other = poster_of(ALL), poster_of(ALL), poster_of(ALL, seed=4)
    assert one.sheet.svg() == same.sheet.svg()
    assert one.pdf() == same.pdf()
    assert one.sheet.svg() != other.sheet.svg()


def test_every_palette_is_legible_and_may_be_chosen_by_chance() -> None:
    for palette in PALETTES:
        assert min(contrast(*pair) for pair in contrast_pairs(palette)) >= 4.5
    assert {palette_of(seed) for seed in range(60)} == set(PALETTES)


def contrast(one: Colour, other: Colour) -> float:
    """WCAG 2.2, 1.4.3."""

    def luminance(colour: Colour) -> float:
        linear = [((c / 255 + 0.055) / 1.055) ** 2.4 if c > 10 else c / 3294.6 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_poster_without_a_name_or_with_too_much_is_refused() -> None:
    fact = PosterFact(slot="food", label="Food", value="x")
    for text, said in (
        (PosterText(name=" ", eyebrow="", line=""), "holds a name"),
        (PosterText(name="A", eyebrow="", line="", facts=(fact,) * 7), "up to 6 facts"),
        (PosterText(name="A", eyebrow="", line="x" * 121), "121 characters; at most 120"),
        (PosterText(name="שלום", eyebrow="", line=""), "cannot set שלום"),
        (PosterText(name="\U0001fae0\U000e1234", eyebrow="", line=""), "no installed font"),
    ):
        with pytest.raises(MediaError, match=said):
            compose_poster(text, 1)


def test_latin_keeps_its_face_beside_chinese() -> None:
    how = Type(size_px=40, style="serif", weight="bold")
    alone, mixed = lettering("Lotus", how)[0], lettering("Lotus 茶", how)[0]
    assert mixed[: len(alone)] == alone


def test_accents_that_come_apart_are_put_together() -> None:
    apart = unicodedata.normalize("NFD", "Zoë")
    assert require_facts({"name": apart, "food": "Thai"})["name"] == "Zoë"
