#!/bin/bash
# etcdctl v3.7.3, `lease keep-alive`, for a lease that ends beside it.
# Guess: it ends with an exit code other than 0, as `--once` does and as `elect` does when its session is over.
# Behaviour: it ends with 0, as if all had gone well. On standard output it says so in a line, and with `-w json` it says
#   nothing.
source "$(dirname "$0")/etcd.bash"
keep() {
  local lease code=0
  lease=$(ctl lease grant 60 | cut -d" " -f2)
  { sleep 2; ctl lease revoke "$lease" >/dev/null; } &
  ctl "$@" lease keep-alive "$lease" >said 2>errors || code=$?
  echo "keep-alive $*: exit code $code; its last line: $(tail -n 1 said)"
  [[ $code == 0 && ! -s errors ]]
}
keep
grep -q "expired or revoked" said
keep -w json
[[ $(tail -n 1 said) != *expired* ]]
code=0; ctl lease keep-alive --once 1234 >said 2>&1 || code=$?
echo "keep-alive --once: exit code $code: $(tail -n 1 said)"
[[ $code != 0 ]]
echo "as found: a lost lease is a success"
