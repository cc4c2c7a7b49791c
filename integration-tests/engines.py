"""Answers questions with another engine over our data files, one JSON line in, one out.

Usage: engines.py duckdb|chdb FILE… ; then {"sql": "…"} per line. The answer has the milliseconds until all rows were
there as Arrow data, how many there were, and the sum of all their numbers, by which answers are compared.
"""

import json
import os
import sys
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc

TIMES = {"time", "minute", "hour"}


def duckdb_engine(files):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute(f"CREATE VIEW cpu AS SELECT * FROM read_parquet({files!r}, hive_partitioning = false)")
    return lambda sql: connection.sql(sql).to_arrow_table()


def chdb_engine(files):
    from chdb import session

    engine = session.Session()
    # A list of files is written as a pattern, which has to begin with the folder that they share.
    folder = os.path.commonpath(files)
    listed = ",".join(os.path.relpath(file, folder) for file in files)
    source = f"file('{folder}/{{{listed}}}', Parquet)"
    settings = " SETTINGS output_format_arrow_string_as_string = 1"

    def ask(sql):
        return engine.query(sql.replace("FROM cpu", f"FROM {source}") + settings, "ArrowStream").bytes()

    return ask


def digest(table):
    total = 0.0
    for name, column in zip(table.column_names, table.columns):
        if name not in TIMES and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            total += pc.sum(column.cast(pa.float64())).as_py() or 0.0
    return {"rows": table.num_rows, "sum": total}


def main():
    engine, files = sys.argv[1], sys.argv[2:]
    ask = {"duckdb": duckdb_engine, "chdb": chdb_engine}[engine](files)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        sql = json.loads(line)["sql"]
        try:
            started = time.perf_counter()
            answer = ask(sql)
            took = (time.perf_counter() - started) * 1e3
            table = answer if isinstance(answer, pa.Table) else ipc.open_stream(answer).read_all()
            print(json.dumps({"ms": took, **digest(table)}), flush=True)
        except Exception as error:  # told to whoever asked, who decides
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
