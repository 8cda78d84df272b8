"""What the demo shows on terminals of various sizes."""

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from leasehold.demo import next_steps
from leasehold.demo.cannot_start import CannotStart
from leasehold.demo.scene import Scene
from leasehold.demo.stage import Step
from leasehold.demo.view import LiveView

BUG = "etcd 3.5.1 can revoke leases that are still being renewed, after its leader's disk has hung: two may lead then"


class FlawedEtcd:
    """An etcd with a bug to tell of."""

    def known_bug(self) -> str:
        return BUG


def shown(width: int) -> str:
    """The last lines on a terminal of that width."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    etcd: Any = FlawedEtcd()
    next_steps.show(console, etcd, keep=False)
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # it is a StringIO


def test_sentences_are_wrapped_between_words() -> None:
    """Commands are not: one that is wrapped cannot be pasted."""
    lines = shown(60).splitlines()
    commands = [line for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert len(commands) == 3
    assert all(len(line) <= 60 for line in lines if line not in commands)
    assert BUG in " ".join(line.strip() for line in lines)


def test_a_low_terminal_shows_the_last_steps(tmp_path: Path) -> None:
    """The present step must not be the one that is cut off; in the end, when it may scroll, all are there."""
    console = Console(file=io.StringIO(), width=80, height=14, force_terminal=True, color_system=None)
    view = LiveView(console)
    with view.show(Scene(tmp_path, with_page=False)):
        for number in range(9):
            view.end(Step(f"step {number}", f"outcome {number}", True))
        view.begin("the present one")
        before = [one for one in range(9) if _contains(view, console, one)]
        assert before == list(range(9 - len(before), 9))
        assert 4 <= len(before) < 9
    assert "step 0" in str(console.file.getvalue())  # type: ignore[attr-defined]  # it is a StringIO


def _contains(view: LiveView, console: Console, number: int) -> bool:
    lines = [line for step in view.fitting() for line in console.render_lines(step)]
    return any(f"step {number}:" in "".join(segment.text for segment in line) for line in lines)


def test_what_does_not_start_is_a_sentence(tmp_path: Path) -> None:
    """On one line, whatever its log has in it."""
    (tmp_path / "log").write_text("\x1b[31mno\nroom ")
    (tmp_path / "empty").touch()
    assert str(CannotStart.process("bert", tmp_path / "log")).startswith("bert did not start: ")
    assert "\n" not in str(CannotStart.process("bert", tmp_path / "log"))
    assert str(CannotStart.process("bert", tmp_path / "empty")) == "bert did not start: it logged nothing"
