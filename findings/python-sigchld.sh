#!/bin/bash
# Python's subprocess and asyncio, in a process whose parent ignored SIGCHLD (which a program inherits over exec).
# Guess: the exit status of a child is its own, or getting it raises an error that says so; both modules agree.
# Behaviour: the kernel reaps the children, and each module makes the status up. subprocess.run calls every child a
#   success, "false" too. asyncio calls every child a failure, 255, "true" too; and where it waits with pidfd_open (3.12
#   and later), starting a child that ends at once can raise ProcessLookupError: No such process.
# Tried with 3.11.7, 3.12.1 and 3.13.0; run here with python3 and each newer one that is found.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/finding.py" <<'EOF'
import asyncio, platform, signal, subprocess, sys

async def status(seconds, code):
    child = await asyncio.create_subprocess_exec("sh", "-c", f"sleep {seconds}; exit {code}", stderr=subprocess.DEVNULL)
    return await child.wait()

def run(seconds, code):
    return subprocess.run(["sh", "-c", f"sleep {seconds}; exit {code}"]).returncode

assert signal.getsignal(signal.SIGCHLD) == (signal.SIG_IGN if "ignored" in sys.argv else signal.SIG_DFL)
waited = [run(1, code) for code in (0, 7)] + [asyncio.run(status(1, code)) for code in (0, 7)]
print(f"Python {platform.python_version()}, SIGCHLD {sys.argv[1]}; of exit statuses 0 and 7,")
print("  subprocess.run tells", waited[:2], "and asyncio", waited[2:])
assert waited == ([0, 0, 255, 255] if "ignored" in sys.argv else [0, 7, 0, 7])
EOF
found=0
for python in python3 python3.12 python3.13 python3.14; do
  "$python" -c '' 2>/dev/null || continue
  "$python" "$work/finding.py" handled
  # The shell starts Python with SIGCHLD ignored, as a supervisor or an init of a container may.
  (trap '' CHLD; exec "$python" -X dev "$work/finding.py" ignored) 2>"$work/log" || { cat "$work/log"; exit 1; }
  found=$((found + 1))
done
[ "$found" -gt 0 ]
echo "as found: nothing failed for subprocess.run, nothing succeeded for asyncio"
