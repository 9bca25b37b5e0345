"""A score as a picture: each note in the colour of its part, upon lines of bars and octaves."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from wenfang.errors import MediaError
from wenfang.media.score import TICKS, Score

PAPER, LINE, STRONG, INK = "#f7f3e8", "#e4dcc8", "#b9ad90", "#33302a"
COLOURS = ("#b5312b", "#c98a2b", "#4f7a5b", "#37516f", "#77506f", "#5d5a52")
BEAT_PX, PITCH_PX, MARGIN_PX, HEAD_PX = 26.0, 7.0, 44.0, 40.0
LONGEST_PX = 20_000.0
AROUND = 2  # semitones of paper above and below


def piano_roll(score: Score) -> str:
    """An SVG: time from left to right, pitch upwards; parts are named below.

    raises MediaError for a score without pitched notes
    """
    parts = [part for part in score.parts if part.notes and not part.drums]
    if not parts:
        raise MediaError("the score has no pitched notes to draw; give another")
    pitches = [note.pitch for part in parts for note in part.notes]
    high, low = max(pitches) + AROUND, min(pitches) - AROUND
    end = score.end_ticks
    scale = min(BEAT_PX / TICKS, LONGEST_PX / end)
    width, height = end * scale + 2 * MARGIN_PX, (high - low + 1) * PITCH_PX
    whole = height + 2 * HEAD_PX
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{whole:.0f}" '
        f'viewBox="0 0 {width:.1f} {whole:.1f}" font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        *_octaves(low, high, width),
        *_bar_lines(score, scale, height),
    ]
    for number, part in enumerate(parts):
        colour = COLOURS[number % len(COLOURS)]
        for note in part.notes:
            x = MARGIN_PX + note.start_ticks * scale
            y = HEAD_PX + (high - note.pitch) * PITCH_PX
            length = max(2.0, note.duration_ticks * scale - 1.5)
            drawn.append(
                f'<rect x="{x:.1f}" y="{y + 0.8:.1f}" width="{length:.1f}" '
                f'height="{PITCH_PX - 1.6:.1f}" rx="2" fill="{colour}"/>'
            )
    x = MARGIN_PX
    for number, part in enumerate(parts):
        name = part.name or str(number + 1)
        colour, y = COLOURS[number % len(COLOURS)], whole - HEAD_PX / 2 + 4
        drawn.append(f'<rect x="{x:.0f}" y="{y - 9:.0f}" width="10" height="10" rx="2" '
                     f'fill="{colour}"/>')  # fmt: skip
        drawn.append(f'<text x="{x + 15:.0f}" y="{y:.0f}" fill="{INK}">{escape(name)}</text>')
        x += 30 + 8 * len(name)
    title = ", ".join(one for one in (score.title, *(str(key) for _, key in score.keys[:1])) if one)
    drawn.append(f'<text x="{MARGIN_PX}" y="{HEAD_PX - 14}" fill="{INK}" font-size="14">'
                 f"{escape(title)}</text>")  # fmt: skip
    return "\n".join((*drawn, "</svg>", ""))


def _octaves(low: int, high: int, width: float) -> list[str]:
    """A line under each C, and its name."""
    found = []
    for pitch in range(low, high + 1):
        if pitch % 12 == 0:
            y = HEAD_PX + (high - pitch + 1) * PITCH_PX
            found.append(f'<path d="M{MARGIN_PX} {y:.1f}H{width - MARGIN_PX:.1f}" '
                         f'stroke="{LINE}" stroke-width="1"/>')  # fmt: skip
            found.append(f'<text x="{MARGIN_PX - 8}" y="{y - 1:.1f}" text-anchor="end" '
                         f'fill="{STRONG}" font-size="10">C{pitch // 12 - 1}</text>')  # fmt: skip
    return found


def _bar_lines(score: Score, scale: float, height: float) -> list[str]:
    """A line at each beat, a stronger one with its number at each bar."""
    found = []
    bar = 1
    changes = [*score.metres, (score.end_ticks + 1, score.metres[-1][1])]
    for (begun, metre), (after, _) in pairwise(changes):
        tick = begun
        while tick < after and tick <= score.end_ticks:
            for beat in range(tick, min(tick + metre.bar_ticks, score.end_ticks + 1), TICKS):
                x = MARGIN_PX + beat * scale
                colour = STRONG if beat == tick else LINE
                found.append(f'<path d="M{x:.1f} {HEAD_PX}V{HEAD_PX + height:.1f}" '
                             f'stroke="{colour}" stroke-width="1"/>')  # fmt: skip
            found.append(f'<text x="{MARGIN_PX + tick * scale + 3:.1f}" y="{HEAD_PX - 3}" '
                         f'fill="{STRONG}" font-size="10">{bar}</text>')  # fmt: skip
            tick, bar = tick + metre.bar_ticks, bar + 1
    return found
