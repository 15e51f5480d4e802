/** A Millrace host that shares an interface and echoes at a port of it: to be killed. */
import { openXdp } from "../../src/nic/xdp.js";
import { createHost, sharedPool } from "../../src/socket/create-host.js";
import { serveEcho } from "./echo-services.js";

const [name, port] = [process.argv[2]!, Number(process.argv[3])];
const device = openXdp(sharedPool(), { interface: name, shared: true });
await serveEcho(createHost({ device }), port);
console.log("ready");
