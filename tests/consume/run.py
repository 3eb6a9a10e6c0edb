"""Runs example programs with what they need.

  run.py database SQL... -- PROGRAM ARG...   in a fresh database with these SQL files loaded
  run.py host HOST CLIENT                    CLIENT while HOST serves; HOST then ends with its input

Exit code: of the program; 77 when the server is not there (1 with BEDS_REQUIRE_SERVERS=1).
"""
import os
import subprocess
import sys
import threading
import urllib.parse
import uuid


def server(variable):
    if os.environ.get(variable):
        return os.environ[variable]
    print(f"skipped: {variable} is not set")
    sys.exit(1 if os.environ.get("BEDS_REQUIRE_SERVERS") == "1" else 77)


def with_database(arguments):
    uri = urllib.parse.urlsplit(server("BEDS_MARIADB_URI"))
    split = arguments.index("--")
    name = "beds_consume_" + uuid.uuid4().hex[:12]
    client = ["mariadb", "--no-defaults", "--host", uri.hostname, "--port", str(uri.port), "--user", uri.username]
    environment = dict(os.environ, MYSQL_PWD=uri.password or "")

    def sql(text, *more):
        subprocess.run(client + list(more), input=text, text=True, env=environment, check=True, timeout=60)

    sql(f"CREATE DATABASE {name}")
    try:
        for file in arguments[:split]:
            with open(file, encoding="utf-8") as text:
                sql(text.read(), name)
        target = uri._replace(path="/" + name, query="").geturl()
        return subprocess.run(arguments[split + 1:], env=dict(os.environ, BEDS_MARIADB_URI=target),
                              timeout=60).returncode
    finally:
        sql(f"DROP DATABASE {name}")


def with_host(arguments):
    server("AMQP_URL")
    host_program, client_program = arguments
    host = subprocess.Popen([host_program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    watch = threading.Timer(90, host.kill)
    watch.start()
    try:
        for line in host.stdout:
            print("host:", line, end="", flush=True)
            if line.startswith("ready"):
                break
        else:
            return host.wait() or 1
        client = subprocess.run([client_program], timeout=60).returncode
        print("client:", client, flush=True)
        host.stdin.close()
        for line in host.stdout:
            print("host:", line, end="", flush=True)
        return client or host.wait()
    finally:
        watch.cancel()
        if host.poll() is None:
            host.kill()
            host.wait()


if __name__ == "__main__":
    sys.exit({"database": with_database, "host": with_host}[sys.argv[1]](sys.argv[2:]))
