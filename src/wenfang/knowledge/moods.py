"""Words for how music feels, in English and Chinese, and what they ask of it."""

from __future__ import annotations

from dataclasses import dataclass

from wenfang.media.score import Key


@dataclass(frozen=True, kw_only=True)
class Mood:
    """What a mood asks: minor or major, a tempo, how many notes, who plays."""

    minor: bool
    bpm: int
    density: str
    arrangement: str


MOODS = {
    "calm": Mood(minor=False, bpm=66, density="sparse", arrangement="strings"),
    "joyful": Mood(minor=False, bpm=108, density="flowing", arrangement="piano"),
    "sad": Mood(minor=True, bpm=60, density="sparse", arrangement="strings"),
    "solemn": Mood(minor=False, bpm=72, density="even", arrangement="choir"),
    "dark": Mood(minor=True, bpm=66, density="even", arrangement="organ"),
    "tender": Mood(minor=False, bpm=72, density="even", arrangement="harp"),
    "longing": Mood(minor=True, bpm=69, density="even", arrangement="zither"),
    "playful": Mood(minor=False, bpm=112, density="flowing", arrangement="music-box"),
    "bright": Mood(minor=False, bpm=96, density="even", arrangement="winds"),
}
# What a prompt may say; longer words are looked for first.
WORDS = {
    "calm": ("calm", "quiet", "peaceful", "still", "serene", "gentle",
             "平静", "安静", "宁静", "寧靜", "静", "靜", "恬淡", "悠闲", "悠閒", "禅", "禪"),
    "joyful": ("joyful", "happy", "joy", "cheerful", "festive", "celebration",
               "欢快", "歡快", "快乐", "快樂", "喜", "欢", "歡", "热闹", "熱鬧", "庆", "慶"),
    "sad": ("sad", "sorrow", "mourning", "grief", "melancholy", "tears",
            "悲", "哀", "伤", "傷", "愁", "泪", "淚", "凄", "悽"),
    "solemn": ("solemn", "grand", "majestic", "ceremony", "hymn",
               "庄严", "莊嚴", "肃穆", "肅穆", "宏伟", "宏偉", "典礼", "典禮"),
    "dark": ("dark", "night", "storm", "threatening", "winter",
             "黑暗", "阴", "陰", "暴风", "暴風", "寒", "冬"),
    "tender": ("tender", "love", "warm", "lullaby", "spring",
               "温柔", "溫柔", "柔", "爱", "愛", "温暖", "溫暖", "春", "摇篮", "搖籃"),
    "longing": ("longing", "homesick", "lonely", "moon", "autumn", "farewell",
                "思", "乡", "鄉", "孤", "独", "獨", "月", "秋", "别", "別", "离", "離", "远", "遠"),
    "playful": ("playful", "children", "toy", "funny", "game",
                "俏皮", "童", "玩", "趣", "小动物", "小動物"),
    "bright": ("bright", "morning", "sun", "fresh", "summer", "hope",
               "明亮", "清晨", "朝", "阳光", "陽光", "夏", "希望", "晴"),
}  # fmt: skip
DEFAULT = "calm"


def mood_of(text: str) -> str | None:
    """The mood that most of a text's words name, None where none does; the first of equals."""
    folded = text.casefold()
    found = {
        name: sum(len(word) for word in words if _says(folded, word))
        for name, words in WORDS.items()
    }
    best = max(found, key=lambda name: found[name])
    return best if found[best] else None


def _says(folded: str, word: str) -> bool:
    """Chinese words stand anywhere, English ones apart."""
    if not word.isascii():
        return word in folded
    cleaned = "".join(one if one.isalpha() else " " for one in folded)
    return f" {word} " in f" {cleaned} "


# Keys in which four voices sing well.
MAJOR_TONICS, MINOR_TONICS = (7, 2, 5, 10, 9, 0), (7, 4, 2, 9, 11)


def key_for(mood: Mood, choice: int) -> Key:
    """One of the usual keys of a mood's mode, by a number."""
    tonics = MINOR_TONICS if mood.minor else MAJOR_TONICS
    return Key(tonic=tonics[choice % len(tonics)], minor=mood.minor)
