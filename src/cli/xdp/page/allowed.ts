/**
 * Which requests the page answers. A browser that was led here by another site must not get anything: names
 * that are made to point at this machine (DNS rebinding) are refused by their Host header, requests of other
 * sites' pages by Origin and Sec-Fetch-Site. No CORS header is ever sent.
 */
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";

/** Why not; null: it is allowed. `ownName`: what the user listens on. */
export function refusal(
  method: string,
  headers: IncomingHttpHeaders,
  ownName: string,
): string | null {
  const { host, origin } = headers;
  const name = nameOf(host ?? "");
  if (name === null || !isOurs(name, ownName)) {
    return "the Host header names another site; open the address that millrace xdp serve printed";
  }
  if (method !== "GET" && method !== "POST") return "only GET and POST are answered";
  if (origin !== undefined && origin !== `http://${host}`) return "this is another site's request";
  const site = headers["sec-fetch-site"];
  const isNavigation = method === "GET" && headers["sec-fetch-mode"] === "navigate";
  if (site === "cross-site" && !isNavigation) return "this is another site's request";
  if (method === "POST" && headers["content-type"] !== "application/octet-stream") {
    return "expected content of type application/octet-stream";
  }
  return null;
}

/** `127.0.0.1` of `127.0.0.1:80`, `::1` of `[::1]:80`. */
function nameOf(host: string): string | null {
  const found = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::\d{1,5})?$/i.exec(host);
  return found === null ? null : (found[1] ?? found[2]!).toLowerCase();
}

/** Addresses cannot be rebound, only names. */
const isOurs = (name: string, ownName: string): boolean =>
  name === "localhost" || name === ownName.toLowerCase() || isIP(name) !== 0;
