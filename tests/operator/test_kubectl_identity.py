"""Changes of Locks are made as whom kubectl would make them, by a kubectl that leaves nothing behind."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pexpect
import psutil
import pytest

from tests.cluster import ControlPlane
from tests.operator.kubectl_ground import Ground
from tests.operator.kubectl_plugin import Plugin, holder, running, status_of
from tests.servers import PATIENCE, CertificateAuthority, program, wait_for

DANGEROUS = (("revoke", "db", "--yes"), ("handover", "db"), ("handover", "db", "--to", "b"), ("suspend", "db"))


@pytest.fixture
def ground(api: ControlPlane, plugin: Plugin, tmp_path: Path) -> Ground:
    """A held Lock, and kubeconfigs of the administrator."""
    plugin.make("db", status_of(holder("a", 217)))
    return Ground(api, CertificateAuthority(tmp_path / "clients"), tmp_path)


def test_nothing_is_done_as_somebody_else(ground: Ground, plugin: Plugin) -> None:
    """The kubeconfig's administrator impersonates a user without rights: kubectl says no, and so does the plugin."""
    context = {"namespace": plugin.namespace}
    before = plugin.spec("db")
    for user, flags in (({"as": "nobody"}, ()), ({}, ("--as=nobody",)), ({"as": "somebody"}, ("--as", "nobody"))):
        ground.config(context=context, user=user)
        assert ground.run("auth", "can-i", "patch", "locks.leasehold.dev", *flags).printed == "no\n"
        for words in DANGEROUS:
            refused = ground.run("leasehold", *words, *flags)
            assert (refused.code, refused.printed) == (1, ""), refused
            assert 'User "nobody" cannot get resource "locks"' in refused.said
    assert plugin.spec("db") == before


def test_reading_is_not_writing(ground: Ground, plugin: Plugin) -> None:
    """Whoever may only read is refused when it comes to the change."""
    reader = plugin.api.service_account("reader", plugin.namespace)
    rules = [{"apiGroups": ["leasehold.dev"], "resources": ["locks"], "verbs": ["get", "list"]}]
    plugin.api.create("roles", {"metadata": {"name": "reader"}, "rules": rules}, plugin.namespace)
    about = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    subjects = [{"kind": "ServiceAccount", "name": "reader", "namespace": plugin.namespace}]
    binding = {"metadata": {"name": "reader"}, "roleRef": about, "subjects": subjects}
    plugin.api.create("rolebindings", binding, plugin.namespace)
    ground.config(context={"namespace": plugin.namespace}, user={"as": reader})
    wait_for(lambda: ground.run("leasehold", "list").code == 0, "the right to read", PATIENCE)
    for words in DANGEROUS:
        refused = ground.run("leasehold", *words)
        assert (refused.code, "You may not patch Lock" in refused.said) == (1, True), refused
    assert not {"revokeUpToToken", "handoverUpToToken"} & plugin.spec("db").keys()


def test_a_fencing_token_is_no_bearer_token(ground: Ground, plugin: Plugin) -> None:
    """`--token` is kubectl's; a number there is taken for a mistake."""
    ground.config(context={"namespace": plugin.namespace})
    for words in (("revoke", "db", "--yes"), ("handover", "db")):
        refused = ground.run("leasehold", *words, "--token", "217")
        assert refused.code == 2
        assert "name a fencing token by --up-to-token" in refused.said
    assert "does not know these credentials" in ground.run("leasehold", "revoke", "db", "--yes", "--token=abc").said
    assert "revokeUpToToken" not in plugin.spec("db")


def test_the_rest_of_the_plugin_asks_as_the_same(ground: Ground, plugin: Plugin) -> None:
    """check, ui and the completion of names."""
    ground.config(context={"namespace": plugin.namespace})
    flags = ("--as=nobody",)
    assert 'User "nobody" cannot list' in ground.run("leasehold", "check", *flags).printed
    assert 'User "nobody" cannot list resource "pods"' in ground.run("leasehold", "ui", *flags).said
    assert ground.run("__complete", "leasehold", "suspend", "").printed == "db\n:4\n"
    assert ground.run("__complete", "leasehold", "suspend", *flags, "").printed == ":4\n"
    assert plugin.namespace in ground.run("__complete", "leasehold", "list", "-n", "").printed
    assert ground.run("__complete", "leasehold", "list", "--context", "").printed.split() == ["shared", ":4"]
    assert ground.run("__complete", "leasehold", "list", "--user", "").printed.split() == ["admin", ":4"]


# --- at a terminal ---


@pytest.fixture
def terminal(ground: Ground, plugin: Plugin) -> Iterator["pexpect.spawn[str]"]:
    """A list at a terminal, with a login that asks there."""
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    answer = json.dumps({**credential, "status": {"token": "TOKEN"}}).replace("TOKEN", "$token")
    asking = f'printf "Token? " >&2\nread token\ncat <<END\n{answer}\nEND'
    login = {"apiVersion": credential["apiVersion"], "command": ground.script("login", asking)}
    user = {"token": None, "exec": {**login, "interactiveMode": "Always"}}
    ground.config(context={"namespace": plugin.namespace}, user=user)
    words = ["leasehold", "list", "-o", "name"]
    child = pexpect.spawn(str(program("kubectl")), words, env=ground.env(), timeout=PATIENCE, encoding="utf-8")
    yield child
    child.close()


def test_a_login_may_ask(terminal: "pexpect.spawn[str]", plugin: Plugin) -> None:
    """It has the terminal, and all the time that the user takes."""
    terminal.expect_exact("Token? ")
    terminal.sendline(plugin.api.token())
    terminal.expect_exact("lock.leasehold.dev/db")
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == 0


def test_ctrl_c_during_a_login(terminal: "pexpect.spawn[str]") -> None:
    terminal.expect_exact("Token? ")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.signalstatus == signal.SIGINT


def test_kubectl_asks_for_a_name(ground: Ground, plugin: Plugin) -> None:
    """Without any credentials kubectl asks for a user name and a password: the plugin lets it."""
    ground.config(context={"namespace": plugin.namespace}, user={"token": None})
    child = pexpect.spawn(str(program("kubectl")), ["leasehold", "list"], env=ground.env(), timeout=PATIENCE)
    for question in ("Please enter Username: ", "Please enter Password: "):
        child.expect_exact(question)
        child.sendline("a")
    child.expect_exact('User "system:anonymous" cannot list resource "locks"')
    child.close()


# --- its end ---


def helpers(of: int) -> list[psutil.Process]:
    """The processes that the plugin started."""
    return psutil.Process(of).children(recursive=True)


def serving(of: int) -> str:
    """The socket of the plugin's kubectl, once it is there; "" before."""
    for one in helpers(of):
        with contextlib.suppress(psutil.Error):  # what kubectl was asked first ends soon
            flags = [word for word in one.cmdline() if word.startswith("--unix-socket=")]
            if flags and os.path.exists(path := flags[0].partition("=")[2]):
                return path
    return ""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_however_it_ends(ground: Ground, plugin: Plugin, name: str) -> None:
    """Nothing is left of it: no process, no socket, no directory. The socket was its user's alone."""
    with running(plugin, "wait", "db", "--for", "free", "--timeout", "10m") as process:
        assert process.stderr is not None
        assert "Waiting up to" in process.stderr.readline()
        socket, started = Path(serving(process.pid)), helpers(process.pid)
        assert len(started) == 2
        assert (socket.parent.stat().st_mode & 0o777, socket.parent.stat().st_uid) == (0o700, os.getuid())
        process.send_signal(getattr(signal, name))
        process.wait(PATIENCE)
        wait_for(lambda: not socket.parent.exists(), "its directory to be gone", PATIENCE)
        wait_for(lambda: not any(one.is_running() for one in started), "its processes to be gone", PATIENCE)


def test_a_script_in_the_place_of_kubectl(ground: Ground, plugin: Plugin) -> None:
    """It calls kubectl and waits for it, as version managers do: the kubectl that it called ends, too."""
    ground.environ["KUBECTL"] = ground.script("wrapper", f'"{program("kubectl")}" "$@"\nexit $?')
    ground.environ["TMPDIR"] = str(ground.directory)
    ground.config(context={"namespace": plugin.namespace})
    assert ground.run("leasehold", "list", "-o", "name").printed == "lock.leasehold.dev/db\n"
    assert list(ground.directory.glob("leasehold-*")) == []
    wait_for(lambda: not serving_below(ground.directory), "kubectl to end", PATIENCE)


def serving_below(directory: Path) -> list[int]:
    """All processes that serve a socket in this directory."""
    return [
        one.pid
        for one in psutil.process_iter(["cmdline"])
        if any(word.startswith(f"--unix-socket={directory}") for word in one.info["cmdline"] or ())
    ]


def test_kubectl_is_killed_meanwhile(ground: Ground, plugin: Plugin) -> None:
    """The plugin goes on with another one."""
    with running(plugin, "list", "--watch") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("NAME")
        assert process.stdout.readline().startswith("db")
        first = serving(process.pid)
        for one in helpers(process.pid):
            one.kill()
        wait_for(lambda: serving(process.pid) not in ("", first), "another kubectl", PATIENCE)
        plugin.set("db", status_of(holder("b", 230)))
        assert "b" in process.stdout.readline().split()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
