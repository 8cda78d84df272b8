#!/bin/bash
# Patroni 4.1.5 on etcd v3.7.3 (etcd3), PostgreSQL 15.18 (Debian 12's packages, unpacked), two members, no watchdog; a
#   switchover with a `pre_promote` command that takes its time, as one that fences the old primary does.
# Guess: GET /primary is 200 when PostgreSQL is a primary and holds the lock; a node is /primary or /replica, not both.
# Behaviour: /primary asks for the lock alone. From the moment that the node has the lock it is 200, while the command runs
#   and PostgreSQL is a standby; /replica, which asks PostgreSQL alone, is 200 as well.
source "$(dirname "$0")/etcd.bash"
apt-get download --quiet postgresql-15=15.18-0+deb12u1 postgresql-client-15=15.18-0+deb12u1 libpq5=15.18-0+deb12u1 >/dev/null
for deb in ./*.deb; do dpkg -x "$deb" package; done
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'patroni[etcd3]==4.1.5' psycopg2-binary==2.9.13
cat >finding.py <<'PYTHON'
import importlib.metadata, json, os, pwd, socket, subprocess, sys, time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psycopg2

WORK, ETCD, NOBODY = Path.cwd(), sys.argv[1], pwd.getpwnam("nobody")
BIN = WORK / "package/usr/lib/postgresql/15/bin"
os.environ["LD_LIBRARY_PATH"] = ":".join(map(str, WORK.glob("package/usr/lib/*-linux-gnu")))
servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
API_A, API_B, DB_A, DB_B = (server.getsockname()[1] for server in servers)
for server in servers:
    server.close()

def member(name, api, database):
    """Started as another user, as PostgreSQL refuses to run as root."""
    Path(f"{name}.json").write_text(json.dumps({
        "scope": "cluster", "name": name, "etcd3": {"host": ETCD},
        "restapi": {"listen": f"127.0.0.1:{api}", "connect_address": f"127.0.0.1:{api}"},
        "bootstrap": {"dcs": {"ttl": 20, "loop_wait": 2, "retry_timeout": 3}},
        "postgresql": {
            "listen": f"127.0.0.1:{database}", "connect_address": f"127.0.0.1:{database}", "data_dir": str(WORK / name),
            "bin_dir": str(BIN), "pre_promote": "sleep 12", "parameters": {"unix_socket_directories": str(WORK)},
            "pg_hba": ["local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
            "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "replicator"}}}}))
    as_user = ["unshare", "--user", f"--map-user={NOBODY.pw_uid}", f"--map-group={NOBODY.pw_gid}"]
    return subprocess.Popen([*as_user, "venv/bin/patroni", f"{name}.json"], stdout=open(f"{name}.log", "w"), stderr=subprocess.STDOUT)

def status(api, path):
    try:
        with urlopen(f"http://127.0.0.1:{api}/{path}", timeout=5) as answer:
            return answer.status
    except HTTPError as error:
        return error.code
    except (URLError, ConnectionError):
        return None

def until(api, path):
    for _ in range(300):
        if status(api, path) == 200:
            return
        time.sleep(0.2)
    raise TimeoutError(path)

def standby():
    connection = psycopg2.connect(host="127.0.0.1", port=DB_B, user="postgres", dbname="postgres")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        return cursor.fetchone()[0]

print("patroni", importlib.metadata.version("patroni"), subprocess.check_output([BIN / "postgres", "--version"], text=True).strip())
members = [member("a", API_A, DB_A)]
try:
    until(API_A, "primary")
    members.append(member("b", API_B, DB_B))
    until(API_B, "replica")
    time.sleep(4)  # for the members' rounds
    subprocess.run(["venv/bin/patronictl", "-c", "a.json", "switchover", "cluster", "--leader", "a", "--candidate", "b", "--force"], stdout=subprocess.DEVNULL, check=True)
    until(API_B, "primary")
    both, start = 0, time.monotonic()
    while standby():
        both += (status(API_B, "primary"), status(API_B, "replica"), standby()) == (200, 200, True)
        time.sleep(0.5)
    seconds = time.monotonic() - start
    print(f"b: /primary has been 200 for {seconds:.0f} s before PostgreSQL was a primary; {both} times /replica was 200, too")
    print("then: /primary", status(API_B, "primary"), "/replica", status(API_B, "replica"))
    assert seconds > 5 and both > 5
finally:
    for process in members[::-1]:
        process.terminate()
        process.wait()
PYTHON
timeout 200 venv/bin/python finding.py "$client"
echo "as found: a standby said that it is the primary"
