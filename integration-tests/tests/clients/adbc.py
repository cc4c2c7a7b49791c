"""ADBC's driver for FlightSQL, which is written in Go and strict about schemas."""

import datetime
import os
import sys

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as flight_sql
import adbc_driver_manager
import pyarrow

address, token = sys.argv[1], os.environ["TOKEN"]
header = adbc_driver_flightsql.DatabaseOptions.RPC_CALL_HEADER_PREFIX.value
authorization = adbc_driver_flightsql.DatabaseOptions.AUTHORIZATION_HEADER.value
database = {header + "database": "of_adbc"}


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError("it was not refused")


with flight_sql.connect(address, db_kwargs={authorization: f"Bearer {token}", **database}, autocommit=True) as conn:
    with conn.cursor() as cursor:
        cursor.execute("SELECT runner, distance, time FROM runs ORDER BY distance")
        assert [column[0] for column in cursor.description] == ["runner", "distance", "time"]
        assert cursor.fetchone()[:2] == ("ann", 5.0)
        cursor.execute("SELECT distance FROM runs WHERE runner = ? AND distance > ?", ("ann", 5))
        assert cursor.fetchall() == [(21.1,)]
        cursor.execute("SELECT distance FROM runs WHERE time >= ? ORDER BY 1", (datetime.datetime(1970, 1, 1, 0, 0, 2),))
        assert cursor.fetchall() == [(10.0,), (21.1,)]
        cursor.execute("SELECT ? AS a, ? AS b, ? AS c, ? AS d", (1, "x", None, True))
        assert cursor.fetchall() == [(1, "x", None, True)]
        cursor.execute("SELECT value FROM generate_series(1, 1000000)")
        assert cursor.fetch_arrow_table().num_rows == 1_000_000
        cursor.execute("SELECT runner FROM runs WHERE distance > 100")
        assert cursor.fetchall() == []
        for wrong in ("SELEC 1", "SELECT * FROM nope", "INSERT INTO runs VALUES (1)"):
            error = refused(adbc_driver_manager.ProgrammingError, lambda: cursor.execute(wrong))
            assert error.status_code == adbc_driver_manager.AdbcStatusCode.INVALID_ARGUMENT, error

    info = conn.adbc_get_info()
    assert info["vendor_name"] == "GigAPI", info
    assert conn.adbc_get_table_types() == ["BASE TABLE", "SYSTEM VIEW", "VIEW"]
    schema = conn.adbc_get_table_schema("runs")
    assert sorted(schema.names) == ["distance", "runner", "time"]
    assert schema.field("time").type == pyarrow.timestamp("ns")
    objects = conn.adbc_get_objects(depth="columns").read_all().to_pylist()
    assert [catalog["catalog_name"] for catalog in objects] == ["public"]
    schemas = {schema["db_schema_name"]: schema for schema in objects[0]["catalog_db_schemas"]}
    assert [table["table_name"] for table in schemas["of_adbc"]["db_schema_tables"]] == ["runs"]
    assert conn.adbc_current_catalog == "public"
    assert conn.adbc_current_db_schema == "of_adbc"

# A name and a password, for which the driver shakes hands.
with flight_sql.connect(address, db_kwargs={"username": "ann", "password": "secret", **database}) as conn:
    with conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM runs")
        assert cursor.fetchall() == [(3,)]

refused(adbc_driver_manager.Error, lambda: flight_sql.connect(address, db_kwargs={"username": "ann", "password": "x"}))
with flight_sql.connect(address, db_kwargs={authorization: "Bearer wrong", **database}) as conn:
    error = refused(adbc_driver_manager.Error, lambda: conn.cursor().execute("SELECT 1"))
    assert error.status_code == adbc_driver_manager.AdbcStatusCode.UNAUTHENTICATED, error

print("done")
