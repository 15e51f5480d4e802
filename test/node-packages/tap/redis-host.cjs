/**
 * ioredis' tests expect redis at its default host, localhost. `REDIS_HOST` is another: one that Millrace has a
 * route to. To be required first.
 */
"use strict";

require("ioredis-published").defaultOptions.host = process.env.REDIS_HOST;
