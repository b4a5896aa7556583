// Loaded before a measured OpenClaw (`node --import`): it works on files, so every connection and every look-up of a name is refused.
import dgram from "node:dgram";
import dns from "node:dns";
import net from "node:net";
import { syncBuiltinESMExports } from "node:module";

const refuse = () => {
  throw new Error("sessionlab measures OpenClaw without a network");
};
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const options = Array.isArray(given[0]) ? given[0][0] : given[0];
  const isLocal = typeof options === "string" || (options !== null && typeof options === "object" && options.path);
  return isLocal ? connect.apply(this, given) : refuse();
};
dgram.Socket.prototype.send = refuse;
dns.lookup = refuse;
dns.promises.lookup = refuse;
syncBuiltinESMExports();
