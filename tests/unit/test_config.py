"""Settings: every value and relation is checked, every mistake told in one sentence that names the setting."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.base.address import Address, UnixAddress
from leasehold.exec.stop_schedule import can_start
from leasehold.lock.names import LockName
from leasehold.settings import commands
from leasehold.settings.config import ConfigError, EtcdConfig, run_config
from leasehold.settings.exec import KILL_MARGIN_SECONDS, default_grace, exec_config, grace_mistake, longest_grace
from leasehold.settings.options import Option
from tests.support.settings import LOCK, mistakes, only_mistake, run


def test_defaults_are_those_of_the_documentation() -> None:
    config = run("--lock", "db")
    assert config.lock == LockName("default", "db")
    assert config.etcd == EtcdConfig(("http://127.0.0.1:2379",))
    assert (config.listen, config.control) == (Address("", 4040), Address("127.0.0.1", 4041))
    assert (config.ttl, config.drain, config.max_drift, config.root) == (None, 0.0, 0.01, "/leasehold")
    assert config.record.identity == os.uname().nodename
    assert config.app_health is None
    assert (config.require_lock, config.native_sidecar, config.state_dir) == (False, False, None)
    assert (config.on_gained, config.on_lost) == ((), ())
    assert config.warnings == ()


def test_each_flag_is_taken(tmp_path: Path) -> None:
    config = run(
        *(
            "--lock",
            "db",
            "--namespace",
            "prod",
            "--identity",
            "me",
            "--ttl",
            "5",
            "--priority",
            "-3",
            "--group",
            "7f9",
        ),
        *("--require-lock", "--root", "/a/b", "--listen", "[::]:4040", "--control", f"unix:{tmp_path}/control"),
        *(
            "--state-dir",
            str(tmp_path),
            "--drain",
            "120",
            "--native-sidecar",
            "--app-health",
            "http://127.0.0.1:8080/ok",
        ),
        *("--on-gained", "sh -c 'echo gained'", "--on-lost", "true", "--max-drift", "0.05"),
        *("--log-level", "debug", "--log-format", "json", "--etcd", "http://a, http://[::1]:1/,http://a:2379"),
    )
    assert config.lock == LockName("prod", "db")
    assert (config.record.identity, config.record.priority, config.record.group) == ("me", -3, "7f9")
    assert (config.ttl, config.drain, config.max_drift, config.root) == (5, 120.0, 0.05, "/a/b")
    assert (str(config.listen), str(config.control)) == ("[::]:4040", f"unix:{tmp_path}/control")
    assert isinstance(config.control, UnixAddress)
    assert config.state_dir == tmp_path
    assert config.require_lock
    assert config.native_sidecar
    assert config.app_health == "http://127.0.0.1:8080/ok"
    assert (config.on_gained, config.on_lost) == (("sh", "-c", "echo gained"), ("true",))
    assert (config.log.level, config.log.format) == ("debug", "json")
    assert config.etcd.endpoints == ("http://a:2379", "http://[::1]:1")


@pytest.mark.parametrize("option", commands.ALL, ids=lambda option: option.flag)
def test_no_variable_looks_like_a_service_variable(option: Option[object]) -> None:
    """A Service named `leasehold…` makes Kubernetes set variables that end so; none may be taken for a setting."""
    assert option.variable == "LEASEHOLD_" + option.flag[2:].upper().replace("-", "_")
    assert not re.search(r"_(PORT|SERVICE_HOST|SERVICE_PORT.*|PORT_.*)$", option.variable)


def test_flags_precede_variables() -> None:
    """An empty variable counts as not set."""
    config = run("--ttl", "6", LEASEHOLD_LOCK="a/b", LEASEHOLD_TTL="9", LEASEHOLD_DRAIN="", LEASEHOLD_ROOT="/x")
    assert (config.ttl, config.drain, config.root, config.lock) == (6, 0.0, "/x", LockName("a", "b"))


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("1", True), ("Yes", True), ("off", False), ("0", False)])
def test_a_switch_as_a_variable(text: str, meant: bool) -> None:
    assert run(*LOCK, LEASEHOLD_REQUIRE_LOCK=text).require_lock is meant
    assert run(*LOCK, "--no-require-lock", LEASEHOLD_REQUIRE_LOCK=text).require_lock is False


def test_the_pod_gives_names() -> None:
    pod = {"POD_NAME": "db-0", "POD_NAMESPACE": "prod", "POD_UID": "u-1", "NODE_NAME": "n1"}
    record = run_config(["--lock", "db"], pod).record
    assert (record.identity, record.pod, record.pod_namespace, record.pod_uid, record.node) == (
        ("db-0", "db-0", "prod", "u-1", "n1")
    )
    assert run_config(["--lock", "db"], pod).lock == LockName("prod", "db")
    assert run_config(["--lock", "x/db", "--identity", "me"], pod).record.identity == "me"


def test_each_start_is_an_incarnation_of_its_own() -> None:
    incarnations = {run(*LOCK).record.incarnation for _ in range(3)}
    assert len(incarnations) == 3
    assert all(re.fullmatch(r"[0-9a-f]{16}", one) for one in incarnations)


WRONG = {
    "--ttl": ["0", "-5", "2", "3601", "5s", "5.0", "nan", "inf", "٥", "1_5", " 5", "99999999999999999999", "abc"],
    "--drain": ["-1", "3601", "nan", "inf", "Infinity", "10s", "1e2", "1,5", "."],
    "--termination-grace": ["-1", "604801", "30s", "inf"],
    "--max-drift": ["0", "0.5", "1", "-0.1", "nan", "1%"],
    "--priority": ["1.5", "high", str(2**31), str(-(2**31) - 1)],
    "--root": ["leasehold", "/", "/a/", "//a", "/a b", "/" + "a" * 600],
    "--identity": ["", " a", "a\nb", "x" * 254, "\x1b[31m"],
    "--group": ["", "a\tb"],
    "--lock": ["", "A", "a_b", "a/b/c", "/a", "a/", "x" * 254, "ns./a", "-a", "a..b"],
    "--namespace": ["", "A", "a.b", "x" * 64],
    "--etcd": ["", "127.0.0.1:2379", "etcd", "ftp://a", "http://", "http://a:0", "http://a:70000", "http://a:b", "http://a:",
               "http://u:secret@a", "http://a/path", "http://a?x", "http://a,https://b", "http://a,,http://b", "http://[::1",
               "http://a b", "http:a", "http://999.1.1.1", "http://a..b", "http://ä"],
    "--listen": ["", "4040", ":", "[]:4040", ":a", "a:b", "0.0.0.0:65536", "0.0.0.0:-1", "::1:4040", "[::1]", "a b:1",
                 "1.2.3:4"],
    "--control": ["0.0.0.0:4041", "[::]:4041", ":4041", "10.0.0.1:4041", "example.org:1", "unix:", "unix:relative",
                  "unix:/no/such/dir/s", "unix:/" + "a" * 200, "4041"],
    "--app-health": ["127.0.0.1:8080", "http://u@h/", "file:///etc/passwd", "http:///x"],
    "--state-dir": ["/no/such/dir", "/etc/passwd"],
    "--on-gained": ["", "  ", "sh -c 'a", "/no/such/program x", "a\0b"],
    "--on-lost": ["\"", "/etc/passwd"],
    "--log-level": ["INFO", "loud"],
    "--log-format": ["xml"],
    "--etcd-user": [""],
}  # fmt: skip  # one setting a line reads better


@pytest.mark.parametrize(("flag", "text"), [(flag, text) for flag, texts in WRONG.items() for text in texts])
def test_a_wrong_value_is_one_sentence(flag: str, text: str) -> None:
    """The sentence names the flag or the variable that the value came from."""
    lock = () if flag in ("--lock", "--namespace") else LOCK
    rest = ("--lock", "db") if flag == "--namespace" else lock
    found = mistakes(f"{flag}={text}", *rest)
    assert any(sentence.startswith(f"{flag} is {text[:20]!r}"[:10]) for sentence in found)
    assert all("\n" not in sentence and sentence.endswith(".") and len(sentence) < 400 for sentence in found)
    variable = "LEASEHOLD_" + flag[2:].upper().replace("-", "_")
    if text and "\0" not in text:  # an empty variable is none, and none can hold a zero byte
        others = mistakes(*rest, environ={variable: text})
        assert any(sentence.startswith(f"{variable} is ") for sentence in others)


def test_a_password_in_a_url_is_not_repeated() -> None:
    assert "secret" not in only_mistake("--etcd", "http://u:secret@a:2379")


def test_all_mistakes_are_told_at_once() -> None:
    found = mistakes("--ttl", "0", "--root", "x", "--liste", "a", environ={"LEASEHOLD_DRAIN": "never"})
    for part in (
        "--ttl",
        "--root",
        "--liste'; --listen may be meant",
        "LEASEHOLD_DRAIN is 'never'",
        "No lock is named",
    ):
        assert any(part in sentence for sentence in found), part


def test_a_flag_without_its_value_is_a_mistake() -> None:
    assert mistakes("--ttl") == ("--ttl: it needs a value after it.",)
    assert mistakes("--require-lock=maybe")[0].startswith("--no-require-lock: ")


def test_flags_are_not_abbreviated() -> None:
    """`--etcd-pass` must not mean `--etcd-password-file` today and something else tomorrow."""
    assert "There is no option '--prio'" in only_mistake("--prio=3")


def test_what_kubernetes_left_unresolved_is_no_identity() -> None:
    sentence = only_mistake(environ={"LEASEHOLD_IDENTITY": "$(POD_NAME)"})
    assert sentence.startswith("LEASEHOLD_IDENTITY is '$(POD_NAME)': Kubernetes could not fill in")


def test_a_wrong_pod_namespace_is_named() -> None:
    """The mistake names the variable POD_NAMESPACE, and matters only if --lock has no namespace."""
    assert mistakes("--lock", "db", environ={"POD_NAMESPACE": "A_B"})[0].startswith("POD_NAMESPACE is 'A_B'")
    assert run("--lock", "a/b", POD_NAMESPACE="A_B").lock == LockName("a", "b")


def test_two_listeners_on_one_port() -> None:
    assert only_mistake("--control", "127.0.0.1:4040").startswith(
        "--control is '127.0.0.1:4040': --listen has port 4040"
    )
    assert only_mistake("--listen", "127.0.0.1:4041").startswith("--control is ")
    assert run(*LOCK, "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0").listen == Address("127.0.0.1", 0)
    assert run(*LOCK, "--listen", "10.0.0.1:4041").control == Address("127.0.0.1", 4041)


# --- exec ---


def test_exec_takes_its_command_after_two_dashes() -> None:
    wanted = exec_config([*LOCK, "--ttl", "15", "--grace", "4.3", "--", "sh", "-c", "exit 3", "--", "--lock"], {})
    assert wanted.command == ("sh", "-c", "exit 3", "--", "--lock")
    assert wanted.grace == 4.3
    assert (wanted.sidecar.drain, wanted.sidecar.state_dir) == (math.inf, None)


@pytest.mark.parametrize("arguments", [(), ("--",), ("true",)])
def test_exec_without_a_command(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="No command is given: write leasehold exec"):
        exec_config([*LOCK, *arguments], {})


def test_exec_knows_no_settings_of_an_app_beside_it() -> None:
    """The variables may be there for another command of the same pod; as flags they would be misunderstood."""
    config = exec_config([*LOCK, "--", "true"], {"LEASEHOLD_DRAIN": "5", "LEASEHOLD_STATE_DIR": "/no/such"})
    assert math.isinf(config.sidecar.drain)
    with pytest.raises(ConfigError, match="There is no option '--drain'"):
        exec_config([*LOCK, "--drain", "5", "--", "true"], {})


def test_a_grace_that_the_lease_cannot_bear() -> None:
    with pytest.raises(ConfigError, match=r"--grace is '5': a TTL of 15 seconds leaves at most 4\.35 seconds"):
        exec_config([*LOCK, "--ttl", "15", "--grace", "5", "--", "true"], {})


@given(st.integers(3, 3600), st.floats(0.0001, 0.4999))
def test_the_grace_fits_into_every_lease(ttl: int, max_drift: float) -> None:
    """TERM at deadline - grace - margin comes later after a renewal than the next one, or exec is refused."""
    longest = longest_grace(ttl, max_drift)
    assert default_grace(ttl, max_drift) <= longest
    believed = ttl * (1 - max_drift) / (1 + max_drift)
    if grace_mistake(None, ttl, max_drift) is None:
        assert longest >= 0
        assert believed - longest - KILL_MARGIN_SECONDS > ttl / 3
        assert grace_mistake(longest + 0.1, ttl, max_drift) is not None
        assert can_start(0.0, believed, longest + KILL_MARGIN_SECONDS, ttl)
        assert not can_start(believed - ttl / 3, believed, believed / 2, ttl)


def test_a_drift_that_leaves_no_time_to_stop() -> None:
    with pytest.raises(ConfigError, match=r"--max-drift is '0.4': with a TTL of 3 seconds that leaves no time"):
        exec_config([*LOCK, "--ttl", "3", "--max-drift", "0.4", "--", "true"], {})


@given(st.text(max_size=40), st.sampled_from([option for option in commands.ALL if not option.switch]))
def test_any_text_is_a_value_or_a_sentence(text: str, option: Option[object]) -> None:
    """Whatever is typed, nothing but ConfigError comes of it, and each sentence is one line."""
    said: tuple[str, ...] = ()
    try:
        run_config([*LOCK, f"{option.flag}={text}"], {})
    except ConfigError as error:
        said = error.mistakes
    assert all(len(sentence.splitlines()) == 1 for sentence in said)


def test_app_can_blame_a_setting_as_it_was_given() -> None:
    config = run(*LOCK, LEASEHOLD_LISTEN="127.0.0.1:80")
    assert config.mistake("listen", "the port is in use").mistakes == (
        "LEASEHOLD_LISTEN is '127.0.0.1:80': the port is in use.",
    )
    assert config.mistake("control", "no").mistakes == ("--control is '127.0.0.1:4041': no.",)
