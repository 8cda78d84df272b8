#!/bin/bash
# kube-apiserver v1.36.3, RBAC: who may create a Lease of one name, by a rule with resourceNames.
# Guess: nobody: resourceNames cannot limit the verb create, as the documentation has it, since the name is not known when
#   the request is authorized. A candidate that is to create its Lease needs the right to create each in the namespace.
# Behaviour: POST is refused, but a missing Lease that is written by PUT, or by server-side apply, is authorized a second
#   time, as a create that has a name: a rule with resourceNames is enough for it, and for that name alone.
source "$(dirname "$0")/apiserver.bash"
cat >finding.py <<'PYTHON'
import time

from kube import kube

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"

def rule(*verbs):
    return {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["mine"], "verbs": verbs}

def grant(*verbs):
    """Exactly these verbs on the Lease `mine`."""
    role = {"metadata": {"name": "election"}, "rules": [rule(*verbs)]}
    kube("DELETE", f"{RBAC}/roles/election")
    code, answer = kube("POST", f"{RBAC}/roles", role)
    assert code == 201, answer
    time.sleep(2)

def lease(name):
    kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    return {**kind, "metadata": {"name": name}, "spec": {"holderIdentity": "a"}}

def asked(words, *arguments, **named):
    code = kube(*arguments, token="candidate", **named)[0]
    print(f"  {words}: {code}")
    kube("DELETE", f"{LEASES}/mine")
    return code

def answers():
    apply = {"content": "application/apply-patch+yaml"}
    return (asked("POST of mine", "POST", LEASES, lease("mine")),
            asked("PUT of mine, which is not there", "PUT", f"{LEASES}/mine", lease("mine")),
            asked("apply of mine, which is not there", "PATCH", f"{LEASES}/mine?fieldManager=a", lease("mine"), **apply),
            asked("PUT of another", "PUT", f"{LEASES}/other", lease("other")))

role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "election"}
subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "candidate"}
binding = {"metadata": {"name": "election"}, "roleRef": role, "subjects": [subject]}
assert kube("POST", f"{RBAC}/rolebindings", binding)[0] == 201
for verbs, expected in ((("create", "update", "patch"), (403, 201, 201, 403)), (("update", "patch"), (403, 403, 403, 403))):
    print("granted with resourceNames [mine]:", *verbs)
    grant(*verbs)
    assert answers() == expected
PYTHON
python3 finding.py "$api"
echo "as found: the right to create one Lease by its name, for PUT and apply"
