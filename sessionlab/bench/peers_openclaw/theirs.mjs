// One process that lists, gets and updates sessions with the functions of an installed OpenClaw, and prints what that took as a JSON line.
// Its only argument is the task, as JSON: {folder, store, agent, key, rounds, updates, budget_ms}.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

// What is public comes first: the modules that a plugin imports. The bundles, whose names hold a hash, are searched for the rest.
const PUBLIC = ["session-store-runtime", "config-runtime"];
const WANTED = {
  list: ["listSessionEntries", "loadSessionStore"],
  get: ["getSessionEntry", "loadSessionStore"],
  update: ["updateSessionStoreEntry", "updateSessionStore"],
};

class Missing extends Error {}

const task = JSON.parse(process.argv[2]);
const dist = path.join(task.folder, "dist");
const isCode = (name) => name.endsWith(".js") || name.endsWith(".mjs");

// Under which name a bundle exports a function: `export { loadSessionStore as i }` does it as "i".
function exportedAs(text, name) {
  for (const [, clause] of text.matchAll(/\bexport\s*\{([^}]*)\}/g)) {
    for (const item of clause.split(",")) {
      const [inner, outer = inner] = item.trim().split(/\s+as\s+/);
      if (inner === name || outer === name) return outer;
    }
  }
  return new RegExp(`\\bexport\\s+(?:async\\s+)?(?:function|const|let|var)\\s+${name}\\b`).test(text) ? name : null;
}

async function published() {
  const found = [];
  for (const name of PUBLIC) {
    const file = path.join(dist, "plugin-sdk", `${name}.js`);
    if (fs.existsSync(file)) found.push(await import(pathToFileURL(file)));
  }
  return found;
}

let bundles = null;
async function bundled(name) {
  bundles ??= fs.readdirSync(dist).filter(isCode).sort().map((file) => path.join(dist, file));
  // A bundle that defines the function before those that pass it on, and these before the program's entry, which does more when it is loaded.
  const places = [];
  for (const file of bundles) {
    const text = fs.readFileSync(file, "utf8");
    const as = text.includes(name) ? exportedAs(text, name) : null;
    if (as !== null) places.push({ file, as, isHome: new RegExp(`\\b(?:function|const)\\s+${name}\\b`).test(text) });
  }
  const place = places.find((one) => one.isHome) ?? places[0];
  return place && (await import(pathToFileURL(place.file)))[place.as];
}

async function find(names) {
  const modules = await published();
  for (const name of names) {
    for (const module of modules) if (typeof module[name] === "function") return { name, call: module[name] };
  }
  for (const name of names) {
    const call = await bundled(name);
    if (typeof call === "function") return { name, call };
  }
  throw new Missing(`no file of ${dist} exports ${names.join(" or ")}`);
}

const where = { storePath: task.store, agentId: task.agent };

function operations({ list, get, update }) {
  return {
    // Only the keys are kept of a list, so that no list has the one before it in its way.
    list:
      list.name === "listSessionEntries"
        ? () => list.call(where).map((one) => one.sessionKey)
        : () => Object.keys(list.call(task.store)),
    entries:
      list.name === "listSessionEntries"
        ? () => list.call(where).map((one) => one.entry)
        : () => Object.values(list.call(task.store)),
    get: get.name === "getSessionEntry" ? (key) => get.call({ ...where, sessionKey: key }) : (key) => get.call(task.store)[key],
    // Nothing but the update itself: what a maintenance would remove now is removed by no round after it.
    update:
      update.name === "updateSessionStoreEntry"
        ? (key, fields) =>
            update.call({ storePath: task.store, sessionKey: key, update: async () => fields, skipMaintenance: true })
        : (key, fields) =>
            update.call(task.store, (store) => void Object.assign(store[key], fields), { skipMaintenance: true }),
  };
}

async function timed(call) {
  const start = performance.now();
  const value = await call();
  return { ms: performance.now() - start, value };
}

// At least three times, at most `times`, and none is begun when the time for them is over. What is done before each is not timed.
async function median(times, call, before = () => {}) {
  const taken = [];
  const end = performance.now() + task.budget_ms;
  while (taken.length < 3 || (taken.length < times && performance.now() < end)) {
    await before(taken.length);
    taken.push((await timed(() => call(taken.length))).ms);
  }
  taken.sort((a, b) => a - b);
  return (taken[(taken.length - 1) >> 1] + taken[taken.length >> 1]) / 2;
}

function memoryMb(name) {
  const line = fs.readFileSync("/proc/self/status", "utf8").split("\n").find((one) => one.startsWith(name));
  return (Number(line.split(/\s+/)[1]) * 1024) / 1e6;
}

async function measure() {
  const functions = {};
  for (const [name, names] of Object.entries(WANTED)) functions[name] = await find(names);
  const { list, entries, get, update } = operations(functions);
  const base_mb = memoryMb("VmHWM");
  const cold = await timed(list);
  const keys = cold.value;
  const found = {
    functions: Object.values(functions).map((one) => one.name),
    base_mb,
    listed: keys.length,
    cold_list_ms: cold.ms,
  };
  if (!keys.length) return found;
  let label = "";
  const change = (turn) => {
    label = `${task.word} ${turn} ${"x".repeat(turn % 97)}`;
    return update(task.key, { label });
  };
  found.warm_list_ms = await median(task.rounds, list, change);
  found.get_ms = await median(task.updates, (turn) => get(keys[(turn * 7919) % keys.length]));
  found.update_ms = await median(task.updates, change);
  found.is_updated = (await get(task.key))?.label === label;
  found.peak_mb = memoryMb("VmHWM");
  const sizes = entries().map((entry) => Buffer.byteLength(JSON.stringify(entry)));
  found.entry_kb = sizes.reduce((sum, size) => sum + size, 0) / sizes.length / 1000;
  return found;
}

try {
  const found = await measure();
  process.stdout.write(`\n${JSON.stringify({ sessionlab: found })}\n`, () => process.exit(0));
} catch (error) {
  const reason = error instanceof Missing ? error.message : `${error?.name}: ${error?.message}`.split("\n")[0];
  process.stdout.write(`\n${JSON.stringify({ sessionlab: { reason } })}\n`, () => process.exit(1));
}
