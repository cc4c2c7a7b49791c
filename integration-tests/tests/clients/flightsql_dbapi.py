"""flightsql-dbapi: what its README shows, with nothing changed but the address; parameters; errors."""

import os
import sys

import pyarrow
from flightsql import FlightSQLClient, connect

host, port, token = sys.argv[1], int(sys.argv[2]), os.environ["TOKEN"]
here = dict(host=host, port=port, insecure=True, metadata={"database": "of_dbapi"})


def refused(call):
    try:
        call()
    except pyarrow.ArrowException as error:
        return error
    raise AssertionError("it was not refused")


# DB API 2.
client = FlightSQLClient(token=token, **here)
conn = connect(client)
cursor = conn.cursor()
cursor.execute('select * from runs limit 10')
columns = [name for name, _ in cursor.description]
rows = [r for r in cursor]
assert columns == ["time", "distance", "runner"] or sorted(columns) == ["distance", "runner", "time"], columns
assert len(rows) == 3, rows

# Directly.
info = client.execute("select * from runs limit 10")
reader = client.do_get(info.endpoints[0].ticket)
data_frame = reader.read_all().to_pandas()
assert sorted(data_frame["distance"]) == [5.0, 10.0, 21.1], data_frame

# Parameters; this client leaves the handle with the values unread, and executes the first one.
cursor.execute("select distance from runs where runner = ? and distance > ? order by distance", ("ann", 5))
assert cursor.fetchall() == [[21.1]]
cursor.execute("select ? + 1, ?, ?, ?", (1, 2.5, "x", True))
assert cursor.fetchall() == [[2, 2.5, "x", True]]
with client.prepare("select runner from runs where distance = ?") as statement:
    for distance, runner in ((5.0, "ann"), (10.0, "bob")):
        binding = pyarrow.record_batch([pyarrow.array([distance])], names=["param_0"])
        info = statement.execute(binding)
        assert client.do_get(info.endpoints[0].ticket).read_all().to_pydict() == {"runner": [runner]}

# What the protocol lists.
read = lambda info: client.do_get(info.endpoints[0].ticket).read_all().to_pydict()
assert read(client.get_catalogs()) == {"catalog_name": ["public"]}
assert "of_dbapi" in read(client.get_db_schemas())["db_schema_name"]
assert read(client.get_tables(db_schema_filter_pattern="of_dbapi"))["table_name"] == ["runs"]
assert conn.flightsql_get_sql_info([504]) == {504: '"'}
assert conn.flightsql_get_primary_keys("runs") == []
assert conn.flightsql_get_foreign_keys("runs") == []

# Errors.
assert isinstance(refused(lambda: cursor.execute("selec 1")), pyarrow.ArrowInvalid)
assert "nope" in str(refused(lambda: cursor.execute("select * from nope")))
assert "only reads here" in str(refused(lambda: client.execute_update("insert into runs values (1)")))
strange = FlightSQLClient(token="wrong", **here)
assert isinstance(refused(lambda: strange.execute("select 1")), pyarrow.flight.FlightUnauthenticatedError)

# SQLAlchemy, with a name and a password.
import flightsql.sqlalchemy
from sqlalchemy import func, select
from sqlalchemy.engine import create_engine
from sqlalchemy.schema import MetaData, Table

engine = create_engine(f"datafusion+flightsql://ann:secret@{host}:{port}?insecure=True&database=of_dbapi")
runs = Table("runs", MetaData(bind=engine), autoload=True)
count = select([func.count("*")], from_obj=runs).scalar()
assert count == 3, count
assert sorted(r.name for r in runs.columns) == ["distance", "runner", "time"]

# Reflection
metadata = MetaData(schema="iox")
metadata.reflect(bind=engine)
assert [table.name for table in metadata.sorted_tables] == ["runs"]

print("done")
