"""Named data sets: where they come from, what they must hash to, how they become records.

Nothing is downloaded. The files lie in DATA/NAME/ (or directly in DATA), where DATA is given or
is the environment variable WENFANG_DATA.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from wenfang.atomic import sha256_file
from wenfang.config import nearest
from wenfang.data.dataset import Dataset
from wenfang.data.lineage import (
    OnEvent,
)
from wenfang.data.makers import (
    make_captions,
    make_chorales,
    make_comments,
    make_digits,
    make_drawings,
    make_encoder_texts,
    make_fine_drawings,
    make_pictogram_groups,
    make_pictograms,
    make_poems,
    make_short_sentences,
    make_spoken_digits,
    make_spoken_for_reading,
    make_text_by_position,
    make_venues,
)
from wenfang.data.named_source import NamedFile, NamedSource, beside
from wenfang.data.parallel import (
    caption_files,
)
from wenfang.errors import DataError, NotFoundError


def prepare_named(
    name: str,
    data_root: Path | str | None,
    output: Path | str,
    on_event: OnEvent | None = None,
) -> Dataset:
    """The named data set in `output`, from its files under `data_root` or WENFANG_DATA.

    raises NotFoundError for an unknown name, DataError for files that are absent or changed
    """
    named = find_named(name)
    return named.make(named, find_file(named, data_root), Path(output), on_event)


def find_named(name: str) -> NamedSource:
    """The entry of NAMED; NotFoundError names the nearest."""
    if name not in NAMED:
        raise NotFoundError(
            "no data set is named {name}; did you mean {close}?",
            name=name,
            close=nearest(name, NAMED) or ", ".join(NAMED),
        )
    return NAMED[name]


def find_file(named: NamedSource, data_root: Path | str | None) -> Path:
    """The file of `named` under `data_root`, its hash checked."""
    given = data_root or os.environ.get("WENFANG_DATA")
    roots = [Path(given).expanduser()] if given else []
    for path in [p for r in roots for p in (r / named.name / named.file.name, r / named.file.name)]:
        if path.is_file():
            _require_hash(path, named.file, named)
            if named.held_out:
                _require_hash(path.with_name(named.held_out.name), named.held_out, named)
            for other in named.further:
                _require_hash(beside(path, named, other), other.file, other)
            return path
    _raise_missing(named.file, named, roots[0] if roots else Path("DATA"))


def _raise_missing(file: NamedFile, named: NamedSource, folder: Path) -> NoReturn:
    raise DataError(
        "{name}: {file} is not there; get it from {origin}, put it into {folder}/{name}/ and "
        "name that folder with --data or WENFANG_DATA; its SHA-256 is {sha256}",
        name=named.name,
        file=file.name,
        origin=named.origin,
        folder=folder,
        sha256=file.sha256,
    )


def _require_hash(path: Path, file: NamedFile, named: NamedSource) -> None:
    if not path.is_file():
        _raise_missing(file, named, path.parent.parent)
    found = sha256_file(path)
    if found != file.sha256:
        raise DataError(
            "{path} has the SHA-256 {found}, expected {expected}; get it again from {origin}",
            path=path,
            found=found,
            expected=file.sha256,
            origin=named.origin,
        )


EMOJI = "noto_emoji72"
LUCIDE = NamedSource(
    name="lucide_icons",
    origin="github.com/lucide-icons/lucide, icons/*.svg at "
    "33a44aa8b0b43d9b0ed14eb08860a1b5550a1573",
    licence="ISC AND MIT",
    notice="Lucide icons, ISC; those from Feather (Cole Bemis) MIT.",
    file=NamedFile(
        name="lucide.tar.xz",
        sha256="c9bffbc0d00f6c974c05b437ad864373618d861b76261acfc7a854d759c7a1c5",
    ),
    make=make_drawings,
)
CAPTIONS = NamedSource(
    name="multi30k",
    origin="github.com/multi30k/dataset, data/task1/raw at "
    "a3d2e0d26b56f3846f66a952536ffed4e401d05a",
    licence="LicenseRef-Multi30k-non-commercial-research",
    notice="Multi30K (Elliott et al. 2016), captions from Flickr30k with German translations, for "
    "non-commercial research and education only.",
    file=NamedFile(name="train.en.gz", sha256=""),
    make=make_captions,
)
CAPTION_HASHES = dict(
    zip(
        caption_files(),
        (
            "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
            "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
            "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
            "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
            "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
            "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
        ),
        strict=True,
    )
)
VENUE_FILES = (
    NamedFile(
        name="devset.csv",
        sha256="fc26b78cdb849c80545f513b223d1e051138b43882eeb79e3eb153e689c864f9",
    ),
    NamedFile(
        name="testset_w_refs.csv",
        sha256="edc8db685e39bb9824d5bd70c18b1c9b0412d14b527aa960e2d1c8251ee15ccd",
    ),
)
E2E = NamedSource(
    name="e2e_nlg",
    origin="github.com/tuetschek/e2e-dataset at ab0d967dd5729ce455ef14ba9ffafc456a335264 "
    "(devset.csv, testset_w_refs.csv) and, for its training part, "
    "github.com/harvardnlp/neural-template-gen, data/e2e_aligned.tar.gz at "
    "dff72ca246e80fd0eef2ca0b8b1fbf21fe927df4",
    licence="CC-BY-SA-4.0",
    notice="E2E NLG dataset by Jekaterina Novikova, Ondrej Dusek and Verena Rieser (SIGDIAL 2017), "
    "CC BY-SA 4.0; training texts changed: put back from tokens into plain English.",
    file=NamedFile(
        name="e2e_aligned.tar.gz",
        sha256="078ce181b625464a0a26212b9694bb1e6b1b4a12bd00e9520d5fa8b6a3ce2736",
    ),
    make=make_venues,
)
PAIRS = NamedSource(
    name="tatoeba_en_zh",
    origin="github.com/pjgao/seq2seq_keras, data/cmn.txt at "
    "345f3ad6aa03988aa5deb9e5252de4f0c59cc0a2; sentences of tatoeba.org, paired by "
    "manythings.org/anki",
    licence="LicenseRef-CC-BY-2.0-FR",
    notice="English and Chinese sentences by the contributors of Tatoeba (tatoeba.org), "
    "CC BY 2.0 FR, paired by ManyThings.org. This copy does not name the author of each "
    "sentence; tatoeba.org does, where a sentence is looked up. Changed: characters "
    "simplified, marks made alike.",
    file=NamedFile(
        name="cmn.txt",
        sha256="74bd3c04dfe0ec75aaaf165597b2a83c6a733d34f46b184fc21ca6b552c268d3",
    ),
    make=make_short_sentences,
)
SIGNS = NamedSource(
    name=EMOJI,
    origin="github.com/unicode-org/cldr-json, annotations and annotationsDerived, en and zh at "
    "b08a82b582f1120d630d623f9e5073316741574d, as a table beside the drawings",
    licence="Unicode-3.0",
    notice="Names of signs in English and Chinese, Unicode CLDR, Copyright 2015-2024 Unicode, "
    "Inc., Unicode License V3.",
    file=NamedFile(
        name="captions.tsv",
        sha256="cc6d2099f8db3fd7c55285d741b925605e308ae58258e8fb2b2cdc8536014e71",
    ),
    make=make_encoder_texts,
)
STORIES = NamedSource(
    name="fairytaleqa_stories",
    origin="github.com/uci-soe/FairytaleQAData, data-by-train-split/sentence-stories at "
    "a24ddc17364666b7c13a425b9970c87368b03417",
    licence="Apache-2.0",
    notice="FairytaleQA (Xu et al. 2022, arXiv:2203.13947), Apache-2.0; tales from Project "
    "Gutenberg.",
    file=NamedFile(
        name="train.csv",
        sha256="f2e5975a30afad43f193f2986abb13ff8b8147429a2d02a13f144191ce96a1dc",
    ),
    make=make_encoder_texts,
)
SUMS = NamedSource(
    name="gsm8k",
    origin="github.com/openai/grade-school-math, grade_school_math/data at "
    "3101c7d5072418e28b9008a6636bde82a006892c",
    licence="MIT",
    notice="GSM8K (Cobbe et al. 2021, arXiv:2110.14168), Copyright 2021 OpenAI, MIT; questions "
    "only.",
    file=NamedFile(
        name="train.jsonl",
        sha256="17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
    ),
    make=make_encoder_texts,
)
TRAVEL_TALK = NamedSource(
    name="crosswoz_zh",
    origin="github.com/thu-coai/CrossWOZ, data/crosswoz at "
    "df82c9fdff91b9b130f2d6b89110d3870ba6260e",
    licence="Apache-2.0",
    notice="CrossWOZ (Zhu et al. 2020, arXiv:2002.11893), Apache-2.0.",
    file=NamedFile(
        name="val.json.zip",
        sha256="b2b717990f6f0a1c98daaf5dc465e61d42f7de69c0d31e88e674275b1f34c94c",
    ),
    make=make_encoder_texts,
)
KNOWING_TALK = NamedSource(
    name="kdconv_zh",
    origin="github.com/thu-coai/KdConv, data/{film,travel}/dev.json at "
    "653db76432de09a004ba708a68f8bbd5500e6bec",
    licence="Apache-2.0",
    notice="KdConv (Zhou et al. 2020, arXiv:2004.04100), Apache-2.0.",
    file=NamedFile(
        name="film/dev.json",
        sha256="2f156d8d34bdd3eac31c196772156d36e017f8cb2255a2c312bd98e367ed363e",
    ),
    make=make_encoder_texts,
)
ENCODER_TEXTS = replace(
    PAIRS,
    name="encoder_texts",
    file=replace(PAIRS.file, name=f"tatoeba_en_zh/{PAIRS.file.name}"),
    make=make_encoder_texts,
    further=(
        SIGNS,
        STORIES,
        replace(
            STORIES,
            file=NamedFile(
                name="val.csv",
                sha256="8dbdf1a4f3988962c9fc7acbca86e608706897f978027604f2ac29cfb6d20924",
            ),
        ),
        SUMS,
        TRAVEL_TALK,
        KNOWING_TALK,
        replace(
            KNOWING_TALK,
            file=NamedFile(
                name="travel/dev.json",
                sha256="8d1f31295888cf61eff398bab8aa042f7fccd04a088bd63c939f0b79625a9093",
            ),
        ),
    ),
)
DIGITS = NamedSource(
    name="mnist",
    origin="github.com/rasbt/mnist-pngs at d26bd33bf1e454dd15bd4fe8b8ba64c76308f91c, packed again "
    "into the four idx files of yann.lecun.com/exdb/mnist",
    licence="CC-BY-SA-3.0",
    notice="MNIST handwritten digits by Yann LeCun and Corinna Cortes, from NIST's databases, "
    "CC BY-SA 3.0.",
    file=NamedFile(
        name="train-images-idx3-ubyte.gz",
        sha256="db8f937d487057fb14a9f0fbe97f0bc8d311ab41b750d41e1ff37c43b9e55e19",
    ),
    make=make_digits,
)
DIGIT_FILES = (
    NamedFile(
        name="train-labels-idx1-ubyte.gz",
        sha256="51fc562b6747b666fbf6e84ce29d43c3cb5f9c388c664d43b33f02095313405a",
    ),
    NamedFile(
        name="t10k-images-idx3-ubyte.gz",
        sha256="cfeddb84311ecf044fc6a5b0f6ee8a24d265d4e83e388400186eb114082f4209",
    ),
    NamedFile(
        name="t10k-labels-idx1-ubyte.gz",
        sha256="e41c74e484045d39b462a7790a4af51301bd9b0b24f0154798d713ec68c45920",
    ),
)
SPOKEN = NamedSource(
    name="fsdd",
    origin="github.com/Jakobovski/free-spoken-digit-dataset, recordings/ at "
    "26eb9aaf76e81b692f806f9140c2d2777410d7a1, packed into one archive",
    licence="CC-BY-SA-4.0",
    notice="Free Spoken Digit Dataset by Zohar Jackson and others (six speakers), CC BY-SA 4.0.",
    file=NamedFile(
        name="fsdd/recordings.tar.xz",
        sha256="b6c5e457897525741922f0017da55eeaa48192e9a932efb01990fd0e2dbd472a",
    ),
    make=make_spoken_digits,
)
DRAWINGS = NamedSource(
    name="drawings",
    origin="github.com/googlefonts/noto-emoji, png/72 at b3e3051a088047d19fd4d49b1c3ac42fb8c3aaf8",
    licence="Apache-2.0",
    notice="Noto Emoji (Google), Apache-2.0.",
    file=NamedFile(
        name="noto_emoji72/noto_png72.tar.xz",
        sha256="0f149926e23360959199f8dfb76b505260418dfec9beaa6172ae820641aa202d",
    ),
    make=make_drawings,
    further=(LUCIDE,),
)
PICTOGRAMS = NamedSource(
    name="pictograms",
    origin="github.com/googlefonts/noto-emoji, png/72 at "
    "b3e3051a088047d19fd4d49b1c3ac42fb8c3aaf8, and github.com/unicode-org/cldr-json, "
    "annotations and annotationsDerived, en and zh at "
    "b08a82b582f1120d630d623f9e5073316741574d, as a table beside the drawings",
    licence="Apache-2.0 AND Unicode-3.0",
    notice="Noto Emoji (Google), Apache-2.0; names and keywords from Unicode CLDR, Copyright "
    "2015-2024 Unicode, Inc., Unicode License V3.",
    file=NamedFile(
        name="noto_emoji72/noto_png72.tar.xz",
        sha256="0f149926e23360959199f8dfb76b505260418dfec9beaa6172ae820641aa202d",
    ),
    make=make_pictograms,
    further=(SIGNS,),
)
NAMED: dict[str, NamedSource] = {
    "chinese_poetry": NamedSource(
        name="chinese_poetry",
        origin="github.com/chinese-poetry/chinese-poetry, 全唐诗/poet.{tang,song}.*.json at "
        "99ebbef7e1345c0985c44b9fd96a3f9e776f117b, quatrains extracted",
        licence="MIT",
        notice="Poems of the Tang and Song (public domain), from chinese-poetry (MIT).",
        file=NamedFile(
            name="jueju_tang_song.jsonl.xz",
            sha256="8fcb0649fdb02619c1c03b2a42b0530f948ab25b51a0be161adb0e7395d56d52",
        ),
        make=make_poems,
    ),
    "cold_zh_offensive": NamedSource(
        name="cold_zh_offensive",
        origin="github.com/thu-coai/COLDataset, COLDataset/{train,dev}.csv at "
        "a0c55a945497ab58e94aef491180e1cf88ffb864",
        licence="Apache-2.0",
        notice="COLDataset, Chinese comments labelled as offensive or not (Deng et al. 2022, "
        "arXiv:2201.06025), Apache-2.0.",
        file=NamedFile(
            name="train.csv",
            sha256="16ca7955bdcaf90f5d8ac39e51eb3eda15320caa1e730ed45cb5e8ca8cd0d5e8",
        ),
        make=make_comments,
        held_out=NamedFile(
            name="dev.csv",
            sha256="28e67a26815aa1852449ba06919e51c07060d146e2bd23101cc0137a0ff94b7c",
        ),
    ),
    "drawings": DRAWINGS,
    "e2e_nlg": replace(
        E2E,
        file=replace(E2E.file, name=f"e2e_nlg/{E2E.file.name}"),
        further=tuple(replace(E2E, file=file) for file in VENUE_FILES),
    ),
    "encoder_texts": ENCODER_TEXTS,
    "fine_drawings": replace(DRAWINGS, name="fine_drawings", make=make_fine_drawings),
    "fsdd": SPOKEN,
    "fsdd_digits": replace(SPOKEN, name="fsdd_digits", make=make_spoken_for_reading),
    "mnist": replace(
        DIGITS,
        file=replace(DIGITS.file, name=f"mnist/{DIGITS.file.name}"),
        further=tuple(replace(DIGITS, file=file) for file in DIGIT_FILES),
    ),
    "jsb_chorales": NamedSource(
        name="jsb_chorales",
        origin="github.com/czhuang/JSB-Chorales-dataset, Jsb16thSeparated.json at "
        "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d",
        licence="LicenseRef-public-domain",
        notice="Chorales by Johann Sebastian Bach (public domain), in the parts of "
        "Boulanger-Lewandowski et al. 2012, as collected by Cheng-Zhi Anna Huang and others.",
        file=NamedFile(
            name="Jsb16thSeparated.json",
            sha256="79294cc374f9252e95ef4b703161524c1c53dc1f712c236f00f1c1f5d54af5a7",
        ),
        make=make_chorales,
    ),
    "multi30k_en_de": replace(
        CAPTIONS,
        name="multi30k_en_de",
        file=NamedFile(
            name="multi30k/train.en.gz",
            sha256=CAPTION_HASHES["train.en.gz"],
        ),
        further=tuple(
            replace(CAPTIONS, file=NamedFile(name=name, sha256=sha256))
            for name, sha256 in CAPTION_HASHES.items()
            if name != "train.en.gz"
        ),
    ),
    "pictogram_groups": replace(PICTOGRAMS, name="pictogram_groups", make=make_pictogram_groups),
    "pictograms": PICTOGRAMS,
    "tatoeba_en_zh": PAIRS,
    "tinyshakespeare": NamedSource(
        name="tinyshakespeare",
        origin="github.com/karpathy/char-rnn, data/tinyshakespeare/input.txt at "
        "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e",
        licence="LicenseRef-public-domain",
        notice="Works of William Shakespeare (public domain), from char-rnn.",
        file=NamedFile(
            name="input.txt",
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        ),
        make=make_text_by_position,
    ),
}
