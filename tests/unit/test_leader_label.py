"""A pod that is labelled as the leader, and does not lead, is not ready; an ordinary handover makes none unready."""

# files of a few bytes, written by the test itself

from pathlib import Path

import pytest

from leasehold.lock.kube_names import LEADER_LABEL
from leasehold.run.leader_label import PATIENCE_SECONDS, LeaderLabel


class Pod:
    """A pod's sidecar that may lead, its labels, and its clock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 100.0
        self.leads = False
        self.label = LeaderLabel(path, lambda: self.now)

    def write(self, **labels: str) -> None:
        lines = [f'{name}="{value}"' for name, value in labels.items()]
        self.path.write_text("\n".join(['app="x"', *lines]))  # as the kubelet: sorted, and no newline at the end

    async def wrong(self, after: float = 0.0) -> bool:
        self.now += after
        return await self.label.is_wrong(lambda now: self.leads)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path / "labels")


async def test_wrong_only_after_a_while(pod: Pod) -> None:
    pod.write(**{LEADER_LABEL: "true"})
    assert not await pod.wrong()
    assert not await pod.wrong(after=0.9 * PATIENCE_SECONDS)
    assert await pod.wrong(after=0.2 * PATIENCE_SECONDS)
    pod.leads = True
    assert not await pod.wrong()
    pod.leads = False
    assert not await pod.wrong(), "the time starts anew"


async def test_taken_off_in_time(pod: Pod) -> None:
    pod.write(**{LEADER_LABEL: "true"})
    assert not await pod.wrong()
    pod.write()
    assert not await pod.wrong(after=2 * PATIENCE_SECONDS)
    pod.write(**{LEADER_LABEL: "true"})
    assert not await pod.wrong()


@pytest.mark.parametrize("labels", [{}, {LEADER_LABEL: "false"}, {f"x.{LEADER_LABEL}": "true"}])
async def test_other_labels_say_nothing(pod: Pod, labels: dict[str, str]) -> None:
    pod.write(**labels)
    for _ in range(3):
        assert not await pod.wrong(after=PATIENCE_SECONDS)


async def test_a_lost_file_says_nothing(pod: Pod, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert not await pod.wrong(after=PATIENCE_SECONDS)
    assert [record.getMessage() for record in caplog.records] == [
        f"the pod's labels in {pod.path} cannot be read: No such file or directory"
    ]
