"""The installed sample configuration as an operator uses it: copied, with the files and variables that it names.

  sample.py PREFIX      bedsd --check has to accept it in every environment, and each commented key in its place
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

prefix = pathlib.Path(sys.argv[1])
wrong = 0


def check(folder, environment, variables=None):
    done = subprocess.run([prefix / "bin/bedsd", "--config", folder / "beds.toml", "--check"],
                          env=dict(variables or {}, BEDS_ENV=environment, PATH=os.environ["PATH"]),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    return done.returncode, done.stdout


def expect(what, right, output):
    global wrong
    if not right:
        wrong += 1
        print(f"WRONG  {what}\n{output}")


def named(folder):
    """Files and environment variables that the sample names, outside comments."""
    files, variables = set(), {}
    for file in folder.glob("*.toml"):
        for line in file.read_text(encoding="utf-8").splitlines():
            text = line.split("#")[0]
            files.update(re.findall(r'\b(?:\w+_file|ca|cert|key) = "([^"]+)"', text))
            variables.update({name: "secret" for name in re.findall(r'\b\w+_env = "([^"]+)"', text)})
    return files, variables


with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary) / "beds"
    shutil.copytree(prefix / "share/beds/config", folder)
    files, variables = named(folder)
    for name in files:
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("secret\n", encoding="utf-8")
    for environment in ("dev", "qa", "prod"):
        code, output = check(folder, environment, variables)
        expect(environment, code == 0 and "1 template(s)" in output, output)

    # Each commented key alone in its place; not those that stand for others or in a commented table.
    base = folder / "beds.toml"
    lines = base.read_text(encoding="utf-8").splitlines()
    commented = [i for i, line in enumerate(lines) if re.match(r"# (?!uri_env|cert|key_file)\w+ = ", line) and "…" not in line]
    expect("commented keys", len(commented) > 25, len(commented))
    for i in commented:
        base.write_text("\n".join(lines[:i] + [lines[i][2:]] + lines[i + 1:]) + "\n", encoding="utf-8")
        code, output = check(folder, "qa", variables)
        expect(lines[i], code == 0, output)

    # What is wrong is seen: a key, a template, a secret that is not there.
    base.write_text("\n".join(lines + ["lisen = 1", ""]), encoding="utf-8")
    code, output = check(folder, "qa", variables)
    expect("a misspelt key", code != 0 and "did you mean 'listen'" in output, output)
    base.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "templates/customers.toml").write_text("[template]\n", encoding="utf-8")
    code, output = check(folder, "qa", variables)
    expect("an empty template", code != 0 and "customers.toml" in output, output)
    shutil.rmtree(folder / "secrets")
    code, output = check(folder, "qa", variables)
    expect("no secrets", code != 0 and "secrets/mariadb_rel" in output, output)

sys.exit(1 if wrong else 0)
