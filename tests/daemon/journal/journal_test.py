"""What bedsd sends to the journal: a bedsd of which this test is the journal.

libsystemd knows one place for the journal's socket. The test runs in a mount namespace of its own with an empty
/run, so that this place is its own and the machine's journal sees nothing.

  journal_test.py BEDSD
"""
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile

INSIDE = "BEDS_JOURNAL_TEST_INSIDE"

CONFIGURATION = """
[broker_services.app_server]
host = "127.0.0.1"
port = 1
user = "beds"
pass = "not shown"
[broker_services.app_server.instances]
rel = { read = 1 }
[rel_services.rel]
host = "127.0.0.1"
port = 1
user = "beds"
pass = "not shown"
database = "beds"
[templates]
directory = "templates"
[log]
target = "journald"
"""

TEMPLATE = """
[template]
name = "items"
store = "rel"
object = "items"
key = ["id"]
[fields]
id = { type = "int64", required = true }
"""


def fields(datagram):
    """The journal's native protocol: NAME=value, or NAME, the length and the value."""
    found = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        if b"=" in line:
            name, _, value = line.partition(b"=")
        else:
            (length,) = struct.unpack_from("<Q", rest)
            name, value, rest = line, rest[8:8 + length], rest[9 + length:]
        found[name.decode()] = value.decode()
        datagram = rest
    return found


def inside(bedsd):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    place = pathlib.Path("/run/systemd/journal")
    place.mkdir(parents=True)
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(str(place / "socket"))
    journal.settimeout(20)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        (folder / "templates").mkdir()
        (folder / "templates/items.toml").write_text(TEMPLATE, encoding="utf-8")
        (folder / "beds.toml").write_text(CONFIGURATION, encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BEDS_")}
        daemon = subprocess.Popen([bedsd, "--config", folder / "beds.toml"], env=environment,
                                  stderr=subprocess.PIPE)
        entries = []

        def until(right):
            while not entries or not right(entries[-1]):
                entries.append(fields(journal.recv(1 << 20)))
                print(entries[-1])

        try:
            until(lambda entry: entry.get("BEDS_ID") == "BEDS_IPL_STEP" and "templates" in entry["MESSAGE"])
            until(lambda entry: entry.get("PRIORITY") == "4")  # a server is not there
            daemon.send_signal(signal.SIGTERM)
            until(lambda entry: entry.get("BEDS_ID") == "BEDSD_STOP")
            _, console = daemon.communicate(timeout=20)
        except TimeoutError:
            daemon.kill()
            print("no such entry; standard error:", daemon.communicate()[1].decode())
            raise
        finally:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()
    assert daemon.returncode == 0, daemon.returncode
    assert console == b"", console
    for entry in entries:
        assert entry["SYSLOG_IDENTIFIER"] == "bedsd", entry
        assert entry["MESSAGE"] and entry["BEDS_SOURCE"], entry
        assert entry["BEDS_ID"].startswith("BEDS"), entry
        assert entry["PRIORITY"] in "3467", entry
        assert "not shown" not in str(entry), entry
        assert "CODE_FILE" not in entry, entry  # it would be the place of the sink, the same for all


if os.environ.get(INSIDE):
    inside(sys.argv[1])
else:
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    try:
        subprocess.run(namespace + ["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as failed:
        print("skipped: no mount namespace here:", getattr(failed, "stderr", failed))
        sys.exit(77)
    sys.exit(subprocess.run(namespace + [sys.executable, "-B"] + sys.argv, env=dict(os.environ, **{INSIDE: "1"}),
                            timeout=50).returncode)
