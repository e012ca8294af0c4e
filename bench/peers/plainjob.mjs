// The Node side of plainjob: `plainjob.mjs MODE FILE FULL …`; modes put SECONDS, preload COUNT, work KIND, stamped.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import fs from "node:fs";
import path from "node:path";

const place = process.env.PEER_NODE;
const Database = createRequire(path.join(place, "x.js"))("better-sqlite3");
const entry = pathToFileURL(path.join(place, "node_modules/plainjob/dist/plainjob.js"));
const { better, defineQueue, defineWorker } = await import(entry);

const [mode, file, full, word] = process.argv.slice(2);
const logger = { error: console.error, warn() {}, info() {}, debug() {} };
const connection = new Database(file);
const queue = defineQueue({ connection: better(connection), logger });
if (full === "full") connection.pragma("synchronous = 2");
const payload = { text: "x".repeat(200) };
const now = () => Number(process.hrtime.bigint()) / 1e9;

if (mode === "put") {
  queue.add("nothing", payload);
  process.stdout.write("ready\n");
  process.stdin.once("data", () => {
    let count = 0;
    for (const ends = now() + Number(word); now() < ends; count++) queue.add("nothing", payload);
    process.stdout.write(`${count}\n`, () => process.exit(0));
  });
} else if (mode === "preload") {
  for (let left = Number(word); left > 0; left -= 10000) {
    queue.addMany("nothing", Array(Math.min(left, 10000)).fill(payload));
  }
  process.exit(0);
} else if (mode === "stamped") {
  queue.add("stamped", { at: now() });
  process.exit(0);
} else {
  const directory = process.env.PEER_DIRECTORY;
  const counter = fs.openSync(path.join(directory, "counts", String(process.pid)), "w+");
  const cell = Buffer.alloc(8);
  let count = 0n;
  const nothing = async () => {
    cell.writeBigInt64LE(++count);
    fs.writeSync(counter, cell, 0, 8, 0);
  };
  const stamped = async (job) => {
    fs.appendFileSync(path.join(directory, "late"), `${(now() - JSON.parse(job.data).at).toFixed(9)}\n`);
  };
  defineWorker(word, word === "nothing" ? nothing : stamped, { queue, logger }).start();
}
