/**
 * What undici's published tests use of `tap`: plans, subtests, teardowns and a dozen assertions. It prints
 * a line for each test (`ok`, `not ok` or `skip`, its name, how many assertions held) and one for each
 * assertion that did not hold, in an order that does not depend on who was first.
 *
 * A test ends when its plan is full, at `end()`, when its promise settles, when something is thrown that
 * nobody catches, or when nothing is left to do. One that takes longer than LIMIT_S fails.
 */

const assert = require("node:assert");
const { writeSync } = require("node:fs");
const { inspect } = require("node:util");

/** Seconds in which the process ran: a machine may stand still. */
const LIMIT_S = 30;
let current = null;

class Test {
  #parent;
  #path;
  #planned = null;
  #done = 0;
  #held = 0;
  #failures = [];
  #teardowns = [];
  #last = Promise.resolve();
  #settle = () => {};
  #hasEnded = false;

  constructor(parent, path) {
    this.#parent = parent;
    this.#path = path;
  }

  async run(body) {
    const ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    let leftS = LIMIT_S;
    const timer = setInterval(() => {
      if (--leftS === 0) this.failed("takes too long");
    }, 1_000).unref();
    current = this;
    try {
      const result = body(this);
      if (typeof result?.then === "function") {
        await result;
        if (this.#planned === null) this.#settle();
      }
    } catch (error) {
      this.failed(`throws ${text(error)}`);
    }
    await ended;
    this.#hasEnded = true;
    clearInterval(timer);
    for (const teardown of this.#teardowns.reverse()) {
      try {
        await teardown();
      } catch (error) {
        this.#failures.push(`teardown throws ${text(error)}`);
      }
    }
    const isOk = this.#failures.length === 0;
    print(`${isOk ? "ok" : "not ok"} ${this.#path}: ${this.#held} held`);
    for (const failure of this.#failures.sort()) print(`  ${failure}`);
    current = this.#parent;
    this.#parent?.count(isOk, `subtest ${this.#path}`);
  }

  /** Ends the test with a failure. */
  failed(why) {
    this.#failures.push(why);
    this.#settle();
  }

  count(isTrue, what) {
    if (isTrue) this.#held++;
    else this.#failures.push(what);
    if (this.#hasEnded) print(`not ok ${this.#path}: after its end, ${what}`);
    this.#done++;
    if (this.#planned !== null && this.#done === this.#planned) this.#settle();
    else if (this.#planned !== null && this.#done > this.#planned) this.#failures.push("over plan");
  }

  #check(assertion, message) {
    try {
      assertion();
      this.count(true, "");
    } catch (error) {
      this.count(false, `${where()} ${message ?? ""} ${text(error)}`);
    }
  }

  plan(n) {
    this.#planned = n;
  }

  end() {
    this.#settle();
  }

  test(name, ...rest) {
    const [options, body] = rest.length > 1 ? rest : [{}, rest[0]];
    const path = `${this.#path} > ${name}`;
    const start = () => {
      if (!options.skip) return new Test(this, path).run(body);
      print(`skip ${path}`);
      this.count(true, "");
    };
    this.#last = this.#last.then(start);
    return this.#last;
  }

  teardown(f) {
    this.#teardowns.push(f);
  }

  pass() {
    this.count(true, "");
  }

  fail(message) {
    this.#check(() => assert.fail("not to be reached"), message);
  }

  ok(value, message) {
    this.#check(() => assert.ok(value), message);
  }

  notOk(value, message) {
    this.#check(() => assert.ok(!value), message);
  }

  error(error, message) {
    this.#check(() => assert.ok(!error, error), message);
  }

  equal(a, b, message) {
    this.#check(() => assert.strictEqual(a, b), message);
  }

  not(a, b, message) {
    this.#check(() => assert.notStrictEqual(a, b), message);
  }

  same(a, b, message) {
    this.#check(() => assert.deepEqual(a, b), message);
  }

  notSame(a, b, message) {
    this.#check(() => assert.notDeepEqual(a, b), message);
  }

  strictSame(a, b, message) {
    this.#check(() => assert.deepStrictEqual(a, b), message);
  }

  match(a, b, message) {
    this.#check(() => assert.deepEqual({ ...a, ...b }, { ...a }), message);
  }

  throws(f, ...rest) {
    const message = typeof rest.at(-1) === "string" ? rest.pop() : undefined;
    this.#check(() => assert.throws(f, ...rest), message);
  }

  doesNotThrow(f, message) {
    this.#check(() => assert.doesNotThrow(f), message);
  }
}

function print(line) {
  writeSync(1, `${line}\n`);
}

/** Of an error, what does not change from run to run. */
function text(error) {
  const said =
    error instanceof Error ? `${error.name} ${error.code} ${error.message}` : inspect(error);
  return said.replace(/:\d{4,5}\b/g, ":PORT").replace(/\s+/g, " ");
}

/** The line of the test file that calls. */
function where() {
  const call = /\/test\/([\w.-]+\.m?js:\d+)/.exec(new Error().stack);
  return call?.[1] ?? "?";
}

const root = new Test(null, "");
root.count = () => {};

process.on("uncaughtException", (error) => {
  if (current === null || current === root) print(`not ok: outside a test, ${text(error)}`);
  else current.failed(`uncaught ${text(error)}`);
});
process.on("beforeExit", () => current?.failed("nothing is left to do"));

exports.test = root.test.bind(root);
