// A client of jobd in Node, with nothing but its own http: submits in every way, waits, and reads what came of it.
import { Agent, request } from "node:http";

const agent = new Agent({ keepAlive: true, maxSockets: 8 });
const [socketPath, count] = [process.argv[2], Number(process.argv[3])];

function ask(method, path, body, type = "application/json") {
  return new Promise((resolve, reject) => {
    const asked = request({ agent, socketPath, method, path, headers: body ? { "content-type": type } : {} }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => {
        const text = Buffer.concat(parts).toString();
        answer.statusCode < 400 ? resolve(text) : reject(new Error(`${answer.statusCode}: ${text}`));
      });
      answer.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

async function post(body, type) {
  return JSON.parse(await ask("POST", "/v1/runs", body, type));
}

const work = Array.from({ length: count }, (_, n) => ({ job: "cl-work", payload: { client: "node", n } }));
const third = Math.ceil(count / 3);
const one = await Promise.all(work.slice(0, third).map((item) => post(JSON.stringify(item))));
const many = await post(JSON.stringify(work.slice(third, 2 * third)));
const lines = work.slice(2 * third).map((item) => JSON.stringify(item)).join("\n");
const streamed = await post(lines, "application/x-ndjson");

const told = {};
for (const id of [...one.map((run) => run.id), ...many.ids, ...streamed.ids]) {
  let run;
  do {
    run = JSON.parse(await ask("GET", `/v1/runs/${id}/wait?timeout=20`));
  } while (!run.final);
  told[id] = [run.result, await ask("GET", `/v1/runs/${id}/output?stream=stdout`)];
}
agent.destroy();
console.log(JSON.stringify(told));
