# Sourced by the scripts, with the packages to install, each with its version: makes a temporary folder, which becomes
# the current one, and in it `venv/bin/python`, which has them. What needs an etcd, too, has a folder from etcd.bash.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "$@"
