/**
 * A small language that selects packets, in the words of pcap filters:
 *
 *     expression = term { ("and" | "&&" | "or" | "||") term }    "and" binds closer than "or"
 *     term       = ["not" | "!"] ( "(" expression ")" | primitive )
 *     primitive  = [src|dst] host ADDRESS      [src|dst] net PREFIX
 *                | [tcp|udp] [src|dst] port N  [tcp|udp] [src|dst] portrange A-B
 *                | ether [src|dst] [host] MAC  ether broadcast | ether multicast
 *                | tcp udp icmp icmp6 igmp arp ip ip6    vlan [ID]    less N    greater N
 *
 * A value without a word before it takes the words of the value before: `port 80 or 443`.
 * Deviation from pcap filters: VLAN tags and IPv6 extension headers are always looked through.
 */
import { IpAddress } from "../base/ip-address.js";
import type { CapturedPacket } from "./capture-file.js";
import * as ethernet from "./ethernet.js";
import * as ipProtocol from "./ip-protocol.js";
import { PacketFields } from "./packet-fields.js";

/** Where a filter stops making sense: column from 1, and what was expected there. */
export interface FilterError {
  readonly column: number;
  readonly message: string;
}

type Test = (fields: PacketFields, packet: CapturedPacket) => boolean;

/** A parsed filter. */
export class PacketFilter {
  private readonly test: Test;
  private readonly fields = new PacketFields();

  constructor(test: Test) {
    this.test = test;
  }

  matches(packet: CapturedPacket): boolean {
    this.fields.read(packet);
    return this.test(this.fields, packet);
  }
}

/** Parses a filter; an empty one selects everything. */
export function parseFilter(text: string): PacketFilter | FilterError {
  const parser = new Parser(text);
  try {
    return new PacketFilter(parser.parse());
  } catch (error) {
    if (error instanceof Unexpected) return { column: error.column, message: error.message };
    throw error;
  }
}

/** Leaves the recursive descent; never leaves this file. */
class Unexpected extends Error {
  readonly column: number;

  constructor(column: number, message: string) {
    super(message);
    this.column = column;
  }
}

interface Token {
  readonly text: string;
  readonly column: number;
}

const END = "";
const MAX_NESTING = 64;

function tokens(text: string): Token[] {
  const found: Token[] = [];
  for (const match of text.matchAll(/\s+|[()!]|&&|\|\||[^\s()!&|]+|./g)) {
    if (match[0].trim() !== "") found.push({ text: match[0], column: match.index + 1 });
  }
  found.push({ text: END, column: text.length + 1 });
  return found;
}

type Direction = "src" | "dst" | "either";
/** Makes the test for a value that follows a primitive's words; null when it is no such value. */
type ValueTest = (text: string) => Test | null;

const PROTOCOLS: Readonly<Record<string, Test>> = {
  tcp: (f) => f.protocol === ipProtocol.TCP,
  udp: (f) => f.protocol === ipProtocol.UDP,
  icmp: (f) => f.ipVersion === 4 && f.protocol === ipProtocol.ICMPV4,
  icmp6: (f) => f.ipVersion === 6 && f.protocol === ipProtocol.ICMPV6,
  igmp: (f) => f.ipVersion === 4 && f.protocol === ipProtocol.IGMP,
  arp: (f) => f.etherType === ethernet.TYPE_ARP,
  ip: (f) => f.ipVersion === 4,
  ip6: (f) => f.ipVersion === 6,
};

class Parser {
  private readonly all: Token[];
  private place = 0;
  private depth = 0;
  /** The value test of the last primitive, and what its values are, for `port 80 or 443`. */
  private lastValue: ValueTest | null = null;
  private lastWanted = "";

  constructor(text: string) {
    this.all = tokens(text);
  }

  parse(): Test {
    if (this.peek() === END) return () => true;
    const test = this.either();
    if (this.peek() !== END) this.fail("`and`, `or` or the end");
    return test;
  }

  private either(): Test {
    if (++this.depth > MAX_NESTING) this.fail(`at most ${MAX_NESTING} nested parentheses`);
    let left = this.both();
    while (this.takes("or", "||")) {
      const [a, b] = [left, this.both()];
      left = (f, p) => a(f, p) || b(f, p);
    }
    this.depth--;
    return left;
  }

  private both(): Test {
    let left = this.negation();
    while (this.takes("and", "&&")) {
      const [a, b] = [left, this.negation()];
      left = (f, p) => a(f, p) && b(f, p);
    }
    return left;
  }

  private negation(): Test {
    let isNegated = false;
    while (this.takes("not", "!")) isNegated = !isNegated;
    const test = this.term();
    return isNegated ? (f, p) => !test(f, p) : test;
  }

  private term(): Test {
    if (!this.takes("(")) return this.primitive();
    const test = this.either();
    if (!this.takes(")")) this.fail("`)`");
    return test;
  }

  private primitive(): Test {
    const word = this.peek();
    if (this.takes("ether")) return this.ether();
    if (this.takes("vlan")) return this.vlan();
    if (this.takes("less")) {
      const most = this.number(0, 1 << 30);
      return (_f, p) => p.lengthBytes <= most;
    }
    if (this.takes("greater")) {
      const least = this.number(0, 1 << 30);
      return (_f, p) => p.lengthBytes >= least;
    }
    const protocol = Object.hasOwn(PROTOCOLS, word) ? PROTOCOLS[word] : undefined;
    if (protocol !== undefined) {
      this.place++;
      return this.afterProtocol(word, protocol);
    }
    if (word === "src" || word === "dst" || isQualifier(word)) return this.qualified();
    return this.bareValue();
  }

  /** `tcp` alone, or `tcp [src|dst] port N`. */
  private afterProtocol(word: string, protocol: Test): Test {
    const next = this.peek();
    const isDirected = next === "src" || next === "dst";
    if (!isDirected && !isQualifier(next)) return protocol;
    const direction = this.direction();
    const kind = this.peek();
    const takesPorts = word === "tcp" || word === "udp";
    if ((kind === "port" || kind === "portrange") && takesPorts) {
      return this.values(kind, direction, protocol);
    }
    if (kind === "host" || kind === "net") return this.values(kind, direction, protocol);
    return this.fail(takesPorts ? "`port`, `portrange`, `host` or `net`" : "`host` or `net`");
  }

  private qualified(): Test {
    const direction = this.direction();
    const kind = this.peek();
    if (!isQualifier(kind)) {
      if (IpAddress.tryParse(kind) !== null) return this.valuesOf(hostTest(direction), ADDRESS);
      return this.fail("`host`, `net`, `port` or `portrange`");
    }
    return this.values(kind, direction, () => true);
  }

  private values(kind: Qualifier, direction: Direction, protocol: Test): Test {
    this.place++;
    const [make, wanted] = VALUE_TESTS[kind](direction);
    return this.valuesOf((text) => {
      const test = make(text);
      return test === null ? null : (f, p) => protocol(f, p) && test(f, p);
    }, wanted);
  }

  /** The value that must follow; it also sets what later bare values mean. */
  private valuesOf(make: ValueTest, wanted: string): Test {
    const test = make(this.peek());
    if (test === null) return this.fail(wanted);
    this.place++;
    this.lastValue = make;
    this.lastWanted = wanted;
    return test;
  }

  /** `443` in `port 80 or 443`, or an address that stands for `host ADDRESS`. */
  private bareValue(): Test {
    const word = this.peek();
    const test = this.lastValue?.(word) ?? hostTest("either")(word);
    if (test === null) {
      const again = this.lastWanted === "" ? "" : `, or ${this.lastWanted}`;
      this.fail(`a primitive such as \`host 10.0.0.1\`, \`port 80\` or \`tcp\`${again}`);
    }
    this.place++;
    return test;
  }

  private ether(): Test {
    if (this.takes("broadcast")) {
      return (f, p) => f.hasEthernet && ethernet.isBroadcast(p.bytes, p.at);
    }
    if (this.takes("multicast")) {
      return (f, p) => f.hasEthernet && ethernet.isGroup(p.bytes, p.at);
    }
    const direction = this.direction();
    this.takes("host");
    return this.valuesOf(macTest(direction), "an Ethernet address like 02:00:5e:10:00:01");
  }

  private vlan(): Test {
    if (!/^\d+$/.test(this.peek())) return (f) => f.vlanId >= 0;
    const id = this.number(0, 4095);
    return (f) => f.vlanId === id;
  }

  private direction(): Direction {
    if (this.takes("src")) return this.orOther("dst", "src");
    if (this.takes("dst")) return this.orOther("src", "dst");
    return "either";
  }

  /** `src or dst` means either. */
  private orOther(other: string, one: Direction): Direction {
    if (this.peek() !== "or" || this.all[this.place + 1]?.text !== other) return one;
    this.place += 2;
    return "either";
  }

  private number(least: number, most: number): number {
    const value = parseNumber(this.peek(), least, most);
    if (value < 0) this.fail(`a number from ${least} to ${most}`);
    this.place++;
    return value;
  }

  private peek(): string {
    return this.all[this.place]!.text;
  }

  /** Moves on when the next token is one of these. */
  private takes(...wanted: string[]): boolean {
    const isNext = wanted.includes(this.peek());
    if (isNext) this.place++;
    return isNext;
  }

  private fail(wanted: string): never {
    const { text, column } = this.all[this.place]!;
    const got = text === END ? "the end of the filter" : `\`${text}\``;
    throw new Unexpected(column, `expected ${wanted}, got ${got}`);
  }
}

type Qualifier = "host" | "net" | "port" | "portrange";

function isQualifier(word: string): word is Qualifier {
  return word === "host" || word === "net" || word === "port" || word === "portrange";
}

const ADDRESS = "an IPv4 or IPv6 address";
const VALUE_TESTS: Readonly<Record<Qualifier, (d: Direction) => [ValueTest, string]>> = {
  host: (d) => [hostTest(d), ADDRESS],
  net: (d) => [netTest(d), "a prefix like 10.0.0.0/8 or fd00::/8"],
  port: (d) => [portTest(d), "a port from 0 to 65535"],
  portrange: (d) => [portRangeTest(d), "a range of ports like 8000-8080"],
};

/** -1 when the text is no decimal number in the range. */
function parseNumber(text: string, least: number, most: number): number {
  if (!/^\d{1,10}$/.test(text)) return -1;
  const value = Number(text);
  return value >= least && value <= most ? value : -1;
}

/** Applies a test of one side to the sides that the direction names. */
function sided(direction: Direction, src: Test, dst: Test): Test {
  if (direction === "src") return src;
  if (direction === "dst") return dst;
  return (f, p) => src(f, p) || dst(f, p);
}

function hostTest(direction: Direction): ValueTest {
  return (text) => {
    const address = IpAddress.tryParse(text);
    if (address === null) return null;
    return sided(
      direction,
      (f) => f.hasAddresses && f.src.equals(address),
      (f) => f.hasAddresses && f.dst.equals(address),
    );
  };
}

function netTest(direction: Direction): ValueTest {
  return (text) => {
    const [base, length, rest] = text.split("/");
    const address = IpAddress.tryParse(base!);
    if (address === null || rest !== undefined) return null;
    const most = address.isV4 ? 32 : 128;
    const bits = length === undefined ? most : parseNumber(length, 0, most);
    if (bits < 0) return null;
    // IPv4 addresses are held as ::ffff:a.b.c.d, so their prefix is 96 bits longer.
    const prefix = address.isV4 ? bits + 96 : bits;
    return sided(
      direction,
      (f) => f.hasAddresses && sharesPrefix(f.src, address, prefix),
      (f) => f.hasAddresses && sharesPrefix(f.dst, address, prefix),
    );
  };
}

function sharesPrefix(a: IpAddress, b: IpAddress, bits: number): boolean {
  const differ = [a.w0 ^ b.w0, a.w1 ^ b.w1, a.w2 ^ b.w2, a.w3 ^ b.w3];
  for (const [i, word] of differ.entries()) {
    const here = bits - i * 32;
    if (here <= 0) return true;
    const mask = here >= 32 ? -1 : -1 << (32 - here);
    if ((word & mask) !== 0) return false;
  }
  return true;
}

function portTest(direction: Direction): ValueTest {
  return (text) => {
    const port = parseNumber(text, 0, 65_535);
    if (port < 0) return null;
    return sided(
      direction,
      (f) => f.srcPort === port,
      (f) => f.dstPort === port,
    );
  };
}

function portRangeTest(direction: Direction): ValueTest {
  return (text) => {
    const parts = text.split("-");
    const [first, last] = parts.map((part) => parseNumber(part, 0, 65_535));
    if (parts.length !== 2 || first! < 0 || last! < first!) return null;
    return sided(
      direction,
      (f) => f.srcPort >= first! && f.srcPort <= last!,
      (f) => f.dstPort >= first! && f.dstPort <= last!,
    );
  };
}

function macTest(direction: Direction): ValueTest {
  return (text) => {
    if (!/^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i.test(text)) return null;
    const mac = ethernet.parseAddress(text);
    return sided(
      direction,
      (f, p) => f.hasEthernet && ethernet.sameAddress(p.bytes, p.at + ethernet.SRC, mac, 0),
      (f, p) => f.hasEthernet && ethernet.sameAddress(p.bytes, p.at + ethernet.DST, mac, 0),
    );
  };
}
