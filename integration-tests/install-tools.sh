#!/usr/bin/env bash
# Installs what the tests need beside Rust, make and a C compiler: Python with DuckDB, which computes answers
# independently, with clients and with the linters of deploy/, Node with a client, Redis, and the public data sets. Into
# .tools/, or with apt where a program is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .tools

need() { # program, Debian packages
  command -v "$1" >/dev/null && return
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  # Runlevel 1 keeps a package from starting its service: the tests start servers of their own.
  $sudo apt-get update -q && $sudo env RUNLEVEL=1 apt-get install -qy "${@:2}"
}

vega() {
  [ -d .tools/vega-datasets/data ] && return
  need npm npm
  local packed
  packed=$(cd .tools && npm pack --silent vega-datasets@3.2.1)
  mkdir -p .tools/vega-datasets
  tar -xzf ".tools/$packed" -C .tools/vega-datasets --strip-components=1
  rm ".tools/$packed"
}

clients() {
  local wanted=@influxdata/influxdb3-client@2.1.0
  [ "$(cat .tools/clients/installed 2>/dev/null)" = "$wanted" ] && return
  need node nodejs npm
  need npm npm
  npm install --silent --no-audit --no-fund --no-save --prefix .tools/clients "$wanted"
  echo "$wanted" >.tools/clients/installed
}

python() { # folder under .tools, requirements
  need python3 python3 python3-venv
  [ -x ".tools/$1/bin/python" ] || python3 -m venv ".tools/$1" || { need venv python3-venv && python3 -m venv ".tools/$1"; }
  ".tools/$1/bin/pip" install --quiet --disable-pip-version-check -r "integration-tests/$2"
}

case "${1:-all}" in
  vega) vega ;;
  bench) python bench-venv requirements-bench.txt ;;
  *) need redis-server redis-server; vega; clients; python venv requirements.txt ;;
esac
