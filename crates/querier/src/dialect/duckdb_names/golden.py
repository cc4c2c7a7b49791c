"""Writes golden.tsv: expressions and what DuckDB calls their columns.

    pip install duckdb==1.4.2
    python golden.py > golden.tsv
"""

import duckdb

EXPRESSIONS = """
count(*)
COUNT()
count(1)
count(host)
COUNT(DISTINCT host)
AVG(temperature)
avg(temperature)
sum(v)
sum(v + 1)
sum(v) + 1
sum(v) / count(*)
min(value)
max(time)
min(time), max(time)
max(v) - min(v)
max(-v)
max(+v)
- v
-1
- 1
-1.5
+1
NOT true
NOT (v > 1)
v > 1
v >= 1 AND v < 2
v = 1 OR v = 2
v = 1 OR v = 2 OR v = 3
v = 1 AND v = 2 AND v = 3 AND v = 4
v = 1 AND v = 2 OR v = 3
v != 1
v <> 1
v == 1
5 / 2
5 // 2
7 % 3
2 ^ 3
2 ** 3
1_000_000
1.50
1e3
'a'
'it''s'
NULL
true
FALSE
host IS NULL
host IS NOT NULL
host LIKE 'a%'
host NOT LIKE 'a%'
host ILIKE 'a%'
host IN ('a', 'b')
host NOT IN ('a', 'b')
v BETWEEN 1 AND 2
v NOT BETWEEN 1 AND 2
v IS DISTINCT FROM 1
v IS NOT DISTINCT FROM 1
host || 'x'
host || '-' || v
concat(host, 'x')
upper(host)
UPPER(Host)
coalesce(v, 0)
ifnull(v, 0)
nullif(v, 0)
if(v > 1, 1, 0)
count_if(v > 1) OVER ()
regexp_extract(host, 'a', 1)
strftime(time, '%Y')
round(avg(temperature), 2)
abs(v)
CASE WHEN v > 1 THEN 'a' ELSE 'b' END
CASE WHEN v > 1 THEN 'a' WHEN v > 0 THEN 'c' END
CASE host WHEN 'a' THEN 1 ELSE 2 END
v::INTEGER
v::int
v::BIGINT
v::DOUBLE
v::VARCHAR
v::text
v::string
v::bool
v::float
v::smallint
v::decimal(10, 2)
v::TIMESTAMP_NS
CAST(v AS INTEGER)
TRY_CAST(host AS INTEGER)
'2025-01-01'::TIMESTAMP
'2025-01-01'::TIMESTAMPTZ
TIMESTAMP '2025-01-01'
DATE '2025-01-01'
INTERVAL '5 minutes'
INTERVAL 5 MINUTES
time + INTERVAL '1 hour'
time_bucket(INTERVAL '5 minutes', time)
date_trunc('hour', time)
date_part('hour', time)
extract(hour FROM time)
hour(time)
year(time)
epoch_ns(time)
epoch(time)
first(host)
last(host)
first(host ORDER BY time)
last(v ORDER BY time DESC)
list(host)
array_agg(host ORDER BY time)
string_agg(host, ',')
mode(host)
median(v)
quantile_cont(v, 0.9)
approx_quantile(v, 0.9)
arg_max(host, v)
stddev(v)
count(*) FILTER (WHERE host = 'a')
sum(v) FILTER (WHERE v > 1)
sum(v) OVER ()
sum(v) OVER (PARTITION BY host)
sum(v) OVER (PARTITION BY host ORDER BY time)
sum(v) OVER (PARTITION BY host ORDER BY time DESC)
row_number() OVER (ORDER BY time)
lag(v) OVER (ORDER BY time)
lag(v, 2) OVER (PARTITION BY host ORDER BY time)
avg(v) OVER (ORDER BY time ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)
avg(v) OVER (ORDER BY time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING)
rank() OVER (PARTITION BY host ORDER BY v DESC, time)
[1, 2, 3]
[1, 2, 3][1]
list_value(1, 2)
{'a': 1}
(v + 1) * 2
v + 1 * 2
v * (1 + 2)
(v)
((v + 1))
t.v
t.v + 1
sum(t.v)
"Foo Bar"
max("Foo Bar")
sum("Foo")
value
host AS h
now()
typeof(v)
regexp_matches(host, 'a')
host SIMILAR TO 'a'
(SELECT 1)
EXISTS (SELECT 1)
v IN (SELECT 1)
""".strip().splitlines()

connection = duckdb.connect()
connection.execute(
    "CREATE TABLE t (time TIMESTAMP_NS, host VARCHAR, v DOUBLE, temperature DOUBLE, value DOUBLE, "
    '"Foo" DOUBLE, "Foo Bar" DOUBLE)'
)
for expression in EXPRESSIONS:
    names = [column[0] for column in connection.execute(f"SELECT {expression} FROM t").description]
    print(expression, *names, sep="\t")
