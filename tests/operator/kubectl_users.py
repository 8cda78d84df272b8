"""How a user is named to kubectl and to the plugin: each way that there is, as what a test makes of its ground.

A row writes the kubeconfig, the files and the environment that it needs, and gives the flags.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from tests.operator.kubectl_ground import Ground

BOB = "bob-token"
NAMESPACE = "connections"
Flags = tuple[str, ...]


def of_config(**user: object) -> Callable[[Ground], Flags]:
    """A kubeconfig whose user has these fields."""

    def row(ground: Ground) -> Flags:
        ground.config(context={"namespace": NAMESPACE}, user=user)
        return ()

    return row


def by_flags(*flags: str) -> Callable[[Ground], Flags]:
    return lambda _: flags


def certificate_in_config(ground: Ground) -> Flags:
    """By paths relative to the kubeconfig, which is not where the program runs."""
    issued = ground.clients.client("carol")
    ground.write("keys/carol.pem", issued.cert.read_text())
    ground.write("keys/carol.key", issued.key.read_text())
    user = {"token": None, "client-certificate": "keys/carol.pem", "client-key": "keys/carol.key"}
    return of_config(**user)(ground)


def certificate_by_flags(ground: Ground) -> Flags:
    issued = ground.clients.client("carol")
    of_config(token=None)(ground)
    return f"--client-certificate={issued.cert}", f"--client-key={issued.key}"


def token_file(ground: Ground) -> Flags:
    ground.write("token", BOB)
    return of_config(token=None, tokenFile="token")(ground)


def another_context(ground: Ground) -> Flags:
    """A second context, user and cluster in the same file."""
    config = json.loads(Path(ground.config(context={"namespace": NAMESPACE})).read_text())
    config["users"].append({"name": "b", "user": {"token": BOB}})
    cluster = config["clusters"][0]["cluster"]
    config["clusters"].append({"name": "b", "cluster": {**cluster, "tls-server-name": "kubernetes.default.svc"}})
    config["contexts"].append({"name": "b", "context": {"user": "b", "cluster": "b", "namespace": NAMESPACE}})
    ground.write("config", config)
    return ("--context=b",)


def another_user(ground: Ground) -> Flags:
    another_context(ground)
    return "--user", "b", "--cluster=b"


def merged_files(ground: Ground) -> Flags:
    """KUBECONFIG with three files: the first one to set a value wins; one is not there."""
    config = json.loads(Path(ground.config(context={"namespace": NAMESPACE})).read_text())
    parts = {part: config[part] for part in ("clusters", "contexts", "current-context")}
    first = ground.write("one/config", {"apiVersion": "v1", "kind": "Config", **parts})
    name = config["users"][0]["name"]
    users = [{"name": name, "user": {"tokenFile": "../bob"}}]
    second = ground.write("two/config", {"apiVersion": "v1", "kind": "Config", "users": users, "current-context": "x"})
    ground.write("bob", BOB)
    ground.environ["KUBECONFIG"] = os.pathsep.join((first, str(ground.directory / "gone"), second))
    return ()


def home_config(ground: Ground) -> Flags:
    """Without KUBECONFIG, it is the one in the home directory."""
    of_config(token=BOB)(ground)
    ground.write(".kube/config", (ground.directory / "config").read_text())
    ground.environ["KUBECONFIG"] = ""
    return ()


def other_file(ground: Ground) -> Flags:
    return "--kubeconfig", ground.config("other", context={"namespace": NAMESPACE}, user={"token": BOB})


def only_flags(ground: Ground) -> Flags:
    """No kubeconfig at all."""
    ground.environ["KUBECONFIG"] = ""
    where = (f"--server={ground.plane.url}", f"--certificate-authority={ground.plane.authority.path}")
    return *where, "--token", BOB, "-n", NAMESPACE


WHO = {
    "the kubeconfig's own user": by_flags(),
    "as in the kubeconfig": of_config(**{"as": "nobody"}),
    "as, as-groups, as-uid, as-user-extra in the kubeconfig": of_config(
        **{"as": "jane", "as-groups": ["system:masters"], "as-uid": "7", "as-user-extra": {"scopes": ["x", "y"]}}
    ),
    "--as": by_flags("--as", "nobody"),
    "--as over the kubeconfig's": lambda ground: (*of_config(**{"as": "nobody"})(ground), "--as=jane"),
    "--as-group": by_flags("--as=jane", "--as-group=system:masters", "--as-group=others"),
    "--as-uid": by_flags("--as=jane", "--as-group=system:masters", "--as-uid", "42"),
    "--as-user-extra": by_flags("--as=jane", "--as-group=system:masters", "--as-user-extra=team=a"),
    "--token": by_flags("--token", BOB),
    "a wrong --token": by_flags("--token=wrong"),
    "--username and --password": lambda ground: (*of_config(token=None)(ground), "--username=a", "--password=b"),
    "--client-certificate, --client-key": certificate_by_flags,
    "a client certificate in the kubeconfig": certificate_in_config,
    "a token file": token_file,
    "--context": another_context,
    "--user, --cluster": another_user,
    "--kubeconfig": other_file,
    "KUBECONFIG with several files": merged_files,
    "the home directory's kubeconfig": home_config,
    "flags alone": only_flags,
}
