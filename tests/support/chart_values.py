"""A chart's values as a table: each with its default, and what its comment or its schema says of it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_LINE: Final = re.compile(r"^( *)([A-Za-z]\w*):(?: +(.*?))?(?: +# (.*)| *# *)?$")
_OF_ANY_POD: Final = [
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
    "runtimeClassName",
    "dnsPolicy",
    "dnsConfig",
    "volumes",
    "command",
    "args",
    "env",
    "volumeMounts",
    "imagePullPolicy",
    "pullPolicy",
    "terminationGracePeriodSeconds",
    "capabilities",
    "seccompProfile",
    "runAsNonRoot",
    "runAsUser",
    "allowPrivilegeEscalation",
    "readOnlyRootFilesystem",
]
_USUAL: Final = {
    "enabled": "Whether it is there",
    "replicas": "How many pods",
    "requests": "What a node keeps free for it",
    "limits": "What it may use at most",
    "podLabels": "More labels of its pods",
    "podAnnotations": "Annotations of its pods",
    "labels": "More labels of the object",
    "interval": "Between two scrapes",
    "serviceAccount": "The account that it runs as: its own, or one that is there",
    "logLevel": "`debug`, `info`, `warning` or `error`",
    "tag": "The image's tag",
    "repository": "The image's name",
    "registry": "What the image's name begins with",
    **dict.fromkeys(_OF_ANY_POD, "As in any pod"),
}
Row = tuple[str, str, str]


def rows(chart: Path) -> Iterator[Row]:
    """Every value that is no map of others: its dotted name, its default as written, its meaning."""
    schema = json.loads((chart / "values.schema.json").read_text())
    path: list[tuple[int, str]] = []
    for line in (chart / "values.yaml").read_text().splitlines():
        found = _LINE.match(line)
        if not found:
            continue
        depth = len(found[1])
        path = [*(each for each in path if each[0] < depth), (depth, found[2])]
        if found[3]:
            names = [name for _, name in path]
            yield (
                ".".join(names),
                f"`{found[3]}`",
                _sentence(found[4] or _described(schema, names) or _USUAL.get(names[-1], "")),
            )


def _described(schema: dict[str, Any], names: list[str]) -> str:
    part = schema
    for name in names:
        part = part.get("properties", {}).get(name, {})
    text: str = part.get("description", "")
    return text


def _sentence(text: str) -> str:
    return (text[:1].upper() + text[1:]).replace("|", "\\|")
