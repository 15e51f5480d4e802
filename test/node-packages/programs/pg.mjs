// pg and a real PostgreSQL, at the address and port that are given.
import pg from "pg";

const [host, port] = process.argv.slice(2);
const pool = new pg.Pool({
  host,
  port: Number(port),
  user: "postgres",
  database: "postgres",
  max: 4,
});
const { rows } = await pool.query("select $1::int + 1 as n, $2::text as t", [41, "ž"]);
console.log(rows);
const all = await Promise.all(
  Array.from({ length: 50 }, (_, i) => pool.query("select $1::int as i", [i])),
);
console.log(all.map((r) => r.rows[0].i).join());
const client = await pool.connect();
await client.query("create temporary table t (id serial, data bytea)");
await client.query("insert into t (data) values ($1)", [Buffer.alloc(1_000_000, 9)]);
console.log((await client.query("select data from t")).rows[0].data.length);
await client.query("begin");
await client.query("select nonsense").catch((e) => console.log(e.code));
await client.query("rollback");
console.log((await client.query("select generate_series(1, 10000) as n")).rowCount);
const heard = new Promise((resolve) => client.on("notification", (n) => resolve(n.payload)));
await client.query("listen news");
await pool.query("notify news, 'something'");
console.log(await heard);
client.release();
await pool.end();
