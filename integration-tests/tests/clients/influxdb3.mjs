// @influxdata/influxdb3-client: writes over HTTP and reads over gRPC, on one port.

import assert from 'node:assert/strict'
import {createRequire} from 'node:module'

const require = createRequire(`${process.env.CLIENTS}/`)
const {InfluxDBClient, Point, HttpError} = require('@influxdata/influxdb3-client')

const [host] = process.argv.slice(2)
const database = 'of_js'
const client = new InfluxDBClient({host, token: process.env.TOKEN, database})

const point = Point.measurement('cpu')
  .setTag('host', 'a')
  .setFloatField('busy', 1.5)
  .setIntegerField('n', 7)
  .setBooleanField('on', true)
  .setStringField('note', 'fog')
  .setTimestamp(1_000_000_000)
await client.write(point, database, undefined, {precision: 'ns'})
await client.write('cpu,host=b busy=2.5,n=8i 2000', database, undefined, {precision: 'ms'})
await client.write('cpu,host=c busy=3.5,n=9i 3', database, undefined, {precision: 's', noSync: true})

const rows = []
const sql = 'SELECT host, busy, n, note, time FROM cpu ORDER BY time'
for await (const row of client.query(sql, database)) rows.push(row)
assert.deepEqual(rows.slice(0, 2).map(row => row.host), ['a', 'b'])
assert.deepEqual(rows.slice(0, 2).map(row => Number(row.busy)), [1.5, 2.5])

// The kinds of columns come with the answer: without them this client takes tags for fields.
const points = []
for await (const found of client.queryPoints(sql, database)) points.push(found)
assert.equal(points[0].getTag('host'), 'a')
assert.equal(points[0].getFieldType('busy'), 'float')
assert.equal(points[0].getFieldType('n'), 'integer')
assert.equal(points[0].getStringField('note'), 'fog')
// Of nanoseconds this client makes milliseconds.
assert.equal(Number(points[0].getTimestamp()), 1_000)

const some = []
const parameters = {type: 'sql', params: {host: 'b', low: 1.5}}
for await (const row of client.query('SELECT n FROM cpu WHERE host = $host AND busy > $low', database, parameters)) {
  some.push(Number(row.n))
}
assert.deepEqual(some, [8])
assert.ok(await client.getServerVersion())

async function refused(sql, options) {
  try {
    for await (const _ of client.query(sql, database, options)) assert.fail('a row')
  } catch (error) {
    return error
  }
  assert.fail(`${sql} was not refused`)
}
// gRPC's own error, with the code that says whose mistake it is.
const wrong = await refused('SELEC 1')
assert.equal(wrong.code, 'INVALID_ARGUMENT', wrong)
assert.equal(wrong.name, 'RpcError')
assert.equal((await refused('SELECT * FROM nope')).code, 'INVALID_ARGUMENT')
const influxql = await refused('SHOW MEASUREMENTS', {type: 'influxql'})
assert.match(influxql.message, /InfluxQL is not part of this version/)

await assert.rejects(
  client.write('cpu,host=d busy=4.5 4\ncpu,host=e busy= 5', database, undefined, {precision: 's', noSync: true}),
  error => error instanceof HttpError && error.statusCode === 400 && /line 2/.test(`${error.message}${error.body}`)
)
const stranger = new InfluxDBClient({host, token: 'wrong', database})
await assert.rejects(
  stranger.write('cpu busy=1', database),
  error => error instanceof HttpError && error.statusCode === 401
)
await assert.rejects(async () => {
  for await (const _ of stranger.query('SELECT 1', database)) assert.fail('a row')
}, {code: 'UNAUTHENTICATED'})

await stranger.close()
await client.close()
console.log('done')
