"""The plan of the enrolment: whatever it finds, it gets there, in an order in which nobody is ever shut out."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.operator.enrolment import actions as do
from leasehold.operator.enrolment import model as m
from leasehold.operator.enrolment.names import account_of, locks_of, record_key
from leasehold.operator.enrolment.uses import Unused
from tests.unit.operator.enrolment_world import EVERYTHING, GOOD, NAMES, World

OTHERS_ETCD = m.Setup("/leasehold", "cluster-a")


def test_from_nothing() -> None:
    world = World()
    world.settle()
    assert world.accounts.auth_enabled
    assert world.secrets == dict.fromkeys(NAMES, GOOD)
    assert world.accounts.records["apps"] == {"cluster-a": m.Enrolled("leasehold:ns/apps", "ca")}


def test_order_of_an_enrolment() -> None:
    """The note first, so that whoever is interrupted is found; the Secret last."""
    user = "leasehold:ns/apps"
    access = m.Access.below("/leasehold/locks/apps/")
    world = World(wanted=frozenset({"apps"}), setup=OTHERS_ETCD)
    assert world.actions() == [
        do.PutRecord("apps", m.Enrolled(user, "ca")),
        do.AddRole(user),
        do.Permit(user, access),
        do.AddUser(user),
        do.Grant(user, user),
        do.WriteSecret("apps", user),
    ]


def test_order_of_leaving() -> None:
    world = World()
    world.settle()
    world.wanted, world.unused = frozenset({"apps"}), frozenset({"shop"})
    user = "leasehold:ns/shop"
    assert world.actions() == [
        do.DeleteUser(user),
        do.DeleteRole(user),
        do.DeleteSecret("shop", GOOD),
        do.DeleteRecord("shop"),
    ]
    world.settle()
    assert world.secrets == {"apps": GOOD}
    assert user not in world.accounts.users


def test_out_of_use_for_a_moment() -> None:
    world = World()
    world.settle()
    world.wanted = frozenset({"apps"})
    assert world.actions() == []


def test_auth_needs_a_fresh_look() -> None:
    """What was read a while ago may be gone: etcd itself would shut its administrator out without a word."""
    world = World(fresh=False)
    for action in world.actions() + world.actions():
        assert action != do.EnableAuth()
    for action in world.actions():
        world.act(action)
    assert world.actions() == []
    world.fresh = True
    assert world.actions() == [do.EnableAuth()]


def test_secrets_do_not_delay_auth() -> None:
    world = World()
    world.settle()
    world.accounts.auth_enabled = False
    del world.secrets["apps"]
    assert do.EnableAuth() in world.actions()


def test_shared_user_goes_last() -> None:
    world = World()
    world.settle()
    assert "leasehold" in world.accounts.users
    world.shared_unused = True
    assert world.actions() == [do.DeleteUser("leasehold"), do.DeleteRole("leasehold")]
    world.settle()
    world.shared_unused = False
    assert world.actions() == [], "it does not come back"


def test_others_etcd_is_left_alone() -> None:
    """Only namespaces get accounts there, and authentication is for its owner to turn on."""
    world = World(setup=OTHERS_ETCD)
    world.settle()
    assert set(world.accounts.users) == {"leasehold:ns/apps", "leasehold:ns/shop"}
    assert not world.accounts.auth_enabled
    assert "etcdctl auth enable" in world.plan().problems[0].text


def test_without_an_authority() -> None:
    """Accounts are kept, Secrets are left as they are."""
    world = World(authority="")
    world.settle()
    assert world.works("apps")
    assert world.secrets == {}


@pytest.mark.parametrize(
    ("owner", "written"),
    [(m.Owner.OURS, True), (m.Owner.SHARED, True), (m.Owner.FOREIGN, False), (m.Owner.CONTESTED, False)],
)
def test_whose_secret_it_is(owner: m.Owner, written: bool) -> None:
    found = m.SecretFact(owner, "uid", "1", "it differs")
    world = World(secrets={"apps": found}, wanted=frozenset({"apps"}))
    assert (do.WriteSecret("apps", "leasehold:ns/apps", found) in world.actions()) is written
    assert bool(world.plan().problems) is not written


def test_two_clusters_on_one_etcd() -> None:
    """The user stays as long as one of them needs it; another authority is told."""
    world = World(setup=OTHERS_ETCD)
    world.settle()
    world.accounts.records["shop"]["cluster-b"] = m.Enrolled("leasehold:ns/shop", "another")
    assert any("cluster-b" in problem.text for problem in world.plan().problems)
    world.wanted, world.unused = frozenset({"apps"}), frozenset({"shop"})
    world.settle()
    assert world.works("shop")
    assert "shop" not in world.secrets
    assert set(world.accounts.records["shop"]) == {"cluster-b"}


def test_others_namespaces_are_not_orphans() -> None:
    world = World()
    world.settle()
    world.accounts.users["leasehold:ns/theirs"] = world.accounts.users["leasehold:ns/nobodys"] = frozenset()
    world.accounts.records["theirs"] = {"cluster-b": m.Enrolled("leasehold:ns/theirs", "ca")}
    assert world.actions() == [do.DeleteUser("leasehold:ns/nobodys")]


_ACCESS = st.sampled_from(
    [m.Access.below("/"), EVERYTHING, m.Access.below(locks_of("/leasehold", "apps")), m.Access(b"/x", b"", False)]
)
_USERS = ("root", "leasehold-admin", "leasehold-operator", "leasehold", *map(account_of, (*NAMES, "gone")))
_WORLDS = st.builds(
    World,
    accounts=st.builds(
        m.Accounts,
        auth_enabled=st.booleans(),
        users=st.dictionaries(st.sampled_from(_USERS), st.frozensets(st.sampled_from(_USERS), max_size=2)),
        roles=st.dictionaries(st.sampled_from(_USERS), st.frozensets(_ACCESS, max_size=3)),
        records=st.dictionaries(
            st.sampled_from((*NAMES, "gone")),
            st.builds(lambda: {"cluster-a": m.Enrolled("", "")}),
        ),
    ),
    secrets=st.dictionaries(
        st.sampled_from((*NAMES, "gone")),
        st.builds(m.SecretFact, st.sampled_from(m.Owner), st.just("u"), st.just("1"), st.sampled_from(["", "bad"])),
    ),
    unused=st.sampled_from([frozenset(), frozenset({"gone"})]),
    shared_unused=st.booleans(),
)


@given(_WORLDS, st.lists(st.integers(0, 6), max_size=4))
def test_from_anything(world: World, cuts: list[int]) -> None:
    """Whatever was done by hand, and wherever it was interrupted: it ends as it should, and shuts nobody out."""
    for namespace, secret in world.secrets.items():
        if secret.owner in (m.Owner.FOREIGN, m.Owner.CONTESTED):
            world.secrets[namespace] = replace(secret, owner=m.Owner.OURS)
    on = world.accounts.auth_enabled
    for roles in [*world.accounts.users.values()]:
        for role in roles:
            world.accounts.roles.setdefault(role, frozenset())  # etcd takes a role that goes from its users
    for cut in cuts:
        for action in world.actions()[:cut]:
            world.act(action)
    world.settle()
    assert world.accounts.auth_enabled
    assert all(world.works(namespace) for namespace in NAMES)
    assert on or world.shared_unused or "leasehold" in world.accounts.users


@pytest.mark.parametrize("namespace", ["a", "root", "leasehold", "n" * 51, "n" * 52, "n" * 63])
def test_names_fit_a_certificate(namespace: str) -> None:
    """X.509 allows 64 characters; and no namespace's user is another's, or one that has other rights."""
    user = account_of(namespace)
    assert len(user) <= 64
    assert user.startswith("leasehold:ns/")
    assert account_of(namespace[:-1] + "x") != user


def test_roots_do_not_share_users() -> None:
    """Clusters on one etcd have different roots, and may have namespaces of one name."""
    assert account_of("apps") == "leasehold:ns/apps"
    assert len({account_of("apps", root) for root in ("/leasehold", "/a", "/b")}) == 3


def test_a_hash_is_no_namespace() -> None:
    """Nobody gets another's user by the name of a namespace: colons do not occur in those."""
    digits = account_of("n" * 60).removeprefix("leasehold:ns/")
    with pytest.raises(ValueError, match="not valid"):
        LockName(digits, "x")


def test_access_covers_the_locks() -> None:
    """Every key of a namespace's locks is in its range, and no key of a namespace whose name begins alike."""
    access = m.Access.below(locks_of("/leasehold", "apps"))
    for name, inside in (("apps", True), ("apps-b", False), ("app", False), ("appt", False)):
        keys = Keys(LockName(name, "db"), "/leasehold")
        for key in (keys.spec, keys.ran, keys.entry(1)):
            assert (access.key <= key.encode() < access.end) is inside
    assert not access.key <= record_key("/leasehold", "apps", "c").encode() < access.end


def test_unused_for_the_whole_grace() -> None:
    unused = Unused(60.0)
    assert unused.look({"a", "b"}, {"b"}, 0.0) == set()
    assert unused.look({"a", "b"}, {"b"}, 59.9) == set()
    assert unused.look({"a", "b"}, set(), 60.0) == {"a"}
    assert unused.look({"a", "b"}, {"a"}, 119.0) == set()
    assert unused.look({"a", "b"}, set(), 120.0) == {"b"}
    unused.forget()
    assert unused.look({"a", "b"}, set(), 121.0) == set()
