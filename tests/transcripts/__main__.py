"""`python -m tests.transcripts --update` writes all transcripts; without the flag it prints them."""

import sys

from tests.transcripts.transcript import FOLDER, all_scenarios, transcript

if __name__ == "__main__":
    update = "--update" in sys.argv[1:]
    texts = {path: transcript(scenario) for path, scenario in all_scenarios().items()}
    for path, text in texts.items():
        if update:
            path.write_text(text)
        else:
            sys.stdout.write(f"{text}\n")
    for stale in set(FOLDER.glob("*.txt")) - texts.keys() if update else ():
        stale.unlink()
