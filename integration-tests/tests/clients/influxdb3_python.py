"""influxdb3-python: writes over HTTP and reads over Flight, on one port."""

import os
import sys

import pyarrow
from influxdb_client_3 import InfluxDBClient3, Point, WriteOptions, write_client_options
from influxdb_client_3.exceptions import InfluxDB3ClientQueryError, InfluxDBError, InfluxDBPartialWriteError
from influxdb_client_3.write_client.client.write_api import WriteType

url, token = sys.argv[1], os.environ["TOKEN"]


def client(database, key=token, **options):
    options = write_client_options(write_options=WriteOptions(write_type=WriteType.synchronous, **options))
    return InfluxDBClient3(host=url, token=key, database=database, write_client_options=options)


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError("it was not refused")


for use_v2_api, database in ((True, "of_v3_a"), (False, "of_v3_b")):
    with client(database, use_v2_api=use_v2_api) as client3:
        client3.write(Point("cpu").tag("host", "a").field("busy", 1.5).field("n", 7).field("on", True).time(1, "s"))
        client3.write("cpu,host=b busy=2.5,note=\"fog\" 2", write_precision="s")
        table = client3.query("SELECT host, busy, n, \"on\", note, time FROM cpu ORDER BY time")
        assert isinstance(table, pyarrow.Table)
        assert table.column("host").to_pylist() == ["a", "b"], table
        assert table.column("busy").to_pylist() == [1.5, 2.5]
        assert table.schema.field("time").type == pyarrow.timestamp("ns"), table.schema
        assert table.schema.field("host").type == pyarrow.string(), table.schema
        assert table.schema.field("host").metadata == {b"iox::column::type": b"iox::column_type::tag"}
        assert table.schema.field("n").metadata == {b"iox::column::type": b"iox::column_type::field::integer"}

        table = client3.query(
            "SELECT busy FROM cpu WHERE host = $host AND busy > $low", query_parameters={"host": "b", "low": 1.0}
        )
        assert table.to_pydict() == {"busy": [2.5]}, table
        frame = client3.query("SELECT busy FROM cpu ORDER BY busy", mode="pandas")
        assert list(frame["busy"]) == [1.5, 2.5]
        assert client3.get_server_version()

        for wrong in ("SELEC 1", "SELECT * FROM nope", "SELECT nope FROM cpu"):
            error = refused(InfluxDB3ClientQueryError, lambda: client3.query(wrong))
            assert "INVALID_ARGUMENT" in str(error) or "Invalid" in str(error) or error.message, error
        error = refused(InfluxDB3ClientQueryError, lambda: client3.query("SHOW MEASUREMENTS", language="influxql"))
        assert "InfluxQL is not part of this version" in str(error), error

        # The good line is kept, the bad one is named.
        lines = "cpu,host=c busy=3.5 3000000000\ncpu,host=d busy= 4000000000"
        error = refused(InfluxDBPartialWriteError if not use_v2_api else InfluxDBError, lambda: client3.write(lines))
        if not use_v2_api:
            assert [line.line_number for line in error.line_errors] == [2], error.line_errors
        count = client3.query("SELECT count(*) AS c FROM cpu").column("c").to_pylist()
        assert count == [3], count

with client("of_v3_a", key="wrong") as stranger:
    error = refused(InfluxDB3ClientQueryError, lambda: stranger.query("SELECT 1"))
    assert "nauthenticated" in str(error) or "credentials" in str(error), error
    assert refused(InfluxDBError, lambda: stranger.write("cpu busy=1")).response.status == 401

print("done")
