import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { keepListening, type Served } from "../../server/http/keep-listening.ts";
import { gate } from "../support/drivers.ts";
import { until } from "../support/socket.ts";

/** A server that says as Deno does that it accepts no more connections. */
function served(finished: Promise<void>, close = async () => undefined): Served {
  return { close, deno: { server: { finished } } };
}

describe("a server that has stopped accepting connections", () => {
  const clientTimeout = 30_000;
  const full = () => Promise.reject(new Error("too many open files"));

  it("T-46 says why, listens again, and closes both servers at the end", async () => {
    const reasons: string[] = [];
    const closed: string[] = [];
    let started = 0;
    const close = keepListening(
      served(full(), async () => void closed.push("first")),
      {
        clientTimeout,
        start: async () => {
          started++;
          return served(Promise.resolve(), async () => void closed.push("second"));
        },
        onFull: (reason) => void reasons.push(String(reason)),
        onLost: assert.ifError,
      },
    );
    await until(() => started === 1);
    assert.deepEqual(reasons, ["Error: too many open files"]);
    await close();
    assert.deepEqual(closed, ["first", "second"]);
  });

  it("T-46 reports that it cannot listen again", async () => {
    const lost: string[] = [];
    keepListening(served(full()), {
      clientTimeout,
      start: () => Promise.reject(new Error("the port is taken")),
      onFull: () => undefined,
      onLost: (reason) => void lost.push(String(reason)),
    });
    await until(() => lost.length > 0);
    assert.deepEqual(lost, ["Error: the port is taken"]);
  });

  it("T-46 does not listen again once it is closed", async () => {
    let started = 0;
    let again: () => void = () => undefined;
    const end = new Promise<void>((_resolve, reject) => {
      again = () => reject(new Error("too many open files"));
    });
    const close = keepListening(served(end), {
      clientTimeout,
      start: async () => {
        started++;
        return served(Promise.resolve());
      },
      onFull: () => void close(),
      onLost: assert.ifError,
    });
    again();
    await end.catch(() => undefined);
    await close();
    assert.equal(started, 0);
  });

  it("T-46 does not go on listening where it is closed while it begins again", async () => {
    const closed: string[] = [];
    const [beginning, begun] = [gate(), gate()];
    const close = keepListening(
      served(full(), async () => void closed.push("first")),
      {
        clientTimeout,
        start: async () => {
          beginning.open();
          await begun.opened;
          return served(Promise.resolve(), async () => void closed.push("second"));
        },
        onFull: () => undefined,
        onLost: assert.ifError,
      },
    );
    await beginning.opened;
    await close();
    begun.open();
    await until(() => closed.includes("second"));
  });
});
