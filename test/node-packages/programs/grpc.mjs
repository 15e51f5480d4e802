// @grpc/grpc-js: one answer, streams both ways, errors, deadlines.
import grpc from "@grpc/grpc-js";

const json = {
  requestSerialize: (v) => Buffer.from(JSON.stringify(v)),
  requestDeserialize: (b) => JSON.parse(b),
};
const method = (name, requestStream, responseStream) => ({
  path: `/test.Service/${name}`,
  requestStream,
  responseStream,
  ...json,
  responseSerialize: json.requestSerialize,
  responseDeserialize: json.requestDeserialize,
});
const definition = {
  one: method("one", false, false),
  many: method("many", false, true),
  both: method("both", true, true),
};
const server = new grpc.Server();
server.addService(definition, {
  one: (call, done) => {
    if (call.request.n < 0) done({ code: grpc.status.INVALID_ARGUMENT, details: "negative" });
    else if (call.request.n > 0) done(null, { twice: call.request.n * 2 });
  },
  many: (call) => {
    for (let i = 0; i < call.request.n; i++) call.write({ i });
    call.end();
  },
  both: (call) => {
    call.on("data", (d) => call.write({ echo: d }));
    call.on("end", () => call.end());
  },
});
const port = await new Promise((resolve, reject) => {
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (e, p) =>
    e ? reject(e) : resolve(p),
  );
});
const Service = grpc.makeGenericClientConstructor(definition, "Service");
const client = new Service(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
const one = (n, options = {}) =>
  new Promise((resolve) =>
    client.one({ n }, options, (e, v) =>
      resolve(e === null ? v : [e.code, e.details.slice(0, 17)]),
    ),
  );
console.log(await one(21), await one(-1), await one(0, { deadline: Date.now() + 100 }));
console.log(await Promise.all(Array.from({ length: 50 }, (_, i) => one(i + 1))));
let n = 0;
for await (const { i } of client.many({ n: 500 })) n += i;
console.log(n);
const call = client.both();
for (let i = 0; i < 100; i++) call.write({ text: "x".repeat(1_000), i });
call.end();
let echoed = 0;
for await (const { echo } of call) if (echo.i === echoed) echoed++;
console.log(echoed);
client.close();
server.forceShutdown();
