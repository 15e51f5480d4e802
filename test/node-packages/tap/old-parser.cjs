/**
 * Preloaded for undici 3, which takes Node's own HTTP parser: since Node 17 that gives a body's chunk
 * alone, and undici 3 expects where it begins and how long it is. Nothing else is changed.
 */
"use strict";

const common = require("node:_http_common");

const BODY = common.HTTPParser.kOnBody;

common.HTTPParser = class extends common.HTTPParser {
  initialize(...args) {
    const onBody = this[BODY];
    this[BODY] = (chunk, offset = 0, length = chunk.length) =>
      onBody.call(this, chunk, offset, length);
    return super.initialize(...args);
  }
};
