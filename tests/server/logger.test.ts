import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createLogger, LOG_LEVELS, type LogLevel } from "../../server/logger.ts";
import { type Driver, StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { inProcessServer } from "../support/signing.ts";
import { newUser } from "../support/users.ts";

const USER = "Zk3vN0s-xA_b9cD1eF2gH3iJ4kL5mN6oP7qR8sT9uV0";
const CLIENT = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
const MD5 = "9e107d9d372bb6826bd81d3542a419d6";
const NAME = `${USER}.${CLIENT}.0000000000000007.${MD5}`;
const CUT = "Zk3vN0s-…";
const NAME_CUT = `${CUT}.${CLIENT.slice(0, 8)}….0000000000000007.${MD5}`;

/** A logger and the lines it has written. */
function logged(level: LogLevel = "debug") {
  const lines: string[] = [];
  return { logger: createLogger(level, (line) => lines.push(line)), lines };
}

/** The line of one message at level error. */
function entryOf(message: string, fields?: Record<string, unknown>) {
  const { logger, lines } = logged();
  logger.error(message, fields);
  const [line = ""] = lines;
  const entry: Record<string, unknown> = JSON.parse(line);
  return { line, entry };
}

describe("the log", () => {
  const written: Record<LogLevel, string[]> = {
    silent: [],
    error: ["error"],
    info: ["error", "info"],
    debug: ["error", "info", "debug"],
  };
  for (const level of LOG_LEVELS) {
    it(`at level ${level} has ${written[level].join(", ") || "nothing"}`, () => {
      const { logger, lines } = logged(level);
      for (const each of ["error", "info", "debug"] as const) logger[each]("something happened");
      assert.deepEqual(
        lines.map((line) => JSON.parse(line).level),
        written[level],
      );
    });
  }

  it("has one JSON object per line: time, level, message and fields", () => {
    const { line, entry } = entryOf("two\nlines", { status: 503, nested: { list: [1, "a\nb"] } });
    assert.match(line, /^[^\n]+\n$/);
    const { time, ...rest } = entry;
    assert.equal(new Date(String(time)).toISOString(), time);
    assert.deepEqual(rest, {
      level: "error",
      message: "two\nlines",
      status: 503,
      nested: { list: [1, "a\nb"] },
    });
  });

  it("has the name, message and stack of an error and of its causes", () => {
    const root = new TypeError("the disk is on fire");
    const inner = new Error("could not write", { cause: root });
    const { entry } = entryOf("a request failed", {
      error: new StorageUnavailable("could not store an object", { cause: inner }),
    });
    const text = JSON.stringify(entry.error);
    assert.match(text, /StorageUnavailable: could not store an object/);
    assert.match(text, /Error: could not write/);
    assert.match(text, /TypeError: the disk is on fire/);
    assert.equal(text.match(/logger\.test\.[jt]s:\d+/g)?.length, 3);
  });

  it("has a cause that is not an error", () => {
    const { line } = entryOf("failed", { error: new Error("odd", { cause: "just a text" }) });
    assert.match(line, /just a text/);
  });
});

describe("the log as text", () => {
  const textOf = (message: string, fields?: Record<string, unknown>) => {
    const lines: string[] = [];
    const now = () => 0;
    const logger = createLogger("debug", (line) => lines.push(line), now, "text");
    logger.info(message, fields);
    assert.equal(lines.length, 1);
    return (lines[0] ?? "").replace(/^\S+Z /, "");
  };

  it("has the level, the message, and each field with its name", () => {
    const fields = {
      request: "0123456789abcdef",
      status: 503,
      reason: "it is away",
      left: undefined,
    };
    assert.equal(
      textOf("storage failed", fields),
      'info  storage failed request=0123456789abcdef status=503 reason="it is away"\n',
    );
  });

  it("begins with the time, and is one line whatever it says", () => {
    const lines: string[] = [];
    const logger = createLogger("debug", (line) => lines.push(line), undefined, "text");
    logger.error("two\nlines", { error: new Error("three\nlines"), list: ["a\nb"] });
    const [line = ""] = lines;
    assert.match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z error two\\nlines error=\{"stack":"Error: /);
    assert.match(line, /^[^\n]+\n$/);
  });

  it("T-23 cuts fingerprints and client ids as well", () => {
    const cut = `info  no object ${NAME_CUT} user=${CUT} client=${CLIENT.slice(0, 8)}…\n`;
    assert.equal(textOf(`no object ${NAME}`, { user: USER, client: CLIENT }), cut);
  });
});

describe("several loggers on standard error", () => {
  it("add one error listener", () => {
    createLogger("error");
    const listeners = process.stderr.listenerCount("error");
    for (let i = 0; i < 20; i++) createLogger("error");
    assert.ok(listeners > 0);
    assert.equal(process.stderr.listenerCount("error"), listeners);
  });
});

describe("a fingerprint in the log", () => {
  const places: [string, string, Record<string, unknown>?][] = [
    ["a field", "cut", { user: USER }],
    ["a field within others", "cut", { requests: [{ user: USER }] }],
    ["the message", `the log of ${USER} is damaged`],
    ["an object's name", `there is no object ${NAME}`],
    ["a path", `ENOENT: no such file, open '/data/${USER}/${NAME}'`],
    ["quotes", `there is no "${USER}"`],
    ["an error", "failed", { error: new Error(`no object ${NAME}`) }],
    ["an error's cause", "failed", { error: new Error("outer", { cause: new Error(NAME) }) }],
    ["a cause that is no error", "failed", { error: new Error("outer", { cause: { key: NAME } }) }],
    ["the name of a field", "failed", { [USER]: 1 }],
    ["an escaped address", `GET /bucket?prefix=sync%2F${NAME}`],
    ["the start of a line", `these are damaged:\n${NAME}\n\t${NAME}`],
  ];
  for (const [where, message, fields] of places) {
    it(`is cut to its first 8 characters in ${where}`, () => {
      const { line } = entryOf(message, fields);
      assert.ok(!line.includes(USER), line);
      assert.ok(line.includes(CUT), line);
    });
  }

  it("T-23 is cut for any characters", () => {
    const fingerprint = fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((bytes) => Buffer.from(bytes).toString("base64url"));
    fc.assert(
      fc.property(fingerprint, (user) => {
        const { entry } = entryOf(`${user} and ${user}.${CLIENT}`, { user, client: CLIENT });
        const cut = `${user.slice(0, 8)}…`;
        assert.equal(entry.message, `${cut} and ${cut}.${CLIENT.slice(0, 8)}…`);
        assert.equal(entry.client, `${CLIENT.slice(0, 8)}…`);
        assert.equal(entry.user, cut);
      }),
    );
  });

  it("is cut like a client id; index and hash stay as they are", () => {
    assert.equal(entryOf(`no object ${NAME}`).entry.message, `no object ${NAME_CUT}`);
  });

  const others: [string, string][] = [
    ["an MD5", MD5],
    ["an address", "http://localhost:8080/sync"],
    ["a word of 42 characters", USER.slice(1)],
    ["a word of 44 characters", `${USER}x`],
    ["a SHA-256 in hex", MD5 + MD5],
  ];
  for (const [what, text] of others) {
    it(`is not mistaken for ${what}`, () => {
      assert.equal(entryOf(`it was ${text}`, { text }).entry.message, `it was ${text}`);
      assert.equal(entryOf("it was", { text }).entry.text, text);
    });
  }
});

describe("each message of the log", () => {
  it("has ten lines a minute, and the next one says how many were left out", () => {
    let now = 0;
    const lines: string[] = [];
    const logger = createLogger(
      "debug",
      (line) => lines.push(line),
      () => now,
    );
    for (let i = 0; i < 1000; i++) logger.error("a request failed", { i });
    for (let i = 0; i < 5; i++) logger.info("another message");
    assert.equal(lines.length, 15);
    now = 60_000;
    for (let i = 0; i < 20; i++) logger.error("a request failed");
    const [, omitted, ...later] = lines.slice(14).map((line) => JSON.parse(line).omitted);
    assert.equal(omitted, 990);
    assert.deepEqual(later, Array(9).fill(undefined));
    for (let i = 0; i < 100; i++) logger.debug("answered");
    assert.equal(lines.length, 125);
  });

  it("names an error by whose fault it is: none of a user, a reason of storage, a stack of the program", async () => {
    const failing = (fail: () => Promise<never>): Driver => ({
      ...new MemoryDriver(),
      list: fail,
      get: fail,
      put: fail,
      delete: fail,
      close: async () => undefined,
    });
    const linesOf = async (driver: Driver, settings: Record<string, string> = {}) => {
      const { send, log } = inProcessServer({ LOG: "info", ...settings }, driver);
      const body = { user: newUser().base64, client_id: CLIENT, operation_index: 0, payload: "p" };
      for (let i = 0; i < 50; i++) {
        await send(JSON.stringify(body), { "Content-Type": "application/json" });
      }
      return log.map((line) => JSON.parse(line));
    };

    assert.deepEqual(
      await linesOf(new MemoryDriver(), { QUOTA_BYTES: "0", QUOTA_CLIENTS: "1" }),
      [],
    );
    const full = new MemoryDriver();
    assert.deepEqual(await linesOf(full, { QUOTA_BYTES: "1" }), []);

    const unavailable = failing(() => Promise.reject(new StorageUnavailable("the disk is full")));
    const storage = await linesOf(unavailable);
    assert.equal(storage.length, 10);
    for (const { level, reason, error } of storage) {
      assert.deepEqual(
        { level, reason, error },
        { level: "error", reason: "the disk is full", error: undefined },
      );
    }

    const broken = failing(() => Promise.reject(new TypeError("a fault of the program")));
    const program = await linesOf(broken);
    assert.equal(program.length, 10);
    assert.match(program[0].error.stack, /a fault of the program\n +at /);
  });
});
