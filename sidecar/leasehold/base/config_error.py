"""The error that ends a start: what the user has to mend. A command prints it and exits with 2."""

from __future__ import annotations

from collections.abc import Sequence


class ConfigError(Exception):
    """The settings cannot be used. Each of `mistakes` is a sentence that names a setting and how to fix it."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__(" ".join(mistakes))
        self.mistakes = tuple(mistakes)
