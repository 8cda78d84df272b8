#!/usr/bin/env bash
# Work only while this pod leads: leader.sh SIDECAR STORE. Needs curl, and Linux for a clock that nobody sets.
set -u
sidecar=$1 store=$2

now() { # milliseconds since the machine started
    local up rest
    read -r up rest < /proc/uptime
    echo $((10 * 10#${up/./}))
}

ask() { # sets token, and until: when the work must be over unless the sidecar was asked again
    local sent answer valid
    sent=$(now) # before the question: the answer may come late
    answer=$(curl -sf --max-time 2 "$sidecar/leader") || return 1 # 503, or no answer
    token=$(sed -En 's/.*"token": ?([0-9]+).*/\1/p' <<< "$answer")
    valid=$(sed -En 's/.*"validForSeconds": ?([0-9]+).*/\1/p' <<< "$answer") # whole seconds, rounded down
    until=$((sent + 1000 * valid))
}

work() { # one unit of work, given up when the term may be over; fails if it was not done, or refused
    local left=$((until - $(now)))
    ((left > 0)) || return 1
    # the store refuses a token that is lower than one it has seen
    curl -sf --max-time "$((left / 1000)).$(printf %03d $((left % 1000)))" -H "Leasehold-Token: $token" -d "one unit" "$store"
}

events() { # a line whenever it is time to ask again, as long as this script runs
    while kill -0 $$ 2> /dev/null; do # the sidecar may restart, or fall silent: a heartbeat comes every 5 s
        curl -sN --speed-limit 1 --speed-time 15 "$sidecar/events" | grep --line-buffered '^event:'
        sleep 0.5
    done
}

# The work is this shell's own, and not a pipeline's: whoever kills the script must have ended it.
while read -r _; do
    while ask && work; do sleep 0.5; done
done < <(events)
