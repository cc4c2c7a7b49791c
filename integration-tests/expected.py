"""Answers to the demo's questions, computed by DuckDB from the source files alone. Prints one JSON list."""

import json
import sys

import duckdb

data = sys.argv[1]
weather = f"read_csv('{data}/seattle-weather.csv')"
flights = f"'{data}/flights-3m.parquet'"
quakes = f"(SELECT unnest(features) AS f FROM read_json('{data}/earthquakes.json', maximum_object_size=100000000))"
questions = [
    f"SELECT date_part('year', date) AS year, sum(precipitation), max(temp_max) FROM {weather} GROUP BY 1 ORDER BY 1",
    f"SELECT origin, count(*) AS n, avg(delay) FROM {flights} GROUP BY 1 ORDER BY n DESC, origin LIMIT 5",
    f"SELECT date_part('month', date) AS month, count(*), avg(delay), sum(distance) FROM {flights} GROUP BY 1 ORDER BY 1",
    f"SELECT count(*), max(delay), min(delay) FROM {flights} "
    "WHERE origin = 'ORD' AND date >= '2001-02-05' AND date < '2001-02-12'",
    f"SELECT f.properties.net AS net, count(*) AS n, max(f.properties.mag) FROM {quakes} GROUP BY 1 ORDER BY n DESC, net",
]
print(json.dumps([[list(row) for row in duckdb.sql(sql).fetchall()] for sql in questions], default=float))
