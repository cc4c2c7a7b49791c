# One attempt a line. {file} is a file with a secret on this machine, {folder} the folder it lies in, {data} a data file.
# Each has to be refused as the client's mistake.

# Writing files
COPY t TO '{folder}/x.parquet'
COPY t TO '{folder}/x.csv' (HEADER)
COPY (SELECT 1) TO '{folder}/x.csv' STORED AS CSV
COPY (SELECT * FROM t) TO '{folder}/x.json' (FORMAT json)
COPY t TO 's3://bucket/x.parquet'
COPY t TO 'gigapi://layers/default/x.parquet'
COPY t FROM '{file}'
COPY INTO t FROM '{file}'
COPY t TO PROGRAM 'touch {folder}/x'
copy t to '{folder}/x'
  COPY t TO '{folder}/x'
/* harmless */ COPY t TO '{folder}/x'
EXPLAIN COPY t TO '{folder}/x.parquet'
EXPLAIN ANALYZE COPY t TO '{folder}/x.parquet'
EXPLAIN VERBOSE COPY (SELECT 1) TO '{folder}/x.parquet'
SELECT * FROM t INTO OUTFILE '{folder}/x'
SELECT * INTO OUTFILE '{folder}/x' FROM t
SELECT * INTO DUMPFILE '{folder}/x' FROM t
EXPORT DATABASE '{folder}'
EXPORT DATA OPTIONS(uri='{folder}/x') AS SELECT 1
IMPORT DATABASE '{folder}'
UNLOAD (SELECT 1) TO '{folder}/x'
UNLOAD ('SELECT 1') TO 's3://bucket/x' IAM_ROLE 'x'

# Reading files and the network
SELECT * FROM '{file}'
SELECT * FROM "{file}"
FROM '{file}'
FROM "{file}"
SELECT * FROM 'file://{file}'
SELECT * FROM "file://{file}"
SELECT * FROM '/etc/passwd'
FROM "/etc/passwd"
SELECT * FROM "../../../../etc/passwd"
SELECT * FROM mydb."../../../../etc/passwd"
SELECT * FROM "..".".."."passwd"
SELECT * FROM "t/../t2"
SELECT * FROM "gigapi://layers/{data}"
SELECT * FROM 'gigapi://layers/{data}'
SELECT * FROM "{data}"
SELECT * FROM "default/{data}"
SELECT * FROM 's3://bucket/x.parquet'
SELECT * FROM 'http://169.254.169.254/latest/meta-data'
SELECT * FROM 'https://example.com/x.csv'
SELECT * FROM 'hf://datasets/x/y.parquet'
SELECT * FROM '{folder}/*.csv'
SELECT * FROM read_csv('{file}')
SELECT * FROM read_csv_auto('{file}')
SELECT * FROM read_parquet('{file}')
SELECT * FROM read_parquet(['{file}'])
SELECT * FROM read_json('{file}')
SELECT * FROM read_json_auto('{file}')
SELECT * FROM read_text('{file}')
SELECT * FROM read_blob('{file}')
SELECT * FROM parquet_scan('{file}')
SELECT * FROM parquet_metadata('{file}')
SELECT * FROM parquet_schema('{file}')
SELECT * FROM glob('{folder}/*')
SELECT * FROM sniff_csv('{file}')
SELECT * FROM csv_scan('{file}')
SELECT * FROM json_scan('{file}')
SELECT * FROM iceberg_scan('{folder}')
SELECT * FROM delta_scan('{folder}')
SELECT * FROM sqlite_scan('{file}', 't')
SELECT * FROM postgres_scan('host=localhost', 'public', 't')
SELECT * FROM mysql_scan('host=localhost', 'a', 't')
SELECT * FROM query('SELECT 1')
SELECT * FROM query_table('t')
SELECT * FROM duckdb_settings()
SELECT * FROM duckdb_secrets()
SELECT * FROM duckdb_tables()
SELECT * FROM pragma_database_list()
SELECT * FROM metadata_cache()
SELECT * FROM list_files_cache()
SELECT * FROM statistics_cache()
SELECT * FROM TABLE(read_csv('{file}'))
SELECT * FROM LATERAL read_csv('{file}')
SELECT * FROM t, read_csv('{file}')
SELECT * FROM t JOIN '{file}' ON true
SELECT * FROM t JOIN "{file}" USING (x)
SELECT (SELECT a FROM '{file}')
SELECT * FROM t WHERE x IN (SELECT a FROM "{file}")
SELECT * FROM t WHERE EXISTS (SELECT 1 FROM '{file}')
WITH a AS (SELECT * FROM '{file}') SELECT * FROM a
SELECT 1 UNION ALL SELECT a FROM '{file}'
SUMMARIZE '{file}'
SUMMARIZE SELECT * FROM '{file}'
DESCRIBE '{file}'
DESCRIBE SELECT * FROM '{file}'
DESCRIBE "{file}"
SHOW COLUMNS FROM "{file}"
EXPLAIN SELECT * FROM '{file}'
EXPLAIN ANALYZE SELECT * FROM read_csv('{file}')
SELECT read_text('{file}')
SELECT read_blob('{file}')
SELECT read_csv('{file}')
SELECT read_parquet('{file}')
SELECT glob('{folder}/*')
SELECT pg_read_file('{file}')
SELECT pg_read_binary_file('{file}')
SELECT pg_ls_dir('{folder}')
SELECT lo_import('{file}')
SELECT load_file('{file}')
SELECT file('{file}')
SELECT url('http://localhost/')
SELECT getenv('HOME')
SELECT getvariable('x')
SELECT current_setting('secret_directory')
SELECT set_config('a', 'b', false)
SELECT system('id')
SELECT shell('id')
SELECT exec('id')
SELECT sys_exec('id')
SELECT xp_cmdshell('id')
SELECT dblink('host=localhost', 'SELECT 1')
SELECT nextval('s')
SELECT pg_sleep(1000)
SELECT sleep(1000)
SELECT benchmark(1000000000, 1)

# Defining
CREATE TABLE x AS SELECT 1
CREATE TABLE x (a INT)
CREATE OR REPLACE TABLE t AS SELECT 1
CREATE TABLE IF NOT EXISTS t (a INT)
CREATE TEMPORARY TABLE x AS SELECT 1
CREATE TEMP TABLE x (a INT)
CREATE VIEW x AS SELECT 1
CREATE OR REPLACE VIEW t AS SELECT 1
CREATE MATERIALIZED VIEW x AS SELECT 1
CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{file}'
CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/etc'
CREATE UNBOUNDED EXTERNAL TABLE x STORED AS CSV LOCATION '{file}'
CREATE DATABASE x
CREATE SCHEMA x
CREATE INDEX i ON t (x)
CREATE UNIQUE INDEX i ON t (x)
CREATE FUNCTION f() RETURNS INT RETURN 1
CREATE MACRO f(a) AS a + 1
CREATE MACRO f() AS TABLE SELECT * FROM '{file}'
CREATE SEQUENCE s
CREATE TYPE e AS ENUM ('a')
CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')
CREATE PERSISTENT SECRET s (TYPE s3)
CREATE ROLE r
CREATE USER u
CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()
CREATE PROCEDURE p AS BEGIN SELECT 1 END
CREATE POLICY p ON t
CREATE EXTENSION x
CREATE SERVER s FOREIGN DATA WRAPPER w
CREATE VIRTUAL TABLE x USING fts5(a)
DROP TABLE t
DROP TABLE IF EXISTS t
DROP VIEW t
DROP DATABASE mydb
DROP SCHEMA mydb
DROP SCHEMA mydb CASCADE
DROP FUNCTION count
DROP INDEX i
DROP SECRET s
DROP ROLE r
ALTER TABLE t ADD COLUMN y INT
ALTER TABLE t DROP COLUMN x
ALTER TABLE t RENAME TO u
ALTER DATABASE mydb RENAME TO x
ALTER ROLE r
ALTER SYSTEM SET a = 1
RENAME TABLE t TO u
COMMENT ON TABLE t IS 'x'

# Changing
INSERT INTO t VALUES (1)
INSERT INTO t (time, x) VALUES (1, 1.0)
INSERT INTO t SELECT * FROM t
INSERT OR REPLACE INTO t VALUES (1)
INSERT OVERWRITE t SELECT * FROM t
INSERT INTO t DEFAULT VALUES
INSERT INTO t VALUES (1) RETURNING *
INSERT INTO system.queries VALUES (1)
INSERT INTO information_schema.tables SELECT * FROM information_schema.tables
UPDATE t SET x = 1
UPDATE t SET x = 1 FROM t AS u WHERE true
UPDATE system.queries SET state = 'x'
DELETE FROM t
DELETE FROM t WHERE x > 0
DELETE FROM t USING t AS u
DELETE FROM system.files
TRUNCATE t
TRUNCATE TABLE t
MERGE INTO t USING t AS u ON t.x = u.x WHEN MATCHED THEN DELETE
REPLACE INTO t VALUES (1)
UPSERT INTO t VALUES (1)
WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a
WITH a AS (SELECT 1) UPDATE t SET x = 1
WITH a AS (SELECT 1) DELETE FROM t
WITH a AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM a
WITH a AS (UPDATE t SET x = 1 RETURNING *) SELECT * FROM a
WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a
SELECT * FROM (INSERT INTO t VALUES (1))
SELECT * FROM (DELETE FROM t) AS a
SELECT (INSERT INTO t VALUES (1))
SELECT 1 WHERE EXISTS (DELETE FROM t)
SELECT * INTO x FROM t
SELECT 1 AS a INTO x
SELECT * INTO TEMPORARY x FROM t
WITH a AS (SELECT 1) SELECT * INTO x FROM a
SELECT * FROM (SELECT * INTO x FROM t) AS a
SELECT * FROM t FOR UPDATE
SELECT * FROM t FOR SHARE
SELECT * FROM (SELECT * FROM t FOR UPDATE) AS a
EXPLAIN INSERT INTO t VALUES (1)
EXPLAIN ANALYZE INSERT INTO t VALUES (1)
EXPLAIN ANALYZE DELETE FROM t
EXPLAIN ANALYZE UPDATE t SET x = 1
EXPLAIN DROP TABLE t
EXPLAIN CREATE TABLE x AS SELECT 1
EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1
EXPLAIN SET datafusion.execution.batch_size = 1
EXPLAIN EXPLAIN INSERT INTO t VALUES (1)
EXPLAIN (ANALYZE) INSERT INTO t VALUES (1)
DESCRIBE INSERT INTO t VALUES (1)
DESCRIBE DELETE FROM t
DESCRIBE DROP TABLE t
SUMMARIZE INSERT INTO t VALUES (1)
SUMMARIZE DELETE FROM t

# Settings and sessions
SET datafusion.execution.target_partitions = 1000
SET datafusion.execution.batch_size = 1
SET datafusion.catalog.information_schema = true
SET datafusion.catalog.location = '/etc'
SET datafusion.catalog.format = 'csv'
SET datafusion.sql_parser.dialect = 'generic'
SET datafusion.sql_parser.recursion_limit = 100000000
SET datafusion.sql_parser.enable_ident_normalization = true
SET datafusion.runtime.memory_limit = '100G'
SET datafusion.runtime.temp_directory = '{folder}'
SET datafusion.runtime.max_temp_directory_size = '100G'
SET datafusion.optimizer.max_passes = 1000000
SET datafusion.explain.show_sizes = false
SET memory_limit = '100GB'
SET threads = 1000
SET temp_directory = '{folder}'
SET home_directory = '{folder}'
SET enable_external_access = true
SET allow_unsigned_extensions = true
SET GLOBAL enable_external_access = true
SET SESSION memory_limit = '1GB'
SET LOCAL timezone = 'Europe/Paris'
SET VARIABLE a = 1
SET search_path = other
SET schema = 'other'
SET ROLE admin
SET NAMES 'utf8'
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
SET extra_float_digits_and_more = 1
SET TIMEZONE = 'Europe/Paris'
SET TIME ZONE LOCAL
RESET datafusion.execution.target_partitions
RESET ALL
SHOW ALL
SHOW datafusion.execution.batch_size
SHOW datafusion.runtime.memory_limit
SHOW memory_limit
SHOW TIME ZONE
SHOW VARIABLES
SHOW STATUS
SHOW PROCESSLIST
SHOW FUNCTIONS
SHOW CREATE TABLE t
SHOW GRANTS
SHOW VIEWS
SHOW CATALOGS
SHOW TABLES FROM nope
SHOW TABLES WHERE table_name = 't'
SHOW COLUMNS FROM nope
SELECT @@version
SELECT @@datadir
SELECT * FROM information_schema.df_settings
SELECT * FROM INFORMATION_SCHEMA.DF_SETTINGS
SELECT * FROM "information_schema"."df_settings"
SELECT * FROM public.information_schema.df_settings
SELECT * FROM information_schema.routines
SELECT * FROM information_schema.parameters
SELECT * FROM mydb.information_schema
SELECT * FROM system.settings
SELECT * FROM system.users
SELECT * FROM system.secrets
SELECT * FROM pg_catalog.pg_settings
SELECT * FROM pg_catalog.pg_shadow
SELECT * FROM pg_shadow
SELECT * FROM sqlite_master
SELECT * FROM mysql.user
SELECT * FROM performance_schema.threads
SELECT * FROM duckdb_settings
SELECT * FROM datafusion.public.t
SELECT * FROM datafusion.information_schema.df_settings
PREPARE p AS SELECT 1
PREPARE p AS INSERT INTO t VALUES (1)
EXECUTE p
EXECUTE p(1)
EXECUTE IMMEDIATE 'SELECT 1'
EXEC p
DEALLOCATE p
DEALLOCATE ALL
BEGIN
BEGIN TRANSACTION
START TRANSACTION
COMMIT
ROLLBACK
SAVEPOINT s
RELEASE SAVEPOINT s
END
DECLARE c CURSOR FOR SELECT 1
FETCH ALL FROM c
CLOSE c
OPEN c
LISTEN x
NOTIFY x
UNLISTEN x
LOCK TABLE t
DISCARD ALL
USE other
USE mydb
KILL 1
KILL QUERY 1
FLUSH TABLES
ANALYZE t
ANALYZE TABLE t COMPUTE STATISTICS
VACUUM
VACUUM t
OPTIMIZE TABLE t
CHECKPOINT
FORCE CHECKPOINT
CACHE TABLE t
UNCACHE TABLE t
MSCK REPAIR TABLE t
REINDEX t
REFRESH MATERIALIZED VIEW t
GRANT ALL ON t TO public
REVOKE ALL ON t FROM public
DENY SELECT ON t TO public
CALL p()
CALL pragma_version()
DO $$ BEGIN END $$
PRAGMA database_list
PRAGMA table_info('t')
PRAGMA memory_limit = '1GB'
ATTACH '{file}' AS x
ATTACH 'x.db' AS x
ATTACH DATABASE '{file}' AS x
ATTACH 'http://example.com/x.db' AS x (TYPE sqlite)
DETACH mydb
INSTALL httpfs
INSTALL httpfs FROM 'http://example.com'
FORCE INSTALL httpfs
LOAD httpfs
LOAD '{folder}/x.so'
LOAD DATA INPATH '{file}' INTO TABLE t
ASSERT 1 = 1
PRINT 'x'
WAITFOR DELAY '00:10'
RAISERROR('x', 1, 1)
WHILE 1 = 1 BEGIN SELECT 1 END
IF 1 = 1 THEN SELECT 1; END IF
CASE WHEN 1 = 1 THEN SELECT 1; END CASE

# Several statements, comments, quotes
SELECT 1; SELECT 2
SELECT 1;; SELECT 2
SELECT 1; DROP TABLE t
SELECT 1 /* ; */; DELETE FROM t
SELECT 1;/**/DROP TABLE t
; DROP TABLE t
SELECT '1'; DROP TABLE t; --'
SELECT 1 /*! UNION SELECT 2 */; DROP TABLE t
SELECT 1 -- x\nDROP TABLE t
DROP/**/TABLE t
dRoP tAbLe t
"DROP" TABLE t
`DROP` TABLE t
[DROP] TABLE t
DROP TABLE t; SELECT 1
(DROP TABLE t)
((INSERT INTO t VALUES (1)))
{fn drop_table('t')}
SELECT {fn read_csv('{file}')}
SELECT $$x$$; DROP TABLE t
SELECT E'\\'; DROP TABLE t; --'
SELECT U&'\0027'; DROP TABLE t
SELECT 'unended
SELECT "unended
SELECT /* unended
SELECT $tag$ unended
SELECT 1)) OR (1=1
SELECT * FROM "t""; DROP TABLE t"
SELECT * FROM mydb.t.x.y.z
SELECT * FROM "mydb.t".x
SELECT * FROM ""
SELECT * FROM "".""
SELECT * FROM "."
SELECT * FROM ".."
SELECT * FROM "../t"
SELECT * FROM "t/"
SELECT * FROM "/t"
SELECT * FROM "t%00"
SELECT * FROM "%2e%2e%2f"
SELECT * FROM mydb."t:{x}"
SELECT * FROM "{folder}"
SELECT * FROM "my\db"."t"
SELECT * FROM "*"

# Look-alikes
ＤＲＯＰ TABLE t
DROР TABLE t
DЕLETE FROM t
ＣＯＰＹ t TO '{folder}/x'
ѕELECT 1
SELECT * FROM ｔ
SELECT * FROM mуdb.t
SELECT * FROM t﹔ DROP TABLE t
SELECT ‘a’
SELECT * FROM “t”
SELECT 1； DROP TABLE t
SELECT read_ｔext('{file}')

# Names that mean nothing, and shadows
WITH information_schema AS (SELECT 1) SELECT * FROM information_schema.df_settings
WITH t AS (SELECT * FROM '{file}') SELECT * FROM t
WITH df_settings AS (SELECT 1) SELECT * FROM information_schema.df_settings
WITH RECURSIVE a AS (SELECT * FROM a) SELECT * FROM a, '{file}'
SELECT * FROM t AS a, a.b
SELECT t.*, nope.* FROM t
SELECT nope FROM t
SELECT * FROM nope
SELECT * FROM nope.t
SELECT nope(1)
SELECT mydb.count(1)
SELECT * FROM t PIVOT (sum(x) FOR time IN (1))
SELECT * FROM t UNPIVOT (a FOR b IN (x))
PIVOT t ON time USING sum(x)
UNPIVOT t ON x INTO NAME a VALUE b
SELECT * FROM t POSITIONAL JOIN t AS u
SELECT * FROM t ASOF JOIN t AS u ON t.time >= u.time
SELECT * FROM t MATCH_RECOGNIZE (ORDER BY time PATTERN (a) DEFINE a AS true)
SELECT * FROM t TABLESAMPLE (10 PERCENT)
SELECT date_bin_gapfill(INTERVAL '1 hour', time) FROM t
