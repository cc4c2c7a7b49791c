"""The calls of Grafana's InfluxDB data source in SQL mode, from its source: GetFlightInfo with a statement, then DoGet with
the ticket of the only endpoint; the database and the token travel as metadata."""

import os
import sys

import pyarrow
from flightsql import flightsql_pb2
from google.protobuf import any_pb2
from pyarrow import flight

address, token = sys.argv[1], os.environ["TOKEN"]
client = flight.FlightClient(address)
options = flight.FlightCallOptions(headers=[(b"database", b"of_grafana"), (b"authorization", f"Bearer {token}".encode())])

# What Grafana turns into columns of a frame; it reads every timestamp as nanoseconds.
SHOWN = (
    pyarrow.string(), pyarrow.float64(), pyarrow.int64(), pyarrow.int32(), pyarrow.uint64(), pyarrow.bool_(),
    pyarrow.timestamp("ns"),
)


def execute(sql):
    command = any_pb2.Any()
    command.Pack(flightsql_pb2.CommandStatementQuery(query=sql))
    info = client.get_flight_info(flight.FlightDescriptor.for_command(command.SerializeToString()), options)
    assert len(info.endpoints) == 1 and info.endpoints[0].locations == [], info
    table = client.do_get(info.endpoints[0].ticket, options).read_all()
    assert table.schema.equals(info.schema, check_metadata=True)
    for field in table.schema:
        assert field.type in SHOWN, (sql, field)
    return table


def refused(sql):
    try:
        execute(sql)
    except pyarrow.ArrowInvalid as error:
        return str(error)
    raise AssertionError(f"{sql} was not refused")


# Save and test, of newer and of older versions.
assert execute("select 1").num_rows == 1
assert execute("").num_rows == 0

# The query builder.
schemas = execute(
    "SELECT DISTINCT TABLE_SCHEMA from information_schema.TABLES where TABLE_TYPE != 'SYSTEM VIEW' ORDER BY TABLE_SCHEMA"
)
assert "iox" in schemas.column(0).to_pylist()
tables = execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'iox' ORDER BY table_name")
assert tables.to_pydict() == {"table_name": ["runs"]}
columns = execute(
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'iox' AND table_name = 'runs' "
    "ORDER BY column_name"
)
assert columns.column("column_name").to_pylist() == ["distance", "runner", "time"]

# Panels, with the macros as Grafana expands them.
span = "time >= cast('1970-01-01T00:00:00Z' as timestamp) AND time <= cast('1970-01-01T00:01:00Z' as timestamp)"
bin = "date_bin(interval '2 second', time, timestamp '1970-01-01T00:00:00Z')"
panel = execute(f"SELECT {bin} as time_binned, runner, avg(distance) FROM runs WHERE {span} GROUP BY 1, 2 ORDER BY 1, 2")
assert panel.num_rows == 3
assert panel.column(0).cast(pyarrow.int64()).to_pylist() == [0, 2_000_000_000, 2_000_000_000], panel
parts = "datepart('minute', time),datepart('hour', time),datepart('day', time),datepart('month', time),datepart('year', time)"
assert execute(f"SELECT {parts} FROM runs LIMIT 1").num_columns == 5
aliased = "datepart('month', time) as time_month,datepart('year', time) as time_year"
assert execute(f"SELECT {aliased} FROM runs GROUP BY time_month, time_year").num_rows == 1
assert execute(f"SELECT * FROM iox.runs WHERE {span} ORDER BY \"time\" ASC").num_rows == 3

# gRPC's code for a bad statement is the one that Grafana shows as the user's mistake.
assert "syntax" in refused("SELEC 1").lower()
assert "nope" in refused("SELECT * FROM nope")

print("done")
