# Sourced by the scripts: besides what etcd.bash does, replaces its etcd by three members, whose addresses for clients are
# in the array `members` and whose processes in `pids`. They reach each other through relays; `isolate` cuts the third one
# off from the other two, as a network does, while clients reach all three.
source "$(dirname "$0")/etcd.bash"
kill %1 && wait %1 || true
cat >relays.py <<'PYTHON'
import asyncio, os, sys

fronts, backs = [[int(port) for port in ports.split(",")] for ports in sys.argv[1:]]

def cut(text, number):
    """Whether the connection is one of the third member, by the header in which each says who it is."""
    return os.path.exists("isolated") and (number == 2 or b"X-Server-From: " + open("isolated", "rb").read().strip() in text)

async def pipe(reader, writer, first, number):
    while data := await reader.read(65536):
        if cut(first, number):
            break
        writer.write(data)
    writer.close()

async def serve(number, reader, writer):
    first = await reader.read(65536)
    if cut(first, number):
        return writer.close()
    from_peer, to_peer = await asyncio.open_connection("127.0.0.1", backs[number])
    to_peer.write(first)
    await asyncio.gather(pipe(reader, to_peer, first, number), pipe(from_peer, writer, first, number), return_exceptions=True)

async def main():
    for number, port in enumerate(fronts):
        await asyncio.start_server(lambda *ends, number=number: serve(number, *ends), "127.0.0.1", port)
    await asyncio.Event().wait()

asyncio.run(main())
PYTHON
read -r -a ports < <(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(9)]
print(*(x.getsockname()[1] for x in s))')
python3 relays.py "${ports[3]},${ports[4]},${ports[5]}" "${ports[6]},${ports[7]},${ports[8]}" 2>relays.log &
members=() pids=() cluster=
for n in 0 1 2; do cluster+="${cluster:+,}m$n=http://127.0.0.1:${ports[3 + n]}"; done
for n in 0 1 2; do
  members+=("127.0.0.1:${ports[n]}")
  ./etcd --name "m$n" --data-dir "data$n" --listen-client-urls "http://${members[n]}" \
    --advertise-client-urls "http://${members[n]}" --listen-peer-urls "http://127.0.0.1:${ports[6 + n]}" \
    --initial-advertise-peer-urls "http://127.0.0.1:${ports[3 + n]}" --initial-cluster "$cluster" >"log$n" 2>&1 &
  pids+=($!)
done
client=$(IFS=,; echo "${members[*]}")
for _ in $(seq 100); do ctl endpoint health >/dev/null 2>&1 && break; sleep 0.2; done
ctl endpoint health | sed 's/: took.*//'
third=$(ctl member list | sed -n 's/^\([0-9a-f]*\), [a-z]*, m2,.*/\1/p')
isolate() {  # returns when the third one knows no leader and each of the other two answers
  echo "$third" >isolated
  until grep -q "lost leader" log2; do sleep 0.2; done
  for member in "${members[@]:0:2}"; do
    until timeout 5 ./etcdctl --endpoints "$member" put ready "" >/dev/null 2>&1; do sleep 0.2; done
  done
  echo "the third member is cut off"
}
