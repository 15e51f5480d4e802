import assert from "node:assert/strict";
import { test } from "node:test";
import { whyNoHostText } from "./host-address.js";

test("addresses that no host can have, and why", () => {
  const rows: Record<string, string> = {
    "0.0.0.0": "the wildcard address",
    "::": "the wildcard address",
    "0.0.0.7/8": "an address of 0.0.0.0/8, which is no network",
    "127.0.0.1": "a loopback address",
    "127.1.2.3/16": "a loopback address",
    "::1/128": "a loopback address",
    "224.0.0.1": "a multicast address",
    "ff02::1": "a multicast address",
    "255.255.255.255": "the broadcast address",
    "10.77.0.0/16": "the network address of 10.77.0.0/16",
    "10.77.255.255/16": "the broadcast address of 10.77.0.0/16",
    "::ffff:10.77.255.255/112": "the broadcast address of 10.77.0.0/16",
    "10.0.0.3/30": "the broadcast address of 10.0.0.0/30",
    "fd77::/64": "the routers' anycast address of fd77::/64",
  };
  for (const [text, why] of Object.entries(rows)) assert.equal(whyNoHostText(text), why, text);
});

test("what a host can have, networks of two and one included", () => {
  for (const text of [
    "10.77.0.1/16",
    "10.77.1.0/16",
    "10.77.0.0",
    "10.0.0.0/31",
    "10.0.0.255/32",
    "::ffff:10.0.0.2/120",
    "fd77::1/64",
    "fd77::/127",
    "fd77::/128",
    "fe80::1",
    "no address",
  ])
    assert.equal(whyNoHostText(text), "", text);
});
