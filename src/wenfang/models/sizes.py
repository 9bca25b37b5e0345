"""What every family asks of the numbers in its Config; messages name the setting."""

from __future__ import annotations

from typing import Any

from wenfang.errors import ConfigError


def require_counts(config: Any, *names: str) -> None:
    """ConfigError for a setting of these names below 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise ConfigError(
                "model.{name} is {value}; it must be at least 1",
                name=name,
                value=getattr(config, name),
            )


def require_channels(channels: tuple[int, ...], groups: int) -> None:
    """ConfigError for channels of levels that cannot be normalised in groups."""
    if not channels or min(channels) < 1:
        raise ConfigError("model.channels must be one or more numbers above 0")
    if any(count % groups for count in channels):
        raise ConfigError(
            "model.groups {groups} must divide every one of model.channels", groups=groups
        )


def require_patches(side_px: int, patch: int) -> None:
    """Refuse a picture that squares of so many pixels do not fill."""
    if side_px % patch:
        raise ConfigError(
            "model.patch {patch} does not divide model.side_px {side}", patch=patch, side=side_px
        )


def require_halves(side_px: int, levels: int, halvings: int) -> None:
    """ConfigError for a side that cannot be halved so often; `levels` is how many the user gave."""
    least = 2**halvings
    if side_px % least:
        raise ConfigError(
            "model.side_px is {side}; {count} levels need a multiple of {least}",
            side=side_px,
            count=levels,
            least=least,
        )
