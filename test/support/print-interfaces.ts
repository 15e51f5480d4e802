/** Prints the names of the interfaces around it: what a namespace test runs inside one. */
import { readdirSync } from "node:fs";

console.log(readdirSync("/sys/class/net").sort().join(" "));
