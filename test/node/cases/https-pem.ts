/** Keys and certificates in the forms of PEM that programs have, for HTTPS and HTTP/2. */
import { createPrivateKey } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { errorText, trace } from "../support/trace.js";

const folder = process.env.CASE_CERTIFICATES!;
const key = readFileSync(`${folder}/key.pem`, "utf8");
const cert = readFileSync(`${folder}/cert.pem`, "utf8");
const object = createPrivateKey(key);
const passphrase = "open";
const sec1 = object.export({ type: "sec1", format: "pem" });
const encrypted = object.export({
  type: "pkcs8",
  format: "pem",
  cipher: "aes-256-cbc",
  passphrase,
});
const withText = (pem: string): string => `Subject: CN = localhost\n\n${pem}\n# the end\n`;

const FORMS: Record<string, SecureContextOptions> = {
  "PKCS 8": { key, cert },
  "SEC 1, buffers": { key: Buffer.from(sec1), cert: Buffer.from(cert) },
  encrypted: { key: encrypted, passphrase, cert },
  "encrypted, in a list": { key: [{ pem: encrypted, passphrase }], cert: [cert] },
  "CRLF, text around": { key: key.replaceAll("\n", "\r\n"), cert: withText(cert) },
  "both in one file": { key: key + cert, cert: key + cert },
  "a chain": { key, cert: cert + cert },
  "wrong passphrase": { key: encrypted, passphrase: "shut", cert },
  "no end": { key, cert: cert.slice(0, -40) },
};

for (const [form, options] of Object.entries(FORMS)) {
  try {
    const server = http2.createSecureServer(
      { ...options, allowHTTP1: true },
      (request, response) => {
        response.end(`${form} by ${request.httpVersion}`);
      },
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const get = https.get({ port, host: "127.0.0.1", ca: [cert], agent: false });
    const [response] = (await once(get, "response")) as [import("node:http").IncomingMessage];
    for await (const d of response) trace("https", String(d));
    const client = http2.connect(`https://127.0.0.1:${port}`, { ca: cert });
    for await (const d of client.request()) trace("http2", String(d));
    client.close();
    await once(client, "close");
    server.close();
    await once(server, "close");
  } catch (error) {
    // Bytes that were decrypted by a wrong key are now and then taken for a key of an unknown kind.
    const isChance = form === "wrong passphrase" && error instanceof Error;
    trace("error", form, isChance ? "" : errorText(error));
  }
}
