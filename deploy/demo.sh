#!/usr/bin/env bash
# Real observations in, five questions answered: starts a server on a temporary folder, imports Seattle's
# weather, three million flights and a week of earthquakes, and prints each question with its SQL, its answer
# and its time. Run it with `make demo`.
set -euo pipefail
: "${GIGAPI_BIN:?the gigapi binary}" "${VEGA_DATA:?the folder data/ of vega-datasets 3.2.1}"

folder=$(mktemp -d)
GIGAPI_ROOT="$folder/data" HTTP_HOST=127.0.0.1 HTTP_PORT=0 FLIGHTSQL_ENABLE=false LOGLEVEL=warn "$GIGAPI_BIN" serve >"$folder/log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true; rm -rf "$folder"' EXIT
# The server prints where it listens once it does.
until GIGAPI_HOST=$(grep -om1 'http://127.0.0.1:[0-9]*' "$folder/log") && curl -sf "$GIGAPI_HOST/ready" >/dev/null; do
  kill -0 $server || { cat "$folder/log"; exit 1; }
  sleep 0.05
done
export GIGAPI_HOST GIGAPI_DATABASE=demo

step() { printf '\n== %s\n' "$1"; }

step "Seattle's weather, as line protocol over HTTP"
tail -n +2 "$VEGA_DATA/seattle-weather.csv" >"$folder/days"
cut -d, -f1 "$folder/days" | date -u -f - +%s | paste -d, - "$folder/days" |
  awk -F, '{ print "weather,kind=" $7 " precipitation=" $3 ",temp_max=" $4 ",temp_min=" $5 ",wind=" $6 " " $1 }' |
  curl -sf --data-binary @- "$GIGAPI_HOST/write?db=demo&precision=s"
echo "1461 days written"

step "three million flights, from Parquet"
"$GIGAPI_BIN" import "$VEGA_DATA/flights-3m.parquet" --table flights --time date --tag origin,destination

step "a week of earthquakes, from GeoJSON"
"$GIGAPI_BIN" import "$VEGA_DATA/earthquakes.json" --records features --table quakes --time properties.time:ms \
  --tag properties.net,properties.magType --skip properties.updated

ask() {
  step "$1"
  echo "$2"
  "$GIGAPI_BIN" query "$2"
  curl -s -o /dev/null -w 'answered in %{time_total} s\n' -G "$GIGAPI_HOST/api/v3/query_sql" \
    --data-urlencode db=demo --data-urlencode "q=$2"
}

ask "How wet and how warm were Seattle's years?" \
  "SELECT date_part('year', time) AS year, round(sum(precipitation), 1) AS mm, max(temp_max) AS warmest FROM weather GROUP BY 1 ORDER BY 1"
ask "Which airports sent most flights, and how late?" \
  "SELECT origin, count(*) AS flights, round(avg(delay), 2) AS delay FROM flights GROUP BY origin ORDER BY flights DESC, origin LIMIT 5"
ask "Was any month worse than another?" \
  "SELECT date_trunc('month', time) AS month, count(*) AS flights, round(avg(delay), 2) AS delay FROM flights GROUP BY 1 ORDER BY 1"
ask "How did one week in February go at O'Hare?" \
  "SELECT count(*) AS flights, max(delay) AS worst FROM flights WHERE origin = 'ORD' AND time >= '2001-02-05' AND time < '2001-02-12'"
ask "Where did the earth shake most?" \
  "SELECT \"properties.net\" AS network, count(*) AS quakes, max(\"properties.mag\") AS strongest FROM quakes GROUP BY 1 ORDER BY quakes DESC, network LIMIT 5"

step "what it became"
echo "$(find "$folder/data/demo" -name '*.parquet' | wc -l) files, $(du -sh "$folder/data/demo" | cut -f1)"
