"""Rows of the ledger in Parquet files, as CSV.

`ledger_files.py FOLDER` reads the files that the metadata.json documents below a table's folder list, and compares the
rows that these count; `ledger_files.py -` reads a JSON list of files from standard input.
"""

import json
import pathlib
import sys

import duckdb

if sys.argv[1] == "-":
    files, counted = json.load(sys.stdin), None
else:
    table = pathlib.Path(sys.argv[1])
    documents = [json.loads(path.read_text()) for path in table.rglob("metadata.json")]
    files = [str(table / file["path"]) for document in documents for file in document["files"]]
    counted = sum(document["row_count"] for document in documents)
rows = duckdb.execute("SELECT client, seq, hash FROM read_parquet(?, hive_partitioning=false)", [files]).fetchall()
assert counted in (None, len(rows)), f"metadata.json counts {counted} rows, the files {len(rows)}"
print("client,seq,hash")
sys.stdout.writelines(f"{client},{seq},{hash}\n" for client, seq, hash in rows)
