#!/usr/bin/python3
"""Many small transactions in a new SQLite database; prints the seconds they took.

    bench/transactions.py FILE JOURNAL SYNCHRONOUS COUNT     WAL NORMAL, DELETE FULL, ...

Each inserts one row of about 100 bytes. Closing the database is counted: in WAL mode it
writes all of it once more.
"""
import sqlite3
import sys
import time


def main():
    path, journal, synchronous, count = sys.argv[1:]
    database = sqlite3.connect(path, isolation_level=None)
    if database.execute(f"PRAGMA journal_mode={journal}").fetchone()[0] != journal.lower():
        sys.exit(f"transactions: no journal mode {journal} here")
    database.execute(f"PRAGMA synchronous={synchronous}")
    database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, words TEXT)")
    start = time.monotonic()
    for number in range(int(count)):
        database.execute("INSERT INTO notes (words) VALUES (?)", (f"{number:0100}",))
    database.close()
    print(f"{time.monotonic() - start:.9f}")


if __name__ == "__main__":
    main()
