"""What each stream of the whole run tells of its commands."""

import re
import shlex
import signal
import sys
import threading
from pathlib import Path

import pytest

from tests.servers import wait_for
from tests.support.parallel_streams import Command, Stream, side_by_side

_WORKS = "import time\nwhile time.process_time() < 0.3: pass"
_SHELL = f"{shlex.join([sys.executable, '-c', _WORKS])}; exit 3"


def test_cpu_time_of_all_descendants_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A process that the command itself started counts as its own; what fails is named."""
    stream = Stream("one", [Command("works", ["sh", "-c", _SHELL]), Command("fine", ["true"])], tmp_path)
    failed, _ = side_by_side([stream], 1)
    told = capsys.readouterr().out
    assert failed == ["works"]
    found = re.search(r"works: FAILED with exit code 3 after ([\d.]+) s, ([\d.]+) s of CPU time", told)
    assert found is not None, told
    assert float(found[2]) >= 0.3
    assert re.search(r"fine: ok after", told)
    assert stream.cpu >= 0.3


def test_only_a_few_run_at_once(tmp_path: Path) -> None:
    """Each notes how many it finds beside itself; those that are patient don't count.

    None ends before two have begun: each of the two has marked itself by then.
    """
    begun = "touch running.$$; echo >> begun; while test $(wc -l < begun) -lt 2; do sleep 0.01; done"
    note = f"{begun}; ls running.* | wc -l >> seen; sleep 0.2; rm running.$$"
    streams = [Stream(str(n), [Command("notes", ["sh", "-c", note])], tmp_path) for n in range(5)]
    patient = Stream(
        "patient",
        [Command("waits", ["sh", "-c", "while test $(wc -l < seen) -lt 5; do sleep 0.05; done"], patient=True)],
        tmp_path,
    )
    (tmp_path / "seen").touch()
    failed, _ = side_by_side([*streams, patient], 2)
    assert not failed
    seen = [int(line) for line in (tmp_path / "seen").read_text().split()]
    assert len(seen) == 5
    assert max(seen) == 2


def test_one_that_needs_another_waits_for_it(tmp_path: Path) -> None:
    """It starts when what it needs is there, though there was room before."""
    maker = Stream("maker", [Command("makes", ["sh", "-c", "sleep 0.3; touch made"], patient=True)], tmp_path)
    user = Stream("user", [Command("uses", ["test", "-e", "made"])], tmp_path, after=maker)
    assert side_by_side([user, maker], 2)[0] == []


def test_one_that_needs_what_failed_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has failed, too, and says why."""
    maker = Stream("maker", [Command("makes", ["false"])], tmp_path)
    user = Stream("user", [Command("uses", ["touch", "used"])], tmp_path, after=maker)
    assert side_by_side([maker, user], 2)[0] == ["makes", "user"]
    assert "user: not run, for makes failed" in capsys.readouterr().out
    assert not (tmp_path / "used").exists()


def test_what_failed_is_shown_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one looks first; that it failed is said at once: the other does not end before."""
    bad = Stream("bad", [Command("breaks", ["sh", "-c", "echo this broke; exit 1"])], tmp_path)
    until_told = "while ! test -e told; do sleep 0.01; done; echo all well"
    good = Stream("good", [Command("works", ["sh", "-c", until_told])], tmp_path)
    write = sys.stdout.write

    def heard(text: str) -> int:
        if "bad: FAILED" in text:
            (tmp_path / "told").touch()
        return write(text)

    monkeypatch.setattr(sys.stdout, "write", heard)
    side_by_side([bad, good], 2)
    told = capsys.readouterr().out
    places = [told.index(words) for words in ("bad: FAILED", "all well", "this broke", "the streams, the longest")]
    assert places == sorted(places)


def test_an_interrupt_shows_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that was cut off has said what it had found."""
    program = "import time; print('so far', flush=True); open('up', 'w'); time.sleep(1000)"
    stream = Stream("long", [Command("lasts", [sys.executable, "-c", program])], tmp_path)
    main = threading.get_ident()

    def interrupt() -> None:
        wait_for((tmp_path / "up").exists, "it to begin")
        signal.pthread_kill(main, signal.SIGINT)

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        side_by_side([stream], 1)
    other.join()
    assert "so far" in capsys.readouterr().out
