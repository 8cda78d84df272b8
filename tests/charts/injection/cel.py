"""Python data as CEL: literals, and trees whose parts depend on circumstances."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

PLACEHOLDERS: Final[dict[str | int, str]] = {}
"""Values that stand for CEL expressions: texts also within longer texts, integers also as a text's digits."""


def placeholder(word: str | int, expression: str) -> Any:
    """A value for Python code to work on, which becomes `expression`."""
    PLACEHOLDERS[word] = expression
    return word


@dataclass(frozen=True)
class Variant:
    """What the tree looks like when `condition` holds, a CEL expression, and all else is as usual."""

    condition: str
    tree: Any


def literal(value: object) -> str:
    """A scalar, with the placeholders in it replaced."""
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return PLACEHOLDERS.get(value, str(value))
    return text(str(value))


def text(value: str, placeholders: Mapping[Any, str] = PLACEHOLDERS) -> str:
    """A text; one with placeholders becomes a sum."""
    words = {str(word): word for word in placeholders}
    pattern = "|".join(map(re.escape, sorted(words, key=len, reverse=True))) or "$^"
    parts = []
    for part in re.split(f"({pattern})", value):
        if part in words:
            expression = placeholders[words[part]]
            parts.append(expression if isinstance(words[part], str) else f"string({expression})")
        elif part:
            parts.append(quoted(part))
    return " + ".join(parts) or "''"


def quoted(value: str) -> str:
    """A CEL string literal in single quotes."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def tree(usual: Any, variants: Sequence[Variant] = ()) -> str:
    """The CEL expression of a tree of dicts, lists and scalars that differs as the variants say.

    Elements of lists may come and go: they are told apart by their name, or as an option by their flag. Raises
    ValueError for a difference that cannot be expressed.
    """
    variants = [each for each in variants if each.tree != usual]
    if isinstance(usual, Mapping):
        return _mapping(usual, variants)
    if isinstance(usual, list):
        return _list(usual, variants)
    chosen = literal(usual)
    for each in reversed(variants):
        chosen = f"({each.condition} ? {literal(each.tree)} : {chosen})"
    return chosen


def _mapping(usual: Mapping[str, Any], variants: Sequence[Variant]) -> str:
    """A map, whose keys are there with the usual, but for the variants that lack them."""
    for name in usual:
        if name in PLACEHOLDERS:
            return PLACEHOLDERS[name]
    if any(each.tree.keys() - usual.keys() for each in variants):
        raise ValueError(f"one circumstance has more keys than {', '.join(usual)}")
    entries = []
    trees = (usual, *(variant.tree for variant in variants))
    # values of one map must agree in their type; each conversion by `dyn` takes time
    mixed = len({type(value) for each in trees for value in each.values()}) > 1
    for name, value in usual.items():
        inner = tree(value, [Variant(each.condition, each.tree[name]) for each in variants if name in each.tree])
        inner = f"dyn({inner})" if mixed or not isinstance(value, str) else inner
        missing = " && ".join(f"!({each.condition})" for each in variants if name not in each.tree)
        if missing:
            entries.append(f"?{quoted(name)}: {missing} ? optional.of({inner}) : optional.none()")
        else:
            entries.append(f"{quoted(name)}: {inner}")
    return "{" + ", ".join(entries) + "}"


def _list(usual: list[Any], variants: Sequence[Variant]) -> str:
    """Runs of elements that are always there, and each other one with its condition."""
    parts: list[str] = []
    always: list[str] = []
    for key in _order([usual, *(each.tree for each in variants)]):
        element, condition = _element(key, usual, variants)
        if not condition:
            always.append(element)
            continue
        if always:
            parts.append(f"[{', '.join(always)}]")
            always = []
        parts.append(f"({condition} ? [{element}] : [])")
    if always:
        parts.append(f"[{', '.join(always)}]")
    return " + ".join(parts) or "[]"


def _element(key: str, usual: list[Any], variants: Sequence[Variant]) -> tuple[str, str]:
    """One element's expression and its condition, "" if it is always there."""
    own = {_key(each): each for each in usual}
    others = [(each.condition, {_key(one): one for one in each.tree}) for each in variants]
    if key not in own:
        (there,) = {json.dumps(found[key]): found[key] for _, found in others if key in found}.values()
        return tree(there), " || ".join(f"({condition})" for condition, found in others if key in found)
    changed = [Variant(condition, found[key]) for condition, found in others if key in found]
    missing = [f"!({condition})" for condition, found in others if key not in found]
    return tree(own[key], changed), " && ".join(missing)


def _key(element: Any) -> str:
    if isinstance(element, Mapping):
        return str(element.get("name") or element["path"])
    return str(element).partition("=")[0]


def _order(lists: Sequence[list[Any]]) -> Iterator[str]:
    """All keys, each after those that come before it in any list."""
    keys: list[str] = []
    for each in lists:
        at = 0
        for key in map(_key, each):
            if key not in keys:
                keys.insert(at, key)
            at = keys.index(key) + 1
    yield from keys
