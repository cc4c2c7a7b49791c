"""Rows of the ledger in the files that metadata.json lists: client -> [rows, distinct seqs, last seq], as JSON."""

import json
import pathlib
import sys

import duckdb

table = pathlib.Path(sys.argv[1])
documents = [json.loads(path.read_text()) for path in table.rglob("metadata.json")]
files = [str(table / file["path"]) for document in documents for file in document["files"]]
rows = duckdb.execute(
    "SELECT client, count(*), count(DISTINCT seq), max(seq) FROM read_parquet(?, hive_partitioning=false) GROUP BY client",
    [files],
).fetchall()
counted = sum(document["row_count"] for document in documents)
assert counted == sum(row[1] for row in rows), f"metadata.json counts {counted} rows, the files {rows}"
print(json.dumps({client: counts for client, *counts in rows}))
