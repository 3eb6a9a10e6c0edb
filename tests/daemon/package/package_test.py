"""Packs the build tree with `cpack -G DEB` and looks into the packages.

    package_test.py BUILD CPACK
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BUILD, CPACK = pathlib.Path(sys.argv[1]), sys.argv[2]
wrong = []


def check(holds, what):
    if not holds:
        wrong.append(what)


def installed(program):
    found = shutil.which(program)
    if not found:
        print(f"LEFT OUT: {program} is not installed")
    return found


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def look(folder, name):
    (path,) = folder.glob(f"{name}_*.deb")
    files = [line.split(maxsplit=5)[5].split(" -> ")[0].removeprefix(".")
             for line in run("dpkg-deb", "-c", path).splitlines()]
    fields = dict(re.findall(r"(?m)^(\S+): (.*)$", run("dpkg-deb", "-f", path)))
    root = folder / name
    run("dpkg-deb", "-R", path, root)
    return path, files, fields, root


def main(folder):
    run(CPACK, "-G", "DEB", "--config", BUILD / "CPackConfig.cmake", "-B", folder)
    packages = {name: look(folder, name) for name in ("libbeds", "libbeds-dev", "bedsd")}
    wanted = {
        "bedsd": ["/usr/bin/bedsd", "/usr/bin/bedsctl", "/usr/lib/systemd/system/bedsd.service",
                  "/usr/lib/sysusers.d/beds.conf", "/usr/share/man/man8/bedsd.8.gz",
                  "/usr/share/man/man1/bedsctl.1.gz", "/usr/share/man/man5/beds.toml.5.gz",
                  "/usr/share/beds/config/beds.toml"],
        "libbeds-dev": ["/usr/include/beds/node/node.hpp", "/bedsConfig.cmake"],
        "libbeds": ["/usr/share/beds/protocol/request.schema.json",
                    "/usr/share/doc/beds/protocol.md"],
    }
    version = packages["bedsd"][2]["Version"]
    for name, (path, files, fields, root) in packages.items():
        for file in wanted[name] + [f"/usr/share/doc/{name}/copyright"]:
            check(any(each.endswith(file) for each in files), f"{name} lacks {file}")
        for file in files:
            check(file.startswith("/usr") or file == "/", f"{name} holds {file}")
        check(fields["Package"] == name, f"{path} is {fields['Package']}")
        if name != "libbeds":
            check(f"libbeds (= {version})" in fields.get("Depends", ""), f"{name} depends on {fields.get('Depends')}")
    _, _, fields, root = packages["bedsd"]
    check("libc6" in fields["Depends"], f"bedsd's libraries are not among {fields['Depends']}")

    unit = (root / "usr/lib/systemd/system/bedsd.service").read_text(encoding="utf-8")
    for line in ('ExecStart="/usr/bin/bedsd" --config "/etc/beds/beds.toml"', "User=beds",
                 "Type=notify", "ExecReload=/bin/kill -HUP $MAINPID", "NotifyAccess=main", "WatchdogSec=30",
                 "Restart=on-failure"):
        check(line in unit.splitlines(), f"the unit lacks {line}")
    # How secrets get in: what an override says, and what beds.toml names then.
    handed = re.search(r"(?m)^#\s+LoadCredential=(\w+):/etc/beds/secrets/", unit)
    check(handed and f'pass_file = "${{CREDENTIALS_DIRECTORY}}/{handed[1]}"' in unit,
          "the unit does not say how a credential is loaded and named")
    # Otherwise systemd kills a node that still finishes its work.
    told = (packages["libbeds"][3] / "usr/share/doc/beds/config-reference.md").read_text(encoding="utf-8")
    drain = re.search(r'(?m)^\| `drain_timeout` \|.*\| `"(\d+)s"` \|', told)
    stop = re.search(r"(?m)^TimeoutStopSec=(\d+)$", unit)
    check(drain and stop and int(drain[1]) < int(stop[1]),
          f"the unit waits {stop and stop[1]} s for a stop that may take {drain and drain[1]} s")
    check(str(folder) not in unit and str(BUILD) not in unit, "the unit names where it was built")
    account = (root / "usr/lib/sysusers.d/beds.conf").read_text(encoding="utf-8")
    check(re.search(r"(?m)^u beds ", account), "sysusers.d makes no account beds")
    for script in ("postinst", "prerm", "postrm"):
        path = root / "DEBIAN" / script
        check(path.stat().st_mode & 0o777 == 0o755, f"{script} has mode {path.stat().st_mode:o}")
        run("sh", "-n", path)
    said = run(root / "usr/bin/bedsctl", "--version") if "libbeds_core" not in fields["Depends"] and not list(
        packages["libbeds"][3].rglob("*.so*")) else f"bedsctl {version}"
    check(said.strip() == f"bedsctl {version}", f"bedsctl says it is {said}")

    if installed("systemd-analyze"):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", root / "usr/lib/systemd/system/bedsd.service"],
                              capture_output=True, text=True)
        bad = [line for line in done.stderr.splitlines() if "Unknown" in line or "Failed to parse" in line]
        check(not bad, "\n".join(bad))
    if installed("lintian"):
        done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", "--suppress-tags",
                               # Whoever gives the packages to others names himself and his changes.
                               "bogus-mail-host,no-changelog,syntax-error-in-debian-changelog",
                               *[each[0] for each in packages.values()]], capture_output=True, text=True)
        errors = [line for line in done.stdout.splitlines() if line.startswith("E:")]
        check(not errors, "lintian: " + "\n".join(errors))
    if installed("mandoc"):
        for page in root.glob("usr/share/man/man*/*"):
            done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", page], capture_output=True, text=True)
            check(done.returncode == 0, done.stdout)


if not shutil.which("dpkg-deb"):
    print("skipped: this is no Debian system")
    sys.exit(77)
with tempfile.TemporaryDirectory(prefix="beds-deb-") as made:
    main(pathlib.Path(made))
print("\n".join(wrong) or "packed as it should be")
sys.exit(1 if wrong else 0)
