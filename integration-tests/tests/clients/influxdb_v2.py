"""influxdb-client, the client of InfluxDB 2: writes, and is told what it did wrong in its own exception."""

import os
import sys

from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

url, database, token = sys.argv[1], "of_v2", os.environ["TOKEN"]


def refused(call):
    try:
        call()
    except ApiException as error:
        return error
    raise AssertionError("it was not refused")


for gzip in (False, True):
    with InfluxDBClient(url=url, token=token, org="any", enable_gzip=gzip) as client:
        assert client.ping()
        health = client.health()
        assert (health.name, health.status) == ("GigAPI", "pass"), health
        assert client.version() and "cloud" not in client.build().lower()
        write = client.write_api(write_options=SYNCHRONOUS)
        write.write(database, record=Point("cpu").tag("host", "a").field("busy", 1.5).time(1, WritePrecision.S))
        write.write(database, record="cpu,host=b busy=2.5 2000", write_precision=WritePrecision.MS)
        write.write(database, record=[{"measurement": "cpu", "fields": {"busy": 3.5}, "time": 3_000_000_000}])

        error = refused(lambda: write.write(database, record="cpu,host=c busy=\ncpu,host=d busy=4.5 4000000000"))
        assert error.status == 400, error
        assert "line 1" in error.message or "1" in error.message, error.message
        error = refused(lambda: write.write(database, record='cpu,host=a busy="text" 5'))
        assert error.status == 400 and "busy" in error.message, error.message
        # There is no Flux here: a query is refused, and the client says so.
        assert refused(lambda: client.query_api().query("buckets()")).status == 404

with InfluxDBClient(url=url, token="wrong", org="any") as client:
    write = client.write_api(write_options=SYNCHRONOUS)
    error = refused(lambda: write.write(database, record="cpu busy=1"))
    assert error.status == 401 and "credentials" in error.message, error.message

print("done")
