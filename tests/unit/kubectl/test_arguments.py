"""The command line: what is read from it, and which sentence a mistake gets."""

import re
from pathlib import Path

import pytest

from leasehold import ui
from leasehold.base.config_error import ConfigError
from leasehold.kubectl.arguments import Arguments, parse, parser
from leasehold.kubectl.cluster_ref import ClusterRef
from leasehold.kubectl.command_table import COMMANDS
from leasehold.kubectl.flag import Command
from leasehold.kubectl.values import WEEK_SECONDS

PAGE = Path(ui.__file__).parent / "static" / "lock.js"


def command(name: str) -> Command:
    return next(one for one in COMMANDS if one.name == name)


def read(name: str, *words: str, **environ: str) -> Arguments:
    return parse(command(name), words, environ)


def mistakes(name: str, *words: str, **environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(name, *words, **environ)
    return caught.value.mistakes


def test_kubectls_own_flags() -> None:
    given = read("list", "-A", "-n", "prod", "--context=c", "--kubeconfig", "f", "-ojson", "--request-timeout=1m")
    assert given == Arguments(
        "list",
        ClusterRef(("--context=c", "--kubeconfig=f", "--request-timeout=1m"), "prod"),
        all_namespaces=True,
        output="json",
        request_timeout=60.0,
    )


def test_a_lock_by_kubectls_names() -> None:
    for name in ("db", "lk/db", "lock/db", "locks/db", "lock.leasehold.dev/db", "locks.leasehold.dev/db"):
        assert read("suspend", name).name == "db"
    assert "give the namespace with --namespace" in mistakes("suspend", "prod/db")[0]
    assert mistakes("suspend", "Db") == (
        "NAME is 'Db': use at most 253 lower-case letters, digits, '-' and '.', starting and ending with a letter or "
        "digit.",
    )


def test_what_a_handover_takes() -> None:
    assert read("handover", "db", "--to", "a", "--wait", "--timeout=-1s").timeout == WEEK_SECONDS
    assert read("handover", "db").to is None
    assert read("handover", "db", "--to", "").to == ""
    assert read("handover", "db", "--up-to-token", "217").up_to_token == 217
    assert "cannot be used together" in mistakes("handover", "db", "--to", "a", "--up-to-token", "3")[0]
    assert len(mistakes("handover", "db", "--to", "a\x1b", "--up-to-token", "0")) == 2


@pytest.mark.parametrize("goal", ["held", "free", "holder=a", "holder=held"])
def test_goals(goal: str) -> None:
    assert read("wait", "db", "--for", goal).goal == goal


@pytest.mark.parametrize("goal", ["", "Held", "holder=", "holder", "token=3"])
def test_what_is_no_goal(goal: str) -> None:
    assert mistakes("wait", "db", "--for", goal) == (f"--for is {goal!r}: use held, free or holder=IDENTITY.",)


def test_all_mistakes_are_told_at_once() -> None:
    assert (
        len(mistakes("wait", "D", "-n", "P", "--for", "x", "--timeout", "y", "-o", "z", "--request-timeout=-1s")) == 6
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "NAME is missing; see --help."),
        (("db", "--frob"), "There is no option or argument '--frob' here; see --help."),
        (("db", "x"), "There is no option or argument 'x' here; see --help."),
        (("db", "--context"), "--context: it needs a value after it."),
    ],
)
def test_mistakes_are_sentences(words: tuple[str, ...], said: str) -> None:
    assert mistakes("suspend", *words) == (said,)


def test_etcd_as_leasehold_status_has_it() -> None:
    """By flag or variable; nothing of it is asked for without."""
    assert read("describe", "db").etcd is None
    for given in (read("describe", "db", "--etcd", "http://a:1"), read("describe", "db", LEASEHOLD_ETCD="http://a:1")):
        assert given.etcd is not None
        assert given.etcd.endpoints == ("http://a:1",)
        assert given.root == ""
    assert read("describe", "db", "--etcd", "http://a:1", "--root", "/x").root == "/x"
    assert mistakes("describe", "db", "--root", "/x") == ("--root is of no use without --etcd.",)
    assert "--etcd is 'ftp://a'" in mistakes("describe", "db", "--etcd", "ftp://a")[0]


@pytest.mark.parametrize("name", ["check", "history"])
def test_what_is_no_lock_has_no_name_and_no_more_columns(name: str) -> None:
    assert read(name, "db", "-o", "yaml").output == "yaml"
    for output in ("wide", "name"):
        assert mistakes(name, "db", "-o", output) == (f"--output is {output!r}: use table, json or yaml.",)


@pytest.mark.parametrize("name", ["describe", "check"])
def test_help_tells_the_defaults_that_are_in_force(name: str) -> None:
    """No etcd is asked unless one is named."""
    shown = " ".join(parser(command(name)).format_help().split())
    assert read(name, "db").etcd is None
    assert "else etcd is not asked)" in shown
    assert "2379" not in shown


@pytest.mark.parametrize("one", COMMANDS, ids=lambda one: one.name)
def test_every_command_explains_itself(one: Command) -> None:
    shown = " ".join(parser(one).format_help().split())
    assert shown.startswith(f"usage: kubectl leasehold {one.name} ")
    assert all(flag.names[-1] in shown for flag in one.flags)
    assert "Exit codes: 0 done;" in shown


def test_the_commands_that_the_page_shows() -> None:
    """Its lines are pasted as they are."""
    shown = re.findall(r'kubectl\("(\w+)"(?:, "\s*(--[a-z-]+))?', PAGE.read_text())
    assert {name for name, _ in shown} >= {"handover", "revoke", "suspend"}
    for name, flag in shown:
        assert not flag or flag in [one.names[-1] for one in command(name).flags], (name, flag)
