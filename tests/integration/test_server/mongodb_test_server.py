"""Is the MongoDB-speaking server of the tests one that they can stand on?

Concurrent increments of one document are exact, and what it acknowledged is still there after
kill -9 under load. Uses a private server (a mongod on PATH, else mongo-java-server).
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import pymongo

TOOL = pathlib.Path(__file__).resolve().parents[2] / "support" / "servers"
THREADS, INCREMENTS, ROUNDS, SECONDS = 8, 100, 3, 1.5


def servers(command, directory, *arguments):
    done = subprocess.run([TOOL, command, "--dir", directory, *arguments],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"servers {command}: {done.stderr}")
    return done


def client(uri):
    return pymongo.MongoClient(uri, retryWrites=False, serverSelectionTimeoutMS=5000,
                               socketTimeoutMS=5000)


def in_threads(work):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


def check_increments(uri):
    database = client(uri).get_default_database()
    database.counters.insert_one({"_id": "one", "n": 0})

    def work(_):
        mine = client(uri).get_default_database()
        for _ in range(INCREMENTS):
            mine.counters.update_one({"_id": "one"}, {"$inc": {"n": 1}})

    for thread in in_threads(work):
        thread.join()
    found = database.counters.find_one({"_id": "one"})["n"]
    print(f"{THREADS} threads, {THREADS * INCREMENTS} increments: {found}")
    return found == THREADS * INCREMENTS


def check_kill(uri, directory, number):
    """Each thread inserts documents and counts them in one of its own; both are acknowledged."""
    inserted = [0] * THREADS
    counted = [0] * THREADS
    tried = [0] * THREADS
    name = f"round{number}"
    database = client(uri).get_default_database()
    for thread in range(THREADS):
        database[name].insert_one({"_id": f"count-{thread}", "n": 0})

    def work(thread):
        mine = client(uri).get_default_database()
        try:
            while True:
                mine[name].insert_one({"_id": f"{thread}-{inserted[thread]}", "thread": thread})
                inserted[thread] += 1
                tried[thread] += 1
                mine[name].update_one({"_id": f"count-{thread}"}, {"$inc": {"n": 1}})
                counted[thread] += 1
        except pymongo.errors.PyMongoError:
            return

    threads = in_threads(work)
    time.sleep(SECONDS)
    servers("kill", directory, "mongodb")
    for thread in threads:
        thread.join()
    servers("start", directory, "--own", "mongodb")
    database = client(uri).get_default_database()
    good = True
    for thread in range(THREADS):
        found = database[name].count_documents({"thread": thread})
        n = database[name].find_one({"_id": f"count-{thread}"})["n"]
        # The last one of each may have taken effect without an answer.
        good = good and inserted[thread] <= found <= inserted[thread] + 1
        good = good and counted[thread] <= n <= tried[thread]
    total = database[name].count_documents({"thread": {"$exists": True}})
    print(f"kill -9 number {number}: {sum(inserted)} inserts acknowledged, {total} found; "
          f"{sum(counted)} increments acknowledged: {'kept' if good else 'LOST'}")
    return good and sum(inserted) > 0


def main():
    directory = tempfile.mkdtemp(prefix="beds-mongodb-")
    good = False
    try:
        done = servers("start", directory, "--own", "--with", str(os.getpid()), "mongodb")
        uri = next((line.split("'")[1] for line in servers("env", directory).stdout.splitlines()
                    if line.startswith("export BEDS_MONGODB_URI=")), None)
        if uri is None:
            print(done.stderr)
            return 77
        good = check_increments(uri)
        for number in range(1, ROUNDS + 1):
            good = check_kill(uri, directory, number) and good
        return 0 if good else 1
    finally:
        servers("stop", directory)
        if good:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
