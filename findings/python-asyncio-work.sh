#!/bin/bash
# kubernetes_asyncio 36.1.0 and kubernetes 37.0.2 (kubernetes.aio), both elections: the task of `onstarted_leading`, when
# run() is cancelled, and when the work fails.
# Guess: when run() is cancelled, the work is, too; when the work fails, run() ends with its exception.
# Behaviour: the work goes on when run() is cancelled, as by a TaskGroup, wait_for or a handler of SIGTERM; the Lease is
#   renewed no more, and the next candidate works beside it. onstopped_leading is not called. When the work fails, the
#   Lease is renewed on: nobody works, nobody follows, and the exception is not told while run() goes on.
source "$(dirname "$0")/python.bash" kubernetes_asyncio==36.1.0 kubernetes==37.0.2
cat >finding.py <<'PYTHON'
import asyncio, collections, importlib, importlib.metadata, json, logging, sys

PACKAGE = {"kubernetes_asyncio": "kubernetes_asyncio", "kubernetes": "kubernetes.aio"}[sys.argv[1]]
client, election, config, lock = (importlib.import_module(f"{PACKAGE}.{name}") for name in (
    "client", "leaderelection.leaderelection", "leaderelection.electionconfig", "leaderelection.resourcelock.leaselock"))
worked, stopped, told, lease = collections.Counter(), [], [], {"metadata": {"name": "lease", "resourceVersion": "1"}, "spec": {}}

async def api(reader, writer):
    """An API server of one Lease, which is there."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = [int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-length:")]
    if head.startswith(b"PUT"):
        lease.update(json.loads(await reader.readexactly(length[0])))
    body = json.dumps(lease).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    writer.close()

async def works(name):
    while True:
        worked[name] += 1
        await asyncio.sleep(0.1)

async def fails():
    raise OSError("the work has failed")

async def stops(name):
    stopped.append(name)

def candidate(host, name, work):
    election_config = config.Config(lock.LeaseLock("lease", "default", name, host), 5, 3, 1,
                                    onstarted_leading=work, onstopped_leading=lambda: stops(name))
    return asyncio.create_task(election.LeaderElection(election_config).run())

async def main():
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    server = await asyncio.start_server(api, "127.0.0.1", 0)
    url = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    async with client.ApiClient(client.Configuration(host=url)) as host:
        first = candidate(host, "first", lambda: works("first"))
        await asyncio.sleep(3)
        first.cancel()
        await asyncio.wait([first])
        print("run() of the first is cancelled:", first.cancelled())
        second = candidate(host, "second", lambda: works("second"))
        while not worked["second"]:
            await asyncio.sleep(0.1)
        before = worked["first"]
        await asyncio.sleep(3)
        more = worked["first"] - before
        print(f"the Lease names {lease['spec']['holderIdentity']}; in 3 s, work of the first: {more}, of the second: {worked['second']}")
        print("told that they lead no more:", stopped)
        assert more > 10 and worked["second"] > 10 and not stopped and first.cancelled()
        second.cancel()
        third = candidate(host, "third", fails)
        while lease["spec"]["holderIdentity"] != "third":
            await asyncio.sleep(0.1)
        fourth = candidate(host, "fourth", lambda: works("fourth"))
        await asyncio.sleep(12)
        print(f"12 s after the third one's work failed, the Lease names {lease['spec']['holderIdentity']}; its run() goes on:",
              not third.done(), "- exceptions told:", len(told), "- work of the fourth:", worked["fourth"])
        assert lease["spec"]["holderIdentity"] == "third" and not third.done() and not told and not worked["fourth"]

logging.disable()
print(sys.argv[1], importlib.metadata.version(sys.argv[1]))
asyncio.run(main())
PYTHON
for package in kubernetes_asyncio kubernetes; do timeout 120 venv/bin/python finding.py "$package"; done
echo "as found: two worked, and then nobody"
