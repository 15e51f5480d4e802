/** Route look-up against a linear scan, prefixes, and source filters against sets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { IpAddress } from "../base/ip-address.js";
import { NEVER } from "../base/time.js";
import type { Interface } from "./interface.js";
import { commonBits, fullBits, maskTo, parsePrefix, samePrefix } from "./prefix.js";
import { covers, type Route, RouteTable } from "./routes.js";
import { allows, FilterMode, merge, type SourceFilter } from "./source-filter.js";

// Few different bits, so that prefixes nest and collide.
const word = fc.constantFrom(0, 1, 0x0a000000, 0x0a000001, 0x0a800000, -1, 0x20010db8);
const address = fc.oneof(
  word.map((w) => IpAddress.v4(w)),
  fc.tuple(word, word, word, word).map(([a, b, c, d]) => new IpAddress(a, b, c, d)),
);
const iface = (index: number): Interface => ({ index }) as Interface;

const routeSpec = fc.record({
  address,
  bits: fc.integer({ min: 0, max: 128 }),
  metric: fc.integer({ min: 0, max: 2 }),
  index: fc.integer({ min: 1, max: 2 }),
});

test("find() agrees with a scan over all routes: longest prefix, lowest metric, oldest", () => {
  const specs = fc.array(routeSpec, { maxLength: 12 });
  fc.assert(
    fc.property(specs, address, fc.integer({ min: 0, max: 2 }), (list, dst, ifIndex) => {
      const table = new RouteTable();
      const routes: Route[] = list.map((s) => {
        const destination = new IpAddress();
        maskTo(s.address, s.bits, destination);
        const fixed = { gateway: null, src: null, origin: 0, expiresAtUs: NEVER };
        const { bits, metric } = s;
        return { destination, bits, metric, iface: iface(s.index), ...fixed };
      });
      for (const r of routes) table.add(r);
      let best: Route | null = null;
      for (const r of routes) {
        if (!covers(r, dst) || (ifIndex !== 0 && r.iface.index !== ifIndex)) continue;
        if (best === null || r.bits > best.bits) best = r;
        else if (r.bits === best.bits && r.metric < best.metric) best = r;
      }
      assert.equal(
        table.find(dst, ifIndex, () => true),
        best,
      );
      assert.equal([...table].length, routes.length);
    }),
    { numRuns: 300 },
  );
});

test("a route that is not usable gives way to the next of its prefix, and serves if there is none", () => {
  const table = new RouteTable();
  const make = (index: number, metric: number): Route => {
    const gateway = IpAddress.v4(index);
    const fixed = { src: null, origin: 0, expiresAtUs: NEVER, destination: IpAddress.v4(0) };
    return { ...fixed, bits: 96, iface: iface(index), gateway, metric };
  };
  const [first, second] = [make(1, 0), make(2, 5)];
  table.add(second);
  table.add(first);
  const dst = IpAddress.parse("8.8.8.8");
  assert.equal(
    table.find(dst, 0, () => true),
    first,
  );
  assert.equal(
    table.find(dst, 0, (r) => r !== first),
    second,
  );
  assert.equal(
    table.find(dst, 0, () => false),
    first,
  );
  assert.equal(
    table.remove((r) => r === first),
    1,
  );
  assert.equal(
    table.find(dst, 0, () => true),
    second,
  );
  assert.equal(table.size, 1);
});

test("prefixes are parsed, masked and compared", () => {
  assert.equal(fullBits(parsePrefix("10.0.0.0/8")), 104);
  assert.equal(fullBits(parsePrefix("fd00::1")), 128);
  for (const bad of ["10.0.0.1/33", "10.0.0.1/", "fd00::/129", "10.0.0.1/-1"]) {
    assert.throws(() => parsePrefix(bad), TypeError);
  }
  fc.assert(
    fc.property(address, address, fc.integer({ min: 0, max: 128 }), (a, b, bits) => {
      assert.equal(samePrefix(a, b, bits), commonBits(a, b) >= bits);
      const masked = new IpAddress();
      maskTo(a, bits, masked);
      assert.equal(samePrefix(a, masked, bits), true);
    }),
  );
});

test("a merged filter lets a source pass exactly when one of the sockets wants it", () => {
  const universe = [1, 2, 3, 4].map((w) => IpAddress.v4(w));
  const filter = fc.record({
    mode: fc.constantFrom(FilterMode.INCLUDE, FilterMode.EXCLUDE),
    sources: fc.subarray(universe),
  });
  fc.assert(
    fc.property(fc.array(filter, { maxLength: 4 }), (filters: SourceFilter[]) => {
      const merged = merge(filters);
      for (const source of [...universe, IpAddress.v4(99)]) {
        const wanted = filters.some((f) => allows(f, source));
        assert.equal(allows(merged, source), wanted);
      }
    }),
  );
});
