"""What a recipe is: a frozen value that says how a bundle is trained, enough to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from wenfang import config
from wenfang.errors import ConfigError
from wenfang.models import (
    MODELS,
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
from wenfang.models.load import Enlarging
from wenfang.noise import PATHS, Path, PathKind
from wenfang.objectives.adversarial import Game
from wenfang.objectives.denoising import Times, Weighting
from wenfang.objectives.reconstruction import Elbo
from wenfang.optim import OptimConfig
from wenfang.trainer import TrainConfig


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which data set, and how its records become examples.

    layout          "stream" for windows of one text, a name of wenfang.data.layouts, or one for
                    pictures: "pictures" (views of drawings), "picture-classes", "elbo", "game",
                    "denoising", "matching" (of pictures and texts),
                    "upscaling"
    window          tokens predicted at once, for streams
    drop_condition  share of examples that the model sees without their condition
    labels_share    share of the labelled examples that are used, for the layout "classes"
    shift_px        pictures are moved by up to so much each time they are seen
    mirrored        half of the pictures are seen from behind
    side_px         larger pictures are made so small; 0: all are seen as they are stored
    latents         of "denoising": the bundle of an autoencoder in whose latents is drawn; "": in
                    pixels
    words           of "denoising" and "matching": the bundle of an encoder whose vectors of words a
                    model reads
    nearest         with `words`, of "denoising": words that were not learnt by are read as the
                    nearest that were; else as they are, so that known words may be put together
    upscaler        of what makes pictures: the bundle that makes them larger; "": none
    enlarged        of what makes pictures: how these are made larger unless it is said
    learnt_parts    of "matching": parts of the data set that are learnt from
    """

    source: str
    layout: str = "stream"
    window: int = 64
    drop_condition: float = 0.0
    validation_examples: int = 1500
    labels_share: float = 1.0
    shift_px: int = field(default=0, metadata={"later": True})
    mirrored: bool = field(default=False, metadata={"later": True})
    side_px: int = field(default=0, metadata={"later": True})
    latents: str = field(default="", metadata={"later": True})
    words: str = field(default="", metadata={"later": True})
    nearest: bool = field(default=False, metadata={"later": True})
    upscaler: str = field(default="", metadata={"later": True})
    enlarged: Enlarging = field(default="", metadata={"later": True})
    learnt_parts: tuple[str, ...] = field(default=("train",), metadata={"later": True})

    def __post_init__(self) -> None:
        """Refuse sizes that are none."""
        for name in ("shift_px", "side_px"):
            if getattr(self, name) < 0:
                raise ConfigError(
                    "data.{name} is {value}; it must be 0 or more",
                    name=name,
                    value=getattr(self, name),
                )


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Characters, or bytes merged to a vocabulary of `size`."""

    kind: Literal["characters", "bytes"] = "characters"
    size: int = 1024
    least_count: int = 1


@dataclass(frozen=True, kw_only=True)
class GameConfig:
    """How a generator and a discriminator play; see wenfang.objectives.adversarial.

    turns      the discriminator's steps for each of the generator's
    auxiliary  weight of telling the class, for both sides; needs model.auxiliary
    """

    game: Game = "non-saturating"
    gradient_penalty: float = 0.0
    r1: float = 0.0
    turns: int = 1
    auxiliary: float = field(default=0.0, metadata={"later": True})

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.turns < 1:
            raise ConfigError(
                "objective.game.turns is {value}; it must be at least 1", value=self.turns
            )


@dataclass(frozen=True, kw_only=True)
class DenoisingConfig:
    """What a denoiser is asked for; see wenfang.noise and wenfang.objectives.denoising.

    prediction  "": the path's own
    """

    path: PathKind = "flow"
    prediction: Literal["", "noise", "data", "velocity", "flow"] = ""
    data_std: float = 1.0
    times: Times = "uniform"
    shift: float = field(default=1.0, metadata={"later": True})
    weighting: Weighting = "even"
    snr_most: float = 5.0
    drop_condition: float = 0.1
    sketch_only: bool = field(default=False, metadata={"later": True})

    def built_path(self) -> Path:
        """The path for both the objective and the sampler."""
        kind: Any = PATHS[self.path]
        asked = {"prediction": self.prediction} if self.prediction else {}
        path: Path = kind(data_std=self.data_std, **asked)
        return path


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """How a method is set; what a layout does not use stays at its default.

    label_smoothing  of pairs: share of the target spread over the vocabulary
    hidden_share     of the layouts "masked" and "bilingual": share of the words that are hidden
    gist_weight      of "masked": how much it counts that the first token tells a text's words
    temperature, hidden_weight, texts_a_batch  of the layout "bilingual": what cosines are divided
                     by, how much hidden words count beside translations, and in how many texts
                     words are hidden at once
    elbo, game, denoising  of the layouts of these names
    """

    label_smoothing: float = 0.0
    hidden_share: float = 0.15
    gist_weight: float = 0.0
    temperature: float = 0.05
    hidden_weight: float = 0.3
    texts_a_batch: int = 48
    elbo: Elbo = Elbo()
    game: GameConfig = GameConfig()
    denoising: DenoisingConfig = DenoisingConfig()


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """How a bundle is tuned; `none` trains all weights as the recipe says.

    kind       "full" moves every weight, "lora" thin updates of the chosen matrices, "prompt"
               learned vectors before the input
    rank, alpha, targets, rank_stabilised, head_rank, head  of "lora": see
               wenfang.adapt.lora.LoraConfig
    length     of "prompt": how many vectors
    name       of the tuned bundle
    licence    SPDX expression of the user's own material
    """

    kind: Literal["none", "full", "lora", "prompt"] = "none"
    rank: int = 6
    alpha: float = 48.0
    targets: tuple[str, ...] = ()
    rank_stabilised: bool = False
    head_rank: int = 3
    head: float = 0.05
    length: int = 16
    name: str = ""
    licence: str = ""

    @property
    def thin(self) -> bool:
        """Whether the result is a small file beside its base."""
        return self.kind in ("lora", "prompt")


AnyModel: TypeAlias = (
    gpt.Config
    | gpt2.Config
    | bert.Config
    | seq2seq.Config
    | text_classifier.Config
    | picture_encoder.Config
    | picture_classifier.Config
    | vae.Config
    | gan.Config
    | unet.Config
    | dit.Config
    | text_image.Config
    | upscaler.Config
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A complete run: data, tokenizer, model, optimizer, length. `family` decides what model is.

    tokenizer  not used by the layouts of pictures
    tune       for runs that start from a bundle
    eight_bits the bundle's matrices and kernels take a byte a weight, not two
    """

    name: str
    summary: str
    data: DataConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    family: str = "gpt"
    model: AnyModel = gpt.Config()
    objective: ObjectiveConfig = ObjectiveConfig()
    tune: TuneConfig = TuneConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()
    threads: int = 2
    eight_bits: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON values."""
        content: dict[str, Any] = config.to_dict(self)
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Recipe:
        """Read `to_dict`; raises ConfigError that names what is wrong."""
        if not isinstance(content, Mapping):
            return config.from_dict(cls, content, where="recipe")  # which says what it is
        family = content.get("family", "gpt")
        if family not in MODELS:
            raise ConfigError(
                "recipe.family {family} is unknown; the families are {names}",
                family=family,
                names=", ".join(MODELS),
            )
        kind = MODELS[family].config_class
        model = config.from_dict(kind, content.get("model", {}), where="recipe.model")
        return config.from_dict(cls, {**content, "model": model}, where="recipe")
