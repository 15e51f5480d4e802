import assert from "node:assert/strict";
import { test } from "node:test";
import { absoluteFiles, splitProgram, withAbsoluteFiles } from "./program-settings.js";

test("a specification without a program is only a device", () => {
  assert.deepEqual(splitProgram("memif:/run/x.sock,role=server"), {
    device: "memif:/run/x.sock,role=server",
    program: null,
  });
});

test("what follows xdp= is the program's", () => {
  assert.deepEqual(
    splitProgram(
      "xdp:eth1,queue=0,xdp=a.o,program=main,engine=interp,index=7,map:a=b=c.json,map:d=e",
    ),
    {
      device: "xdp:eth1,queue=0",
      program: {
        file: "a.o",
        program: "main",
        engine: "interp",
        index: 7,
        maps: [
          ["a", "b=c.json"],
          ["d", "e"],
        ],
      },
    },
  );
});

test("what is not known is refused, and what is known is named", () => {
  for (const setting of ["engine=fast", "index=0", "index=x", "program=", "map:=f", "map:a", ""]) {
    assert.throws(() => splitProgram(`tap:tap0,xdp=a.o,${setting}`), {
      name: "TypeError",
      message: `xdp: expected program=NAME, engine=interp|wasm|trace, index=N, map:NAME=FILE after a.o, got ${JSON.stringify(setting)}`,
    });
  }
  assert.throws(() => splitProgram("tap:tap0,xdp="), /expected a file/);
});

test("file names become those of a folder", () => {
  assert.equal(
    absoluteFiles("a.o,map:m=x/m.json,map:n=/n.json,engine=wasm", "/etc"),
    "/etc/a.o,map:m=/etc/x/m.json,map:n=/n.json,engine=wasm",
  );
  assert.equal(withAbsoluteFiles("tap:tap0"), "tap:tap0");
  assert.equal(withAbsoluteFiles("tap:tap0,xdp=/a.o"), "tap:tap0,xdp=/a.o");
});
