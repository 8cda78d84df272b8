"""The chart's forms of addresses and roots, held against what the programs that read them take."""

import json
from collections.abc import Callable

import pytest
import yaml

from leasehold.settings import parsers
from tests.charts.rendered import CHARTS, LEASEHOLD, render, values
from tests.cluster.helm import HelmFailed

ADDRESSES = [
    "http://etcd",
    "https://etcd-0.etcd.svc:2379",
    "http://[::1]:1",
    "https://10.0.0.1:65535",
    "http://a_b.",
    "http://E",
    "http://etcd:",
    "http://:1",
    "http://etcd:0",
    "http://etcd:65536",
    "http://etcd:1:2",
    "http://a..b",
    "http://-a",
    "http://a-",
    "http://\u00e4",
    "http://a%b",
    "http://a'b",
    "http://$(A)",
    "http://[::1",
    "http://a\\b",
    "ftp://etcd",
]
ROOTS = [
    "/a",
    "/a/b.c",
    "/~:@+=-_",
    "a",
    "/",
    "/a/",
    "/a//b",
    "/a b",
    "/a'b",
    "/$(A)",
    "/\u00e4",
    '/a"b',
    "/a\\b",
    "/a#b",
]


@pytest.mark.parametrize(
    ("name", "texts", "read"),
    [("etcd.endpoints", ADDRESSES, parsers.etcd_urls), ("etcd.root", ROOTS, parsers.root)],
    ids=["endpoints", "root"],
)
def test_what_the_programs_refuse_is_told_here(name: str, texts: list[str], read: Callable[[str], object]) -> None:
    """An install would succeed, and its pods and all sidecars end at once with a sentence in their logs."""
    for text in texts:
        chosen = {"etcd.endpoints": ["http://etcd:2379"], name: [text] if name == "etcd.endpoints" else text}
        if text.startswith("https"):
            chosen["etcd.tls.secretName"] = "mine"
        assert _takes(lambda: read(text)) == _takes(lambda: render(LEASEHOLD, *values(**chosen))), text  # noqa: B023  # called at once


def _takes(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (ValueError, HelmFailed):
        return False
    return True


def test_the_singleton_has_the_same_forms() -> None:
    """Its schema is where it has them, since it tells no text of its own."""
    text = (LEASEHOLD / "templates" / "_texts.tpl").read_text()
    forms = yaml.safe_load(text.partition('{{- define "leasehold.forms" -}}')[2].partition("{{- end")[0])
    schema = (CHARTS / "singleton" / "values.schema.json").read_text()
    for name in ("etcd.endpoints", "etcd.root"):
        form = next(each["form"] for each in forms if name in each["values"])
        assert json.dumps(form) in schema
