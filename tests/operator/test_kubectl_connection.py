"""The plugin against kubectl's connection rules, row by row: both ask as the same user, or both fail."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from leasehold.kubectl.connection import FLAGS
from tests.cluster import ControlPlane
from tests.cluster.apiserver import User
from tests.operator.kubectl_ground import Ground
from tests.operator.kubectl_users import BOB, NAMESPACE, WHO, Flags
from tests.servers import CertificateAuthority
from tests.support.forward_proxies import HttpProxy, SocksProxy


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Who signs client certificates."""
    return CertificateAuthority(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def plane(clients: CertificateAuthority) -> Iterator[ControlPlane]:
    """An API server that notes who asked, with one Lock in it."""
    flags = [f"--client-ca-file={clients.path}"]
    users = {BOB: User("bob", ("system:masters",))}
    with ControlPlane(name="connections", controllers=False, audit=True, apiserver_flags=flags, users=users) as started:
        started.create("namespaces", {"metadata": {"name": NAMESPACE}})
        lock = {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": "db"}}
        started.create("locks", {**lock, "spec": {}}, NAMESPACE)
        yield started


@pytest.fixture
def ground(plane: ControlPlane, clients: CertificateAuthority, tmp_path: Path) -> Ground:
    made = Ground(plane, clients, tmp_path)
    made.config(context={"namespace": NAMESPACE})
    return made


# --- who asks ---


@pytest.mark.parametrize("row", WHO.values(), ids=WHO)
def test_who_asks(ground: Ground, row: Callable[[Ground], Flags]) -> None:
    """The audit log has the same user for both, with the same impersonation."""
    kubectl, plugin = ground.both(*row(ground))
    if kubectl.asked_as or not kubectl.code:  # without a right to anything, it does not come as far as to ask for Locks
        assert plugin.asked_as == kubectl.asked_as, (kubectl, plugin)
    assert (bool(plugin.code), plugin.printed) == (bool(kubectl.code), kubectl.printed), (kubectl, plugin)


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a mount namespace")
def test_in_a_pod(ground: Ground) -> None:
    """A service account's files, in a mount namespace of the programs' own; a kubeconfig goes before them."""
    files = {"token": BOB, "namespace": NAMESPACE, "ca.crt": ground.plane.authority.path.read_text()}
    for name, content in files.items():
        ground.write(f"account/{name}", content)
    account = "/run/secrets/kubernetes.io/serviceaccount"
    mount = f'mount -t tmpfs none /run && mkdir -p {account} && cp {ground.directory}/account/* {account} && exec "$@"'
    before = ("unshare", "--mount", "sh", "-c", mount, "sh")
    ground.environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(ground.plane.port)}
    for config, who in (("", "bob"), (str(ground.directory / "config"), "admin")):
        ground.environ["KUBECONFIG"] = config
        kubectl, plugin = ground.both(before=before)
        assert (kubectl.code, plugin.code, plugin.printed) == (0, 0, kubectl.printed), (kubectl, plugin)
        assert plugin.asked_as == kubectl.asked_as
        assert f'"{who}"' in "".join(plugin.asked_as)


# --- logins by other programs ---

_CREDENTIAL = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": BOB}}


def login(ground: Ground, command: str, **more: object) -> None:
    """A kubeconfig whose user gets a token from a program."""
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "interactiveMode": "IfAvailable"}
    ground.config(context={"namespace": NAMESPACE}, user={"token": None, "exec": {**program, **more}})


def test_exec_plugin(ground: Ground) -> None:
    """It is told of the cluster, has its own environment, and what it says on stderr is shown."""
    info = ground.directory / "info"
    said = f'echo "$GREETING" >&2\necho "$KUBERNETES_EXEC_INFO" > {info}\n'
    ground.script("login", f"{said}echo '{json.dumps(_CREDENTIAL)}'")
    login(ground, "./login", env=[{"name": "GREETING", "value": "hello"}], provideClusterInfo=True)
    kubectl, plugin = ground.both()
    assert plugin.asked_as == kubectl.asked_as
    assert '"bob"' in "".join(plugin.asked_as)
    assert plugin.said == kubectl.said == "hello\n"
    assert json.loads(info.read_text())["spec"]["cluster"]["server"] == ground.plane.url


def test_exec_plugin_that_fails(ground: Ground) -> None:
    """Each way is told in one sentence, with the hint of whoever wrote the kubeconfig."""
    for command, more, said in (
        ("no-such-login", {"installHint": "Ask Ann for it."}, "Ask Ann for it."),
        (ground.script("fails", "exit 7"), {}, "exit code 7"),
        (ground.script("asks", "true"), {"interactiveMode": "Always"}, "standard input is not a terminal"),
    ):
        login(ground, command, **more)
        kubectl, plugin = ground.both()
        assert kubectl.code == plugin.code == 1
        assert plugin.asked_as == frozenset()
        assert plugin.said.startswith(
            f"leasehold: kubectl got no credentials for the API server at {ground.plane.url}: "
        )
        assert said in plugin.said
        assert len(plugin.said.splitlines()) == 1


def test_exec_plugin_that_the_user_forbids(ground: Ground) -> None:
    """kubectl's preferences may forbid programs: that holds for the plugin, too."""
    login(ground, ground.script("login", f"echo '{json.dumps(_CREDENTIAL)}'"))
    kind = {"apiVersion": "kubectl.config.k8s.io/v1beta1", "kind": "Preference"}
    ground.environ["KUBERC"] = ground.write("kuberc", {**kind, "credentialPluginPolicy": "DenyAll"})
    kubectl, plugin = ground.both()
    assert (kubectl.code, plugin.code) == (1, 1)
    assert "DenyAll" in plugin.said


def test_kuberc_defaults_of_other_commands(ground: Ground) -> None:
    """What the user set for `kubectl proxy` is not meant for the plugin, which starts one."""
    options = [{"name": name, "default": value} for name, value in (("as", "nobody"), ("port", "1"), ("www", "/"))]
    kind = {"apiVersion": "kubectl.config.k8s.io/v1beta1", "kind": "Preference"}
    defaults = [{"command": "proxy", "options": options}]
    ground.environ["KUBERC"] = ground.write("kuberc", {**kind, "defaults": defaults})
    kubectl, plugin = ground.both()
    assert plugin.asked_as == kubectl.asked_as
    assert (kubectl.code, plugin.code) == (0, 0)


# --- where and on which way ---


def test_proxies_of_the_kubeconfig(ground: Ground) -> None:
    """`proxy-url`, of both kinds."""
    for kind in (HttpProxy, SocksProxy):
        with kind(ground.plane.port) as proxy:
            ground.config(context={"namespace": NAMESPACE}, cluster={"proxy-url": proxy.url})
            kubectl, plugin = ground.both()
            assert (kubectl.code, plugin.code, plugin.printed) == (0, 0, kubectl.printed), (kubectl, plugin)
            assert len(proxy.asked) >= 2
            assert set(proxy.asked) == {"127.0.0.1"}


def test_proxy_of_a_flag(ground: Ground) -> None:
    """kubectl has it since 1.37."""
    with HttpProxy(ground.plane.port) as proxy:
        kubectl, plugin = ground.both("--proxy-url", proxy.url)
        assert (kubectl.code, plugin.code, plugin.printed) == (0, 0, kubectl.printed), (kubectl, plugin)
        assert len(proxy.asked) >= 2


def test_proxies_of_the_environment(ground: Ground) -> None:
    """HTTPS_PROXY is for other machines than this one, and only if NO_PROXY does not name them."""
    with HttpProxy(ground.plane.port) as proxy:
        ground.environ["HTTPS_PROXY"] = proxy.url
        kubectl, plugin = ground.both()
        assert (kubectl.code, plugin.code, proxy.asked) == (0, 0, [])
        cluster = {"server": "https://api.cluster.invalid", "tls-server-name": "localhost"}
        ground.config(context={"namespace": NAMESPACE}, cluster=cluster)
        kubectl, plugin = ground.both()
        assert (kubectl.code, plugin.code, plugin.printed) == (0, 0, kubectl.printed), (kubectl, plugin)
        assert set(proxy.asked) == {"api.cluster.invalid"}
        proxy.asked.clear()
        for names in ("api.cluster.invalid", "cluster.invalid", ".invalid", "*"):
            ground.environ["NO_PROXY"] = names
            kubectl, plugin = ground.both()
            assert (kubectl.code, plugin.code, proxy.asked) == (1, 1, []), names


def test_trust(ground: Ground, tmp_path: Path) -> None:
    """Certificates are checked, or not, by the same rules."""
    other = CertificateAuthority(tmp_path / "other")
    for flags, code in (
        ((f"--certificate-authority={other.path}",), 1),
        (("--insecure-skip-tls-verify",), 0),
        (("--insecure-skip-tls-verify=false",), 0),
        (("--tls-server-name=elsewhere",), 1),
        (("--tls-server-name=kubernetes.default.svc",), 0),
        (("-s", ground.plane.url.replace("127.0.0.1", "localhost")), 0),
        (("--server=https://127.0.0.1:1",), 1),
        (("--disable-compression", "--match-server-version", "--cache-dir", str(tmp_path / "cache")), 0),
    ):
        kubectl, plugin = ground.both(*flags)
        assert (kubectl.code, plugin.code, plugin.printed) == (code, code, kubectl.printed), (kubectl, plugin)


def test_warnings(ground: Ground) -> None:
    """The API server's warnings are shown once, and count with --warnings-as-errors."""
    crd = "locks.leasehold.dev"
    change = [{"op": "add", "path": "/spec/versions/0/deprecated", "value": True}]
    ground.plane.kubectl("patch", "crd", crd, "--type=json", "-p", json.dumps(change))
    try:
        while "Warning" not in (found := ground.both())[0].said:
            pass  # the API server is not so far yet
        assert found[1].said.count("Warning: ") == 1
        assert [one.code for one in ground.both("--warnings-as-errors")] == [1, 1]
        assert [one.code for one in ground.both("--warnings-as-errors=false")] == [0, 0]
    finally:
        ground.plane.kubectl("patch", "crd", crd, "--type=json", "-p", json.dumps([{**change[0], "value": False}]))


def test_flags_before_the_command(ground: Ground) -> None:
    """kubectl takes them in any place."""
    found = ground.run("leasehold", "--as=nobody", "-n", NAMESPACE, "list")
    assert found.code == 1
    assert 'User "nobody" cannot list' in found.said


def test_a_check_does_not_wait_for_a_login(ground: Ground) -> None:
    """What it cannot ask is a row; all others wait for the login as long as it takes."""
    never, begun = ground.directory / "never", ground.directory / "begun"
    os.mkfifo(never)
    begun.touch()  # on a busy machine the check may be over before a login has begun
    login(ground, ground.script("login", f"echo $$ >>{begun}; read -r _ < {never}"))
    try:
        found = ground.run("leasehold", "check")
        assert found.code == 1
        assert "did not answer in time" in found.printed
    finally:
        for pid in begun.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def test_verbosity(ground: Ground) -> None:
    """kubectl's log is shown if it is asked for."""
    assert ground.plane.url in ground.run("leasehold", "list", "-v=8").said
    assert ground.run("leasehold", "list").said == ""


# --- mistakes ---


@pytest.mark.parametrize(
    "flags",
    [
        ("--context=x",),
        ("--cluster=x",),
        ("--user=x",),
        ("--kubeconfig=/nowhere",),
        ("--as-group=x",),
        ("--as-uid=x",),
        ("--token=a", "--username=b", "--password=c"),
        ("--client-certificate=/nowhere", "--client-key=/nowhere"),
        ("--certificate-authority=/nowhere",),
        ("--insecure-skip-tls-verify=maybe",),
        ("--server=http://[",),
        ("--request-timeout=soon",),
        ("-v=x",),
        ("--frob",),
        ("--as",),
    ],
    ids=" ".join,
)
def test_mistakes(ground: Ground, flags: Flags) -> None:
    """kubectl fails; the plugin says why in a sentence, with the exit code of a mistake, and asks nobody."""
    kubectl, plugin = ground.both(*flags)
    assert kubectl.code == 1
    assert (plugin.code, plugin.printed, plugin.asked_as) == (2, "", frozenset()), plugin
    assert len(plugin.said.splitlines()) == 1
    assert plugin.said.startswith("leasehold: ")


def test_all_flags_of_kubectl_are_known(ground: Ground) -> None:
    """The table is kubectl's own list, but for what the plugin reads itself."""
    listed = ground.run("options").printed
    theirs = {line.split(":")[0].strip().partition("=")[0] for line in listed.splitlines() if line.startswith("    -")}
    short = {", ".join(flag.names) for flag in FLAGS}
    assert theirs - short == {"-n, --namespace", "--request-timeout"}
    assert short - theirs <= {"--kuberc", "--as-user-extra", "--proxy-url"}, "which older ones don't list"
