"""The model card of a bundle: what it is, what it was made from, what it measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wenfang.knowledge.verse import FORMS
from wenfang.models import (
    bert,
    dit,
    gan,
    gpt,
    gpt2,
    picture_classifier,
    picture_encoder,
    seq2seq,
    text_classifier,
    text_image,
    unet,
    upscaler,
    vae,
)
from wenfang.recipes.picture import PICTURE, SUMMARY
from wenfang.recipes.recipe import AnyModel, Recipe
from wenfang.store import Manifest

GENERATOR_LIMITS = (
    "A small model of our own. It writes in the manner of its training set and knows nothing "
    "else; what it writes is checked for form, copies and words, not for sense.",
)
PICTURE_LIMITS = (
    "A small model of our own. It draws in the manner of the pictures that it learnt from and "
    "knows nothing else; whether a picture is right nobody has judged but the numbers above.",
    "",
    "- From some hundreds of pictures it learns them by heart: expect variations and mixtures of "
    "them, and look at how near the nearest of them is before you publish.",
)
LIMITS = {
    "cold_zh_offensive": (
        "A small judge of our own; yes is class 1. It knows the comments, topics and years of its "
        "training set and takes over the mistakes of its labels. Those follow the words of a text "
        "closely: a linear model of character pairs agrees with 91 % of them (2,553 held-out "
        "comments), which points to labels made with a model's help. So the accuracy above is "
        "agreement with such labels, not with people. On the origin's other part, labelled by "
        "people and not at hand here, detectors of 110 M parameters are reported to reach about "
        "81 %; expect less of this one.",
        "",
        "- It reads Chinese in simplified characters; other languages are not judged.",
        "- It does not see irony, quotation or context, nor offence in other fields than race, "
        "region and gender; naming a group alone moves it, and a plea against prejudice may be "
        "taken for prejudice.",
        "- At its threshold 5 % of the harmless comments of the validation part are taken for "
        "offensive ones. Those speak of heated topics; of 1,000 everyday sentences it took 1 %, of "
        "2,000 turns of service and film talk none, of 500 quatrains 1 %, of 900 paragraphs of "
        "old novels 3 %. It is one gate beside a word list, not a moderator.",
        "- Longer texts are judged in passages of 60 characters and the worst one counts, so a "
        "long one is stopped more often: of 1,000 characters of an old novel a third are.",
        "- It carries no index of its training material, since it writes nothing.",
    ),
    "encoder_texts": (
        "A small reader of our own. It lays sentences of like meaning near each other; it writes "
        "nothing and knows no facts.",
        "",
        "- It learnt from short everyday sentences and their translations, names of signs, fairy "
        "tales, sums, and talk about travel and films. Outside of these, and for names, "
        "negations and numbers, likeness of words passes for likeness of meaning: a sentence and "
        "its denial lie close.",
        "- A cosine is no probability; thresholds are to be chosen on your own texts.",
        "- Texts longer than its context are read in pieces whose vectors are averaged.",
        "- Chinese is read in simplified characters best; all its texts were put into them.",
        "- The sentences of Tatoeba are by many authors, whom this copy of them does not name; "
        "tatoeba.org names the author of each sentence that is looked up there. No sentence can "
        "be read out of the vectors, but the credit is due all the same.",
        "- It carries no index of its training material, since it writes nothing.",
    ),
    "tatoeba_en_zh": (
        "A small translator of our own, for short everyday sentences: a label, a greeting, a "
        "question at a counter. It learnt from 18,000 pairs of sentences and knows few words "
        "beyond them.",
        "",
        "- Of what it was not shown it makes something that is said, not what was meant: read the "
        "samples. Long sentences, figures of speech, news, law and medicine are beyond it. Let "
        "somebody who reads both languages look before it is published.",
        "- Numbers, names in Latin letters and terms of a glossary are slots: they come over as "
        "they are, or as the glossary says.",
        "- It writes simplified characters, and reads them best.",
        "- Its sentences are by the contributors of Tatoeba under CC BY 2.0 FR. This copy of them "
        "does not name the author of each sentence; tatoeba.org names the author of every "
        "sentence that is looked up there, which is the credit that can be given here.",
        "- It carries no index of its training sentences: short everyday sentences are alike "
        "wherever they come from.",
    ),
    "jsb_chorales": (
        "A small composer of our own. It knows one thing: the four-voice chorales of Johann "
        "Sebastian Bach, 229 of them, for soprano, alto, tenor and bass. Whatever is asked, it "
        "writes in that manner; a mood is made by key, tempo, density and who plays, and words of "
        "a prompt mean nothing else to it.",
        "",
        "- It writes upon sixteenths, in 2/4, 3/4 and 4/4, in one key and one metre, 1 to 24 bars, "
        "each voice within its range. No triplets, no grace notes, no text; loudness, tempo and "
        "slight delays come from the performance.",
        "- Keys, metres and upbeats of what it learnt from were heard by a program, since its "
        "source tells none, and held notes are not told from repeated ones there. Nothing holds "
        "it to the key that is asked but its habit and the last chord.",
        "- Length, ranges, order of the voices, parallel fifths and octaves and the last chord are "
        "kept by rules while it draws, so that these numbers tell nothing of the model. Where not "
        "all of it can be had the rules yield, first that against parallels, then that against "
        "crossing.",
        "- A given melody is kept note by note. The voices below it are drawn bar by bar, in sight "
        "of the melody of this bar and of the note upon which it enters the next, and of nothing "
        "further; how much that tells of them is the difference between "
        "`test_nats_a_lower_note_harmonising` and `test_nats_a_lower_note` above. The melody may "
        "be moved by octaves, and must fit the soprano's range (58 to 83).",
        "- It may quote: `copied_share` above is how many of its pieces have a line with 12 "
        "intervals in a row of a piece learnt from, and `copied_share_of_real` how many of Bach's "
        "own do, whose tunes return. The bundle carries an index of the lines that it learnt "
        "from, by which the check `melody_copy` finds a quotation.",
        "- It has no plan of phrases: it is told how many bars are left, and no more. The numbers "
        "are counted from notes; nobody has judged how it sounds.",
    ),
    "mnist/elbo": (
        "A small model of our own, for teaching and tests: it knows handwritten digits of 28 x 28 "
        "pixels in grey, and nothing else.",
        "",
        "- It is good at telling how likely a digit is and at varying a given one. What it draws "
        "from nothing often lies between two digits; `digits-gan` and `digits-diffusion` draw "
        "better, and are told which digit.",
        "- Distances are those of one small classifier's features, and compare with nothing that "
        "was measured by another.",
        "- It carries no index of its training pictures; how near the nearest of them is stands "
        "above where it was measured.",
    ),
    "mnist": (
        "A small model of our own, for teaching and tests: it knows handwritten digits of 28 x 28 "
        "pixels in grey, and nothing else.",
        "",
        "- Strokes that no hand would write are among what is made; the numbers above tell how "
        "often the classifier takes one for what was asked.",
        "- Distances are those of one small classifier's features, and compare with nothing that "
        "was measured by another.",
        "- It carries no index of its training pictures; how near the nearest of them is stands "
        "above where it was measured.",
    ),
    "fsdd/denoising": (
        "A small model of our own, for teaching and tests: it says an English digit in one of six "
        "voices, 0.77 s at 8 kHz, and nothing else.",
        "",
        "- It draws a log-mel of 48 bands and 48 frames; how loud it is and its phases are not in "
        "it. Phases are found by Griffin & Lim, so it sounds as over a poor telephone.",
        "- The voices are those of six people who gave their recordings for such use, under their "
        "first names; it does not know others. What it says may lie near one of the 40 takes of "
        "each digit that it learnt from: the distances above tell how near, beside real takes.",
        "- Its listener is one small recogniser; nobody has judged how it sounds.",
        "- It carries no index of its training recordings.",
    ),
    "fsdd/elbo": (
        "A small autoencoder of our own, for teaching and tests: log-mels of spoken digits to 32 "
        "numbers and back. Drawn from noise it says whatever comes, in no voice that was asked "
        "for.",
        "",
        "- Levels come back blurred, as an autoencoder of pictures blurs them: harmonics melt, and "
        "words sound hoarse.",
        "- It carries no index of its training recordings.",
    ),
    "fsdd_digits": (
        "A small recogniser of our own: English digits, said alone, by the six voices of its "
        "training set. It is there to measure `spoken-digits`, which never learnt from it.",
        "",
        "- It learnt from the training part alone, whose voices are those of the test part too; "
        "how it hears a voice that it does not know is not measured.",
        "- Noise, other rooms and other words were not at hand; it takes any sound for a digit.",
        "- It carries no index of its training recordings, since it makes nothing.",
    ),
    "pictograms/elbo": (
        "A small autoencoder of our own: 64 x 64 pixels of colour and opacity become 8 x 8 places "
        "of 16 numbers, and come back. It is what `emblem` draws in; drawn from noise by itself it "
        "makes nothing that means anything.",
        "",
        "- It knows pictograms: clear shapes in flat or softly shaded colours upon nothing. "
        "Photographs, small letters and hair lines come back softened.",
        "- What is measured above are glyphs that it never saw, each brought to its likeliest "
        "latent and back; colours count as much as they are opaque.",
        "- It carries no index of its training pictures.",
    ),
    "pictograms/denoising": (
        "A small draughtsman of our own: pictograms in the manner of Noto Emoji, from words in "
        "English or Chinese.",
        "",
        "- What it was shown it draws best: some 1,200 things, faces, people and signs. Asked in "
        "words that it did not learn by it draws the thing whose words are nearest, and says so; "
        "the nearest may be far. With `paint.literal=true` it makes an attempt out of what it "
        "knows instead, which is worse more often than not. The numbers above tell these apart, "
        "and how real drawings of each score with the same judge.",
        "- It counts poorly, writes no letters, and does not know brands, flags or living people.",
        "- It reads words as the bundle `encoder` does: everyday English and simplified Chinese. "
        "Other scripts are refused; other languages in Latin letters are read as bad English.",
        "- What it draws may lie near a drawing that it learnt from (Noto Emoji, Apache-2.0). How "
        "near the nearest one is stands above where it was measured.",
        "- It carries no index of its training pictures.",
    ),
    "pictograms/matching": (
        "A small judge of our own: it tells which words fit a pictogram. It is there to measure "
        "`emblem`, which never learnt from it.",
        "",
        "- It learnt from the drawings that `emblem` learnt from and from the glyphs that were "
        "held out from it, with a seed and views of its own; only the validation part is new to "
        "it, and that is small.",
        "- A likeness is no probability, and what the two encoders of words share they may both "
        "misread.",
        "- It carries no index of its training pictures, since it makes nothing.",
    ),
    "fine_drawings": (
        "A small draughtsman of our own that makes pictograms larger: clear shapes, flat colours, "
        "transparency. It adds edges, and no detail that was not there.",
        "",
        "- It learnt from emoji of 72 pixels and icons of 256. Photographs stay about as soft as "
        "plain enlargement leaves them; their grain and JPEG's blocks may be taken for edges.",
        "- It is made for pictures that were drawn or shrunk cleanly.",
        "- It carries no index of its training pictures, since it draws nothing of its own.",
    ),
    "drawings": (
        "A small eye of our own. It tells whether a picture is an altered copy of one that it is "
        "shown; it does not know what a picture shows, and likeness of idea or style is not seen.",
        "",
        "- It learnt from emoji, icons and scenes strewn with them, at 64 x 64 pixels. Photographs "
        "were not at hand: the false alarms and finds above are those of drawings and such scenes.",
        "- A picture is looked at in eight ways (as it is, wider, cut, turned by 10 degrees); the "
        "nearest counts, and so it is measured above. If more than a tenth was cut away at each "
        "edge it is mostly missed. A `found_share` counts finds of the right source; 2 % of the "
        "drawings are in the known set twice, so that 0.98 is about the most.",
        "- The threshold leaves 1 % of unrelated validation drawings below it. Drawings that are a "
        "known one but for colour, mirroring or right angles (rewind and fast-forward) are not "
        "unrelated, and are counted apart; about half of these are found.",
        "- It is set for some 2,000 known pictures; the more are known, the nearer the nearest one "
        "comes and the more false alarms there are. Drawings of one series lie close together.",
        "- A part of a picture hidden in a much larger one is not found.",
        "- It carries no index of its training material, since it makes nothing.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class CardContent:
    """What the card tells.

    licence       of the bundle: of its sources and its base together
    base_licence  of the bundle that it started from, where there is one
    """

    recipe: Recipe
    parameters: int
    sources: tuple[Manifest, ...]
    dataset: Manifest
    numbers: Mapping[str, Any]
    steps_done: int
    licence: str
    base: str = ""
    base_licence: str = ""


def _stored(recipe: Recipe) -> str:
    return "8 bits a weight with a scale a row" if recipe.eight_bits else "float16"


def render_card(content: CardContent) -> str:
    """The card as Markdown with front matter."""
    recipe = content.recipe
    lines = [
        "---",
        f"name: {recipe.name}",
        f"family: {recipe.family}",
        f"parameters: {content.parameters}",
        f"licence: {content.licence}",
        "---",
        "",
        f"# {recipe.name}",
        "",
        f"{recipe.summary[0].upper()}{recipe.summary[1:]}.",
        "",
        f"{_what(content)}: {_shape(recipe.model)}. Stored in {_stored(recipe)}, computed in "
        "float32; everything below is measured after that rounding.",
        "",
        "## Data",
        "",
        *(_source(source) for source in content.sources),
        *_base(content),
        f"- data set `{content.dataset.id[:16]}`: {_counts(content.dataset)}",
        "",
        "## Training",
        "",
        f"{_command(content)}: {content.steps_done:,} steps of {recipe.train.batch_size} "
        f"examples, {recipe.optim.kind}, seed {recipe.train.seed}. The whole recipe is in "
        "`lineage.json`.",
        "",
        *_numbers(content.numbers),
        *_samples(content.numbers),
        "## Limits",
        "",
        *_limits(recipe),
        "",
    ]
    return "\n".join(lines)


def _what(content: CardContent) -> str:
    recipe, count = content.recipe, f"{content.parameters:,} parameters"
    if recipe.tune.thin:
        return f"An adapter of {count} for the {recipe.family} `{content.base}`"
    article = "An" if recipe.family[0] in "aeiou" and recipe.family != "unet" else "A"
    return f"{article} {recipe.family} of {count}"


def _source(source: Manifest) -> str:
    notice = source.facts.get("notice", "")
    return f"- {source.name} ({source.licence})" + (f": {notice}" if notice else "")


def _base(content: CardContent) -> list[str]:
    if not content.base:
        return []
    return [
        f"- whatever `{content.base}` ({content.base_licence}) was made from, see NOTICE; its "
        "licence goes on with this bundle"
    ]


DRAWS = (dit.Config, gan.Config, unet.Config, vae.Config)


def _limits(recipe: Recipe) -> tuple[str, ...]:
    """Of what learns one way from a data set, or of all that learns from it."""
    source = recipe.data.source
    plain = PICTURE_LIMITS if isinstance(recipe.model, DRAWS) else GENERATOR_LIMITS
    return LIMITS.get(f"{source}/{recipe.data.layout}") or LIMITS.get(source) or plain


def _command(content: CardContent) -> str:
    recipe = content.recipe
    if recipe.tune.kind == "none":
        # Made for a folder, it is named after that; the command has another name.
        name = PICTURE if recipe.summary == SUMMARY else recipe.name
        return f"`wenfang train {name}`" + (f" from `{content.base}`" * bool(content.base))
    what = {
        "full": "every weight",
        "lora": f"LoRA of rank {recipe.tune.rank}, stored without its base",
        "prompt": f"{recipe.tune.length} learned vectors, stored without their base",
    }[recipe.tune.kind]
    return f"`wenfang train tune` from `{content.base}` ({what})"


def _shape(model: AnyModel) -> str:
    if isinstance(model, gpt.Config | gpt2.Config):
        return (
            f"{model.layers} layers of width {model.width}, context {model.context}, "
            f"vocabulary {model.vocabulary_size:,}"
        )
    if isinstance(model, bert.Config):
        return (
            f"{model.layers} layers of width {model.width} that read both ways, context "
            f"{model.context}, vocabulary {model.vocabulary_size:,}"
        )
    if isinstance(model, seq2seq.Config):
        return (
            f"{model.encoder_layers} encoder and {model.decoder_layers} decoder layers of width "
            f"{model.width}, context {model.context}, vocabulary {model.vocabulary_size:,}"
        )
    if isinstance(model, picture_encoder.Config):
        return (
            f"stages of {', '.join(map(str, model.channels))} channels upon {model.side_px} x "
            f"{model.side_px} pixels, vectors of {model.dimensions} dimensions"
        )
    if isinstance(model, text_image.Config):
        return (
            f"stages of {', '.join(map(str, model.channels))} channels upon {model.side_px} x "
            f"{model.side_px} pixels, words read in {model.hidden_width} numbers, vectors of "
            f"{model.dimensions} dimensions for both"
        )
    if isinstance(model, upscaler.Config):
        return f"{model.blocks} blocks of {model.channels} channels, {model.times} times larger"
    if not isinstance(model, text_classifier.Config):
        return _picture_shape(model)
    return (
        f"weights for 1- to {model.gram_sizes}-grams in {model.buckets:,} buckets, and "
        f"{model.channels} convolutions of each size {', '.join(map(str, model.kernel_sizes))} "
        f"over width {model.width}, vocabulary {model.vocabulary_size:,}"
    )


def _picture_shape(
    model: picture_classifier.Config | vae.Config | gan.Config | unet.Config | dit.Config,
) -> str:
    if isinstance(model, dit.Config):
        return f"{model.layers} layers of width {model.width}, squares of {model.patch} pixels"
    levels = f"levels of {', '.join(map(str, model.channels))} channels"
    if isinstance(model, unet.Config):
        return f"{levels}, {model.blocks} blocks each"
    levels += f" upon {model.side_px} x {model.side_px} pixels"
    if isinstance(model, picture_classifier.Config):
        return f"{levels}, {model.features} features"
    return f"{levels}, latents of {model.latent_width} numbers"


def _counts(dataset: Manifest) -> str:
    counts: Any = dataset.facts.get("counts", {})
    splits = counts.get("splits", {})
    return ", ".join(f"{split} {value.get('records', 0):,}" for split, value in splits.items())


def _numbers(numbers: Mapping[str, Any]) -> list[str]:
    if not numbers:
        return []
    rows = [
        f"| {name} | {_plain(value)} |"
        for name, value in numbers.items()
        if isinstance(value, int | float | str)
    ]
    return ["## Measured", "", "| what | value |", "| --- | --- |", *rows, ""]


def _plain(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _samples(numbers: Mapping[str, Any]) -> list[str]:
    samples = numbers.get("samples", [])
    if not samples:
        return []
    if "query" in samples[0]:
        lines = ["## Samples", "", "Sentences of the test part at even distances, and the nearest "
                 "one in the other language.", ""]  # fmt: skip
        return [*lines, *(f"- {one['query']} → {one['nearest']}" for one in samples), ""]
    if "prompt" in samples[0]:
        lines = ["## Samples", "", "Of the test part, unpicked, by beam search.", ""]
        for sample in samples:
            lines.append(f"- {sample['prompt']} → {sample['text']}")
        return [*lines, ""]
    lines = ["## Samples", "", "The first seeds of the evaluation, on unseen titles, unpicked.", ""]
    for sample in samples:
        form = FORMS[len(sample["lines"][0])]
        lines.append(f"- 《{sample['title']}》 {''.join(form.punctuated(sample['lines']))}")
    return [*lines, ""]
