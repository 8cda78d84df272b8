"""kopf's lines on a watch that fails are sentences in our log."""

import pytest

from leasehold.operator.watch.kopf_watch import in_our_words


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Request attempt #1 failed; will retry: GET https://api/apis/apps/v1/replicasets?limit=250 -> "
            "APIForbiddenError('replicasets.apps is forbidden: \"me\" cannot list', {'code': 403}, status=403)",
            'https://api/apis/apps/v1/replicasets cannot be watched: replicasets.apps is forbidden: "me" cannot list; '
            "trying again",
        ),
        (
            "Request attempt #3/9 failed; TCP closed; will re-authenticate: GET https://api/api/v1/pods?watch=1",
            "https://api/api/v1/pods cannot be watched: the connection was closed; trying again",
        ),
        (
            "Request attempt #2 failed; will retry: GET https://api/api/v1/pods -> OSError(111, 'refused')",
            "https://api/api/v1/pods cannot be watched: OSError(111, 'refused'); trying again",
        ),
        ("Request attempt of another kind", "Request attempt of another kind"),
    ],
)
def test_a_failed_attempt_is_told_in_a_sentence(said: str, told: str) -> None:
    assert in_our_words(said) == told
