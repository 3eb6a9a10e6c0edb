#!/usr/bin/python3
"""Does what libbeds/doc/writing-a-template.md says, on servers of its own.

    guide_test.py PAGE SERVERS_TOOL BEDSD BEDSCTL

A block after a line that ends in `NAME`: is a file. Blocks of sh run one after the other in one shell; of the text
block behind one each line has to be in what it printed. And no page leaves out a right: each GRANT that is printed
has to be in the text block.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse


def blocks(page):
    """(what, name or "", text) of each block, in order."""
    found = []
    for match in re.finditer(r"(?:`([^`\n]+)`:\n\n)?```(\w+)\n(.*?)```\n", page, re.DOTALL):
        name, language, text = match.groups()
        found.append((language, name or "", text))
    return found


def main():
    page, tool, bedsd, bedsctl = map(pathlib.Path, sys.argv[1:])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="beds-guide-"))
    servers = folder / "servers"
    started = subprocess.run([tool, "start", "--dir", servers, "--own", "--with", str(os.getpid()), "rabbitmq", "mariadb"],
                             capture_output=True, text=True, check=False)
    if started.returncode != 0:
        print(started.stderr)
        if os.environ.get("BEDS_REQUIRE_SERVERS") != "1" and "not installed" in started.stderr:
            return 77
        return 1
    try:
        env = dict(re.findall(r"^export (\w+)='(.*)'$", (servers / "env").read_text(), re.MULTILINE))
        return follow(page, folder / "here", env, bedsd, bedsctl)
    finally:
        subprocess.run([tool, "stop", "--dir", servers], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def follow(page, here, env, bedsd, bedsctl):
    # What the reader has at hand: the programs, a `mariadb` that is root, the two passwords, and where the servers are.
    programs = here / "bin"
    (here / "secrets").mkdir(parents=True)
    programs.mkdir()
    (programs / "bedsd").symlink_to(bedsd)
    (programs / "bedsctl").symlink_to(bedsctl)
    client = programs / "mariadb"
    client.write_text(f"#!/bin/sh\nexec {shutil.which('mariadb')} --no-defaults --skip-ssl --user=root "
                      f"--socket={env['BEDS_MARIADB_SOCKET']} \"$@\"\n")
    client.chmod(0o755)
    # And an account that may do nothing yet.
    password = urllib.parse.unquote(urllib.parse.urlsplit(env["BEDS_MARIADB_URI"]).password)
    subprocess.run([client, "-e", "SELECT CONCAT('DROP USER ', QUOTE(user), '@', QUOTE(host), ';') FROM mysql.user "
                    "WHERE user = 'beds'", "-N", "-B"], check=True, stdout=(here / "drop.sql").open("w"))
    with (here / "drop.sql").open() as drop:
        subprocess.run([client], stdin=drop, check=True)
    subprocess.run([client, "-e", f"CREATE USER 'beds'@'%' IDENTIFIED BY '{password}'"], check=True)
    amqp = urllib.parse.urlsplit(env["BEDS_AMQP_NODE_URL"])
    mariadb = urllib.parse.urlsplit(env["BEDS_MARIADB_URI"])
    (here / "secrets/rabbitmq").write_text(urllib.parse.unquote(amqp.password))
    (here / "secrets/mariadb").write_text(password)
    (here / "env_dev.toml").write_text(
        f'[broker_services.app_server]\nhost = "127.0.0.1"\nport = {amqp.port}\n'
        f'user = "{urllib.parse.unquote(amqp.username)}"\n'
        f'[rel_services.rel]\nhost = "127.0.0.1"\nport = {mariadb.port}\n')
    script, expected, number = ["set -e"], {}, 0
    for language, name, text in blocks(page.read_text()):
        if name:
            script.append(f"mkdir -p \"$(dirname '{name}')\"\ncat >'{name}' <<'END OF FILE'\n{text}END OF FILE")
        elif language == "sh":
            number += 1
            script += [f"echo '==== {number}'", text]
        elif language == "text":
            expected.setdefault(number, []).extend(text.splitlines())
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "BEDS_ENV": "dev"}
    for variable in ("AMQP_URL", "BEDS_CONFIG", "BEDS_QUEUE_TAG"):
        environment.pop(variable, None)
    done = subprocess.run(["bash"], input="\n".join(script), cwd=here, env=environment, capture_output=True, text=True,
                          timeout=120, check=False)
    said = re.split(r"^==== \d+\n", done.stdout, flags=re.MULTILINE)
    wrong = 0 if done.returncode == 0 and len(said) == number + 1 else 1
    if wrong:
        print(f"the shell ended with {done.returncode}, {len(said) - 1} of {number} blocks were begun")
    for which, lines in expected.items():
        printed = said[which] if which < len(said) else ""
        for line in lines:
            if line not in printed:
                wrong += 1
                print(f"block {which} does not print: {line}\nbut:\n{printed}")
        for line in printed.splitlines():
            if line.startswith("GRANT ") and line not in lines:
                wrong += 1
                print(f"the page leaves out what block {which} prints: {line}")
    if wrong:
        log = here / "bedsd.log"
        print(done.stdout, done.stderr, log.read_text()[-2000:] if log.exists() else "", sep="\n")
        return 1
    for name in ("books.schema.json", "asyncapi.json"):
        json.loads((here / name).read_text())
    checked = sum(map(len, expected.values()))
    print(f"{number} blocks, {checked} lines as printed")
    return 0 if number >= 8 and checked >= 20 else 1


sys.exit(main())
