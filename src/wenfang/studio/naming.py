"""What fields, choices and steps are called where people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wenfang.language import t

if TYPE_CHECKING:
    from wenfang.studio.form import Field


def _names() -> dict[str, str]:
    return {
        "subject": t("Subject"),
        "form": t("Form"),
        "language": t("Language"),
        "paper": t("Paper"),
        "stops": t("Punctuation"),
        "label": t("Words of the label"),
        "picture": t("Model that draws a picture"),
        "picture_of": t("What the picture shows"),
        "picture_ink": t("Colours of the picture"),
        "signature": t("Signature"),
        "date": t("Date line"),
        "seal": t("Red seal"),
        "seed": t("Seed"),
        "rhyme_first": t("The first line rhymes too"),
        "regular_tones": t("Regular tones"),
        "avoid": t("Words to avoid"),
        "candidates": t("Drafts a round"),
        "rounds": t("Rounds at most"),
        "temperature": t("Daring"),
        "top_k": t("Most likely ones only (number)"),
        "top_p": t("Most likely ones only (share)"),
        "min_p": t("Least likelihood"),
        "repetition_penalty": t("Against repetition"),
        "guidance": t("Closeness to the subject"),
        "voice": t("Voice"),
        "speed": t("Speed"),
        "pauses": t("Pauses"),
        "music": t("Model that composes"),
        "mood": t("Mood"),
        "arrangement": t("Instruments"),
        "ambience": t("Sounds behind it"),
        "shapes": t("Shapes"),
        "quality": t("Quality"),
        "also": t("Other formats as well"),
        "captions": t("Captions"),
        "hour": t("Hour of the day"),
        "weather": t("Weather"),
        "brand": t("Brand"),
        "slogan": t("Slogan"),
        "seconds": t("Seconds"),
        "variants": t("Variants"),
        "loop": t("It loops"),
        "text": t("Text"),
        "format": t("Format"),
        "source": t("Language of the text"),
        "into": t("Translate into"),
        "title": t("Title"),
        "glossary": t("Glossary"),
        "name": t("Name of the venue"),
        "type": t("Kind of venue"),
        "food": t("Food"),
        "price": t("Price"),
        "rating": t("Rating"),
        "area": t("Part of town"),
        "near": t("Near"),
        "family_friendly": t("For families"),
        "call": t("What people shall do"),
        "palette": t("Colours"),
        "tone": t("Tone"),
        "drafts": t("Drafts that are kept"),
    }


def _helps() -> dict[str, str]:
    return {
        "subject": t("A title, or a few words; traditional or simplified characters."),
        "seed": t("The same seed gives the same piece again."),
        "mood": t("Calm, joyful, sad, bright ...; left empty, the words decide."),
        "brand": t("A name, Chinese or English; for a film one or two colours such as #8e3a2a."),
        "seconds": t("Exactly so long, before the label; 3 to 30."),
        "glossary": t("One term a line: term = translation."),
        "area": t("Any; riverside and city centre are known."),
        "food": t("Any: Italian, Szechuan, vegan."),
        "picture": t("A bundle that draws from words, such as emblem; left empty, a sign."),
        "signature": t("A name at the foot; of a jingle, the small sound after the name."),
        "shapes": t("16:9 for screens, 9:16 for phones, 1:1 for squares."),
    }


def _choices() -> dict[str, str]:
    return {
        "": t("as it comes"),
        "None": t("say nothing of it"),
        "True": t("yes"),
        "False": t("no"),
        "auto": t("automatic"),
        "plain": t("plain"),
        "ruled": t("ruled letter paper"),
        "dusk": t("dusk in ink"),
        "none": t("none"),
        "small": t("small"),
        "full": t("full"),
        "zh": t("Chinese"),
        "en": t("English"),
        "both": t("both"),
        "zh-Hant": t("traditional characters"),
        "zh-Hans": t("simplified characters"),
        "ink": t("ink"),
        "own": t("its own"),
        "palette": t("those of the poster"),
        "woman": t("a woman"),
        "man": t("a man"),
        "child": t("a child"),
        "draft": t("draft"),
        "track": t("as a track"),
        "burnt": t("in the picture"),
        "restaurant": t("restaurant"),
        "pub": t("pub"),
        "coffee shop": t("coffee shop"),
        "cheap": t("cheap"),
        "moderate": t("moderate"),
        "high": t("high"),
        "low": t("low"),
        "average": t("average"),
        "clay": t("clay"),
        "harbour": t("harbour"),
        "moss": t("moss"),
        "plum": t("plum"),
        "night": t("night"),
        "chime": t("chime"),
        "bell": t("bell"),
        "markdown": "Markdown",
    }


def field_name(path: tuple[str, ...]) -> str:
    """A field's label; its own name where it has no other."""
    last = path[-1]
    return _names().get(last, last.replace("_", " "))


def field_help(field: Field) -> str:
    """One line below the label; empty where the label says it all."""
    return _helps().get(field.path[-1], "")


def choice_name(value: Any) -> str:
    """A choice as people read it."""
    return _choices().get(str(value), str(value))
