"""kubectl's flags among the words, and what a kubeconfig says besides."""

from pathlib import Path

import pytest

from leasehold.kubectl.connection import command_first, explicit, split, value_of, warnings_are_errors
from leasehold.kubectl.context import Context, Pod, context_of, read_pod
from leasehold.kubectl.errors import ClusterError
from leasehold.kubectl.kubectl_program import reason


@pytest.mark.parametrize(
    ("words", "kubectls", "others"),
    [
        ("db --as a --as-group b --as-group=c", "--as=a --as-group=b --as-group=c", "db"),
        ("-s https://a db -v6 -v=7 -v 8", "--server=https://a --v=6 --v=7 --v=8", "db"),
        (
            "--warnings-as-errors db --insecure-skip-tls-verify=false",
            "--warnings-as-errors=true --insecure-skip-tls-verify=false",
            "db",
        ),
        ("--as --context db", "--as=--context", "db"),
        ("--as= db", "--as=", "db"),
        ("db -- --as a", "", "db -- --as a"),
        ("db -n prod --request-timeout 3s --asx -o wide", "", "db -n prod --request-timeout 3s --asx -o wide"),
    ],
)
def test_kubectls_flags(words: str, kubectls: str, others: str) -> None:
    assert split(words.split()) == (tuple(kubectls.split()), others.split(), None)


def test_a_flag_without_its_value() -> None:
    kubectls, others, unfinished = split(["db", "--as"])
    assert (kubectls, others, unfinished and unfinished.names) == ((), ["db"], ("--as",))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--context x list -A", "list --context x -A"),
        ("--as=a -n prod -s u suspend db", "suspend --as=a -n prod -s u db"),
        ("-v6 --warnings-as-errors list", "list -v6 --warnings-as-errors"),
        ("list --context x", "list --context x"),
        ("--frob list", "--frob list"),
        ("--help", "--help"),
        ("", ""),
        ("--context", "--context"),
    ],
)
def test_flags_before_the_command(words: str, expected: str) -> None:
    assert command_first(words.split()) == expected.split()


def test_the_last_value_counts() -> None:
    flags = ("--context=a", "--context=b", "--warnings-as-errors=true", "--warnings-as-errors=false")
    assert value_of(flags, "context") == "b"
    assert not warnings_are_errors(flags)
    assert warnings_are_errors(["--warnings-as-errors=T"])


def test_no_default_takes_the_place_of_a_flag_that_was_not_given() -> None:
    """kuberc may have one; what was given stays the last word."""
    words = explicit(["--as=a"])
    assert words[-1] == "--as=a"
    assert "--as=" not in words
    assert {"--context=", "--token=", "--server=", "--insecure-skip-tls-verify=false"} < set(words)


CONFIG = {
    "current-context": "a",
    "contexts": [
        {"name": "a", "context": {"cluster": "c", "user": "u", "namespace": "prod"}},
        {"name": "b", "context": {"cluster": "d", "user": "v"}},
    ],
    "clusters": [{"name": "c", "cluster": {"server": "https://c"}}, {"name": "d", "cluster": {"server": "https://d"}}],
    "users": [{"name": "u", "user": {"exec": {"command": "login"}}}, {"name": "v", "user": {"token": "REDACTED"}}],
}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), Context("prod", "https://c", "login")),
        (("--context=b",), Context("default", "https://d")),
        (("--cluster=d", "--user=v"), Context("prod", "https://d")),
        (("--server=https://e",), Context("prod", "https://e", "login")),
    ],
)
def test_context(flags: tuple[str, ...], expected: Context) -> None:
    assert context_of(CONFIG, flags, Pod()) == expected


def test_context_in_a_pod() -> None:
    """The pod's namespace takes the place of one that the kubeconfig does not name: such is kubectl's rule."""
    pod = Pod("https://10.0.0.1:443", "team")
    assert context_of({}, (), pod) == Context("team", "https://10.0.0.1:443")
    assert context_of(CONFIG, ("--context=b",), pod).namespace == "team"
    assert context_of(CONFIG, (), pod).namespace == "prod"
    assert context_of({}, (), Pod()) == Context(
        "default", "http://localhost:8080 (kubectl's default: no kubeconfig names another)"
    )


def test_a_namespace_that_is_none() -> None:
    broken = {**CONFIG, "contexts": [{"name": "a", "context": {"namespace": "a/b"}}]}
    with pytest.raises(ClusterError, match="In the kubeconfig"):
        context_of(broken, (), Pod())


def test_what_a_pod_has(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert read_pod(environ, tmp_path) == Pod()
    (tmp_path / "token").write_text("t")
    assert read_pod(environ, tmp_path) == Pod("https://[fd00::1]:443")
    (tmp_path / "namespace").write_text("team\n")
    assert read_pod(environ, tmp_path) == Pod("https://[fd00::1]:443", "team")
    assert read_pod({**environ, "POD_NAMESPACE": "other"}, tmp_path).namespace == "other"
    assert read_pod({}, tmp_path) == Pod()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("error: unknown flag: --x\nSee 'kubectl proxy --help' for usage.\n", "unknown flag: --x"),
        ("Error in configuration: \n* unable to read a\n* unable to read b\n", "* unable to read a * unable to read b"),
        ("", "it gives no reason"),
        ("error: a\x1b[2Jb\n", "a\N{REPLACEMENT CHARACTER}[2Jb"),
    ],
)
def test_kubectls_reasons(said: str, expected: str) -> None:
    assert reason(said) == expected
