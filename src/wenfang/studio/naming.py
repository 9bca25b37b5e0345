"""What fields, choices, jobs and numbers are called where people read them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from wenfang.jobs import Job
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
        "signature": t("A name at the foot of a card, or the small sound after a brand's."),
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


def subject_name(subject: str) -> str:
    """A scenario in two words; a model's own name."""
    return {
        "verse_card": t("poem card"),
        "verse_film": t("poem film"),
        "verse_recital": t("poem, read aloud"),
        "jingle": t("jingle"),
        "translate": t("translation"),
        "venue_film": t("venue film"),
        "venue_ad": t("venue advertisement"),
        "several": t("several pieces"),
    }.get(subject, subject)


def job_name(job: Job) -> str:
    """What a job does, and of what."""
    what = subject_name(job.subject)
    return {
        "create": t("create: {what}", what=what),
        "generate": t("make: {what}", what=what),
        "train": t("train: {what}", what=what),
        "evaluate": t("measure: {what}", what=what),
        "prepare": t("prepare: {what}", what=what),
        "seal": t("seal files"),
        "film": t("film {size}", size=what),
    }.get(job.kind, f"{job.kind} {what}")


def time_name(seconds: float | None) -> str:
    """A moment by this machine's clock; empty where there is none."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def check_name(name: str) -> str:
    """A check of a piece."""
    return {
        "form": t("form"),
        "copied_lines": t("copied lines"),
        "longest_copy": t("longest copy"),
        "near_copy": t("near copy"),
        "folder_copy": t("copy of your own texts"),
        "melody_copy": t("copied melody"),
        "loop_seam": t("seam of the loop"),
        "picture_copy": t("copied picture"),
        "picture_neighbour": t("picture much like another"),
        "sound_clipping": t("distorted sound"),
        "sound_silence": t("silence"),
        "sound_loudness": t("loudness"),
        "speech_timing": t("timing of the voice"),
        "film_timing": t("timing of the film"),
        "repeated_text": t("repeated text"),
        "batch_sameness": t("likeness within a batch"),
        "words": t("words to avoid"),
        "offence": t("offence"),
        "personal": t("personal data"),
        "facts": t("facts"),
        "rights": t("rights"),
    }.get(name, name.replace("_", " "))


def layer_name(name: str) -> str:
    """A layer of a seal."""
    return {
        "visible": t("visible label"),
        "metadata": t("metadata label"),
        "credential": t("credential"),
        "watermark": t("watermark"),
        "hashes": t("hashes"),
        "manifest": t("manifest"),
    }.get(name, name.replace("_", " "))


def node_name(kind: str) -> str:
    """What stands in a lineage."""
    return {
        "source": t("source material"),
        "dataset": t("data set"),
        "recipe": t("recipe"),
        "bundle": t("model"),
        "brief": t("brief"),
        "asset": t("asset"),
    }.get(kind, kind)


def number_name(name: str) -> str:
    """What a measured number is called; its own name, in words, where it has no other."""
    return {
        "val_loss": t("loss on what was set aside"),
        "val_error": t("error on what was set aside"),
        "val_loss_conditioned": t("the same, told what it is"),
        "bits_per_byte": t("bits a byte on what was set aside"),
        "gain_bits_per_byte": t("bits a byte gained by tuning"),
        "examples": t("examples set aside"),
        "pictures": t("pictures measured"),
        "copies_looked_for": t("pictures looked at for copies"),
        "near_copies_share": t("share of near copies"),
        "near_copies_of_real_share": t("the same of real pictures"),
        "nearest_training_distance_median": t("distance to the nearest picture learnt from"),
        "nearest_training_distance_of_real_median": t("the same distance of real pictures"),
    }.get(name, name.replace("_", " "))
