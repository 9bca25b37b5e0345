"""How a text is read aloud: numbers, dates, money and units as words, in Chinese and in English.

Only what stands in a text is changed; what is not understood is left for the voice to spell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

Language = Literal["zh", "en"]
DIGITS = "零一二三四五六七八九"
SMALL, LARGE = ("", "十", "百", "千"), ("", "万", "亿", "万亿")
LONGEST_NUMBER = 16  # digits; longer ones are read digit by digit
HAN = "\u3400-\u9fff"

# What follows a number, as it is said; longer signs stand first.
UNITS_ZH = {
    "km/h": "公里每小时", "m/s": "米每秒", "km²": "平方公里", "m²": "平方米", "m³": "立方米",
    "km": "公里", "cm": "厘米", "mm": "毫米", "kg": "公斤", "mg": "毫克", "ml": "毫升",
    "mL": "毫升", "kW": "千瓦", "GB": "吉字节", "MB": "兆字节", "KB": "千字节",
    "°C": "摄氏度", "℃": "摄氏度",
    "m": "米", "g": "克", "t": "吨", "L": "升", "l": "升", "h": "小时", "s": "秒", "min": "分钟",
}  # fmt: skip
UNITS_EN = {
    "km/h": "kilometres an hour", "m/s": "metres a second", "km²": "square kilometres",
    "m²": "square metres", "m³": "cubic metres", "km": "kilometres", "cm": "centimetres",
    "mm": "millimetres", "kg": "kilograms", "mg": "milligrams", "ml": "millilitres",
    "mL": "millilitres", "kW": "kilowatts", "GB": "gigabytes", "MB": "megabytes",
    "KB": "kilobytes", "°C": "degrees Celsius", "℃": "degrees Celsius", "°F": "degrees Fahrenheit",
}  # fmt: skip
MONEY_ZH = {"¥": "元", "￥": "元", "$": "美元", "€": "欧元", "£": "英镑"}
MONEY_EN = {
    "$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"),
    "¥": ("yuan", "fen"), "￥": ("yuan", "fen"),
}  # fmt: skip
MONTHS_EN = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
FRACTIONS_EN = {
    2: ("half", "halves"), 3: ("third", "thirds"), 4: ("quarter", "quarters"),
    5: ("fifth", "fifths"), 6: ("sixth", "sixths"), 8: ("eighth", "eighths"),
    10: ("tenth", "tenths"), 100: ("hundredth", "hundredths"),
}  # fmt: skip
# Before these two is liang and not er.
MEASURES = "个位只条张本件杯碗家层座次年天周月种块元间盏辆台名分秒米斤里岁句首支朵棵颗"
SIGNS_ZH = {"&": "和", "+": "加", "=": "等于", "~": "到", "×": "乘", "÷": "除以", "@": "艾特"}


def chinese_number(digits: str) -> str:
    """A whole number as it is said: "10086" -> "一万零八十六"; a long one digit by digit."""
    plain = digits.lstrip("0") or "0"
    if len(plain) > LONGEST_NUMBER:
        return chinese_digits(digits)
    if plain == "0":
        return "零"
    groups = []
    while plain:
        groups.append(plain[-4:])
        plain = plain[:-4]
    said = ""
    for place in range(len(groups) - 1, -1, -1):
        value = int(groups[place])
        if not value:
            continue
        # A gap in the digits is one zero; so is a group that does not begin with its thousands.
        before = int(groups[place + 1]) if said else 1
        if said and (value < 1000 or not before):
            said += "零"
        said += _four(groups[place]) + LARGE[place]
    if said.startswith("一十"):
        return said[1:]
    return "两" + said[1:] if said.startswith(("二千", "二万", "二亿")) else said


def _four(digits: str) -> str:
    said, gap = "", False
    for place, digit in enumerate(digits):
        value = int(digit)
        if value:
            said += ("零" if gap and said else "") + DIGITS[value] + SMALL[len(digits) - place - 1]
        gap = not value
    return said


def chinese_digits(digits: str, telephone: bool = False) -> str:
    """Digit by digit; in a telephone number one is yao."""
    said = "".join(DIGITS[int(one)] for one in digits)
    return said.replace("一", "幺") if telephone else said


def _decimal(number: str) -> str:
    """A number with or without a point and a sign."""
    sign = "负" if number[0] in "-−" else ""
    whole, _, part = number.lstrip("-−+").replace(",", "").partition(".")
    said = chinese_number(whole or "0")
    return sign + said + (f"点{chinese_digits(part)}" if part else "")


NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def _date(found: re.Match[str]) -> str:
    year, month, day = found[1], found[2], found[3]
    said = f"{chinese_digits(year)}年{chinese_number(month)}月"
    return f"{said}{chinese_number(day)}日" if day else said


def _clock(found: re.Match[str]) -> str:
    hours, minutes = int(found[1]), int(found[2])
    said = ("两" if hours == 2 else chinese_number(str(hours))) + "点"
    if not minutes:
        return said + "整"
    return said + ("零" if minutes < 10 else "") + chinese_number(str(minutes)) + "分"


def _money(found: re.Match[str]) -> str:
    sign, number = found[1], found[2].replace(",", "")
    whole, _, part = number.partition(".")
    if MONEY_ZH[sign] != "元" or not part or len(part) > 2:
        return _decimal(number) + MONEY_ZH[sign]
    tenths, hundredths = int(part[0]), int((part + "0")[1])
    said = _decimal(whole) + "元"
    said += f"{DIGITS[tenths]}角" if tenths else "零" * bool(hundredths)
    return said + (f"{DIGITS[hundredths]}分" if hundredths else "")


def _measured(found: re.Match[str]) -> str:
    return _decimal(found[1]) + UNITS_ZH[found[2]]


def _counted(found: re.Match[str]) -> str:
    return "两" + found[1]


_UNIT_ZH = "|".join(re.escape(one) for one in UNITS_ZH)
CHINESE_RULES: tuple[_Rule, ...] = (
    (re.compile(r"(?<!\d)(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})(?:日|(?!\d))"), _date),
    (re.compile(r"(?<!\d)(\d{4})年(\d{1,2})月()"), _date),
    (re.compile(r"(?<!\d)(\d{4})(?=年)"), lambda found: chinese_digits(found[1])),
    (re.compile(r"(?<!\d)([01]?\d|2[0-3])[:：]([0-5]\d)(?!\d)"), _clock),
    (re.compile(r"(?<!\d)(1\d{10}|\d{3,4}-\d{7,8}|400-\d{3}-\d{4})(?!\d)"),
     lambda found: chinese_digits(found[1].replace("-", ""), telephone=True)),
    # What follows the second number is its own affair.
    (re.compile(rf"({NUMBER})\s?[-–~～至]\s?(?={NUMBER})"),
     lambda found: _decimal(found[1]) + "到"),
    (re.compile(rf"([¥￥$€£])\s?({NUMBER})"), _money),
    (re.compile(rf"({NUMBER})\s?%"), lambda found: "百分之" + _decimal(found[1])),
    (re.compile(rf"((?:(?<!\d)[-−])?(?:{NUMBER}))\s?({_UNIT_ZH})(?![A-Za-z])"), _measured),
    (re.compile(r"(?<![\d/])(\d+)/(\d+)(?![\d/])"),
     lambda found: f"{chinese_number(found[2])}分之{chinese_number(found[1])}"),
    (re.compile(rf"(?<![\d.第])2([{MEASURES}])"), _counted),
    (re.compile(rf"(?<![{HAN}\w])[-−]({NUMBER})"), lambda found: "负" + _decimal(found[1])),
    (re.compile(rf"({NUMBER})"), lambda found: _decimal(found[1])),
)  # fmt: skip


def spoken_chinese(text: str) -> str:
    """A Chinese text with its numbers and signs as they are said."""
    for pattern, say in CHINESE_RULES:
        text = pattern.sub(say, text)
    return "".join(SIGNS_ZH.get(one, one) for one in text)


def _english_money(found: re.Match[str]) -> str:
    whole, _, part = found[2].replace(",", "").partition(".")
    name, small = MONEY_EN[found[1]]
    plural = {"penny": "pence", "yuan": "yuan", "fen": "fen"}
    said = f"{whole} {name if whole == '1' else plural.get(name, name + 's')}"
    cents = int((part + "00")[:2]) if part else 0
    if not cents:
        return said
    return f"{said} {cents} {small if cents == 1 else plural.get(small, small + 's')}"


def _english_date(found: re.Match[str]) -> str:
    month, day = int(found[2]), int(found[3])
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return found[0]
    return f"{MONTHS_EN[month - 1]} {day}, {found[1]}"


def _english_fraction(found: re.Match[str]) -> str:
    above, below = int(found[1]), int(found[2])
    if below not in FRACTIONS_EN or above >= below:
        return found[0]
    one, more = FRACTIONS_EN[below]
    return f"{above} {one if above == 1 else more}"


_UNIT_EN = "|".join(re.escape(one) for one in UNITS_EN)
ENGLISH_RULES: tuple[_Rule, ...] = (
    (re.compile(r"(?<![\d-])(\d{4})-(\d{2})-(\d{2})(?![\d-])"), _english_date),
    # Of three groups, or of two of which the second is no number's end: a telephone number.
    (re.compile(r"(?<![\d.-])(\d{3}-\d{3,4}-\d{4}|\d{3}-0\d{3})(?![\d-])"),
     lambda found: ", ".join(" ".join(one) for one in found[1].split("-"))),
    (re.compile(r"(?<![\d/])24/7(?![\d/])"), lambda found: "24 7"),
    (re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,3})(?![\d/])"), _english_fraction),
    (re.compile(rf"([¥￥$€£])\s?({NUMBER})"), _english_money),
    (re.compile(rf"({NUMBER})\s?%"), lambda found: f"{found[1]} percent"),
    (re.compile(rf"({NUMBER})\s?({_UNIT_EN})(?![A-Za-z])"),
     lambda found: f"{found[1]} {UNITS_EN[found[2]]}"),
    (re.compile(r"(?<!\d)([01]?\d|2[0-3]):00(?!\d)"), lambda found: f"{int(found[1])} o'clock"),
    (re.compile(r"(?<!\d)([01]?\d|2[0-3]):([0-5]\d)(?!\d)"),
     lambda found: f"{int(found[1])} {'oh ' * (found[2][0] == '0')}{int(found[2])}"),
    (re.compile(r"&"), lambda found: " and "),
)  # fmt: skip


def spoken_english(text: str) -> str:
    """An English text with its money, units and signs as they are said; numbers stay."""
    for pattern, say in ENGLISH_RULES:
        text = pattern.sub(say, text)
    return text


def language_of(text: str) -> Language:
    """Chinese where there is a Chinese character, English otherwise."""
    return "zh" if re.search(f"[{HAN}]", text) else "en"


LATIN_RUN = re.compile(r"[A-Za-zÀ-ɏ][A-Za-zÀ-ɏ'’.\- ]*[A-Za-zÀ-ɏ'’]|[A-Za-zÀ-ɏ]")


def runs(text: str) -> list[tuple[Language, str]]:
    """A text as runs of one language; what is written in Latin within Chinese is English."""
    if language_of(text) == "en":
        return [("en", text)] if text.strip() else []
    found: list[tuple[Language, str]] = []
    at = 0
    for latin in LATIN_RUN.finditer(text):
        if text[at : latin.start()].strip():
            found.append(("zh", text[at : latin.start()]))
        found.append(("en", latin[0]))
        at = latin.end()
    if text[at:].strip():
        found.append(("zh", text[at:]))
    return found
