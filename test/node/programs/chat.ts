/**
 * Talks in a multicast group: says a few lines once everybody is there, and prints what it hears, its own
 * lines as well, when all have said theirs.
 *
 *     chat.js NAME OTHER ADDRESS
 */
import dgram from "node:dgram";
import { once } from "node:events";

const [name = "", other = "", address = ""] = process.argv.slice(2);
const GROUP = "239.78.1.1";
const PORT = 7_800;
const LINES = 3;

const socket = dgram.createSocket({ type: "udp4", reuseAddr: true });
socket.bind(PORT);
await once(socket, "listening");
socket.addMembership(GROUP, address);
socket.setMulticastInterface(address);
socket.setMulticastTTL(1);
socket.setMulticastLoopback(true);

const heard = new Map<string, string[]>();
const say = (text: string): void => socket.send(`${name} ${text}`, PORT, GROUP);
// Until the other one answers: it may join later.
const greeting = setInterval(() => say("is here"), 50);
let isTalking = false;
socket.on("message", (message, from) => {
  const [who = "", ...words] = String(message).split(" ");
  const text = words.join(" ");
  if (text === "is here") {
    if (who === other && !isTalking) talk();
    return;
  }
  const lines = heard.get(who) ?? [];
  heard.set(who, lines);
  lines.push(`${text} (${from.address})`);
  if ((heard.get(name)?.length ?? 0) < LINES || (heard.get(other)?.length ?? 0) < LINES) return;
  clearInterval(greeting);
  for (const [speaker, said] of [...heard].sort()) console.log(`${speaker}: ${said.join(", ")}`);
  socket.dropMembership(GROUP, address);
  socket.close();
});

/** Greets once more: the other one may have heard none yet. */
function talk(): void {
  isTalking = true;
  say("is here");
  for (let i = 1; i <= LINES; i++) say(`line ${i}`);
}
