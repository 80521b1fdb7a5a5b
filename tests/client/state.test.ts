/** The decisions of a client, without a server: events in, decisions out. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServerRejected, ServerUnavailable } from "../../client/errors.ts";
import { type NextStep, nextStep } from "../../client/next-step.ts";
import type { Outcome } from "../../client/outcome.ts";
import {
  conflictRemedy,
  type Divergence,
  initialState,
  mustCheckAbandoned,
  type Plan,
  planRequest,
  type SyncEvent,
  type SyncState,
  transition,
} from "../../client/state.ts";
import type { OwnClient } from "../../client/stores/store.ts";
import { randomFrom } from "../support/simulated-network.ts";

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const overQuota = new ServerRejected(507, { detail: "Over the quota." });
const overSize = new ServerRejected(413, { detail: "Too large." });
const erased = new ServerRejected(410, { type: "urn:sync-server:user-erased", detail: "Erased." });
const forbidden = new ServerRejected(403, { detail: "No." });
const offline = new ServerUnavailable("No connection.");

function after(...events: readonly SyncEvent[]): SyncState {
  return events.reduce(transition, initialState);
}

function own(client: string, acknowledged: number, length: number): OwnClient {
  return { client, acknowledged, length, highWater: acknowledged };
}

const stored = (client: string, now = NOW): SyncEvent => ({ type: "batch-stored", client, now });
const refused: SyncEvent = { type: "batch-refused", error: overQuota, now: NOW };
const failed = (error: unknown, progressed = false): Outcome => {
  return { kind: "failed", error, progressed };
};
const ended = (outcome: Outcome): SyncEvent => ({ type: "round-ended", outcome });

describe("the next request", () => {
  const { limits } = initialState;
  const unacknowledged = (outbox: number, client: string, bounds = limits): Plan => {
    return { send: "unacknowledged", outbox, client, limits: bounds };
  };
  const nothing: Plan = { send: "nothing" };
  const half = { operations: 2, characters: 14 };
  const tooLarge: SyncEvent = {
    type: "batch-too-large",
    payloads: ["x".repeat(20), "yy", "zzzzzz"],
  };
  const cases: readonly [string, SyncState, readonly (readonly OwnClient[])[], number, Plan][] = [
    ["only reads when nothing was created", initialState, [[own("a", 0, 0)]], NOW, nothing],
    [
      "carries what has no acknowledgement",
      initialState,
      [[own("a", 1, 3)]],
      NOW,
      unacknowledged(0, "a"),
    ],
    [
      "carries what an old client id has left",
      after(stored("a"), stored("b")),
      [[own("a", 1, 2), own("b", 0, 0)]],
      NOW,
      unacknowledged(0, "a"),
    ],
    [
      "prefers this installation to abandoned stores",
      initialState,
      [[own("a", 0, 1)], [own("b", 0, 1)]],
      NOW,
      unacknowledged(0, "a"),
    ],
    [
      "carries what an abandoned store has left",
      initialState,
      [[own("a", 1, 1)], [own("b", 1, 1)], [own("c", 0, 1)]],
      NOW,
      unacknowledged(2, "c"),
    ],
    [
      "carries half as much after a batch that was too large",
      after(tooLarge),
      [[own("a", 0, 3)]],
      NOW,
      unacknowledged(0, "a", half),
    ],
    [
      "carries the last operation once more when the client has just started",
      initialState,
      [[own("a", 2, 2)]],
      NOW,
      { send: "last", outbox: 0, client: "a" },
    ],
    [
      "confirms each own client id that has operations",
      after(stored("a")),
      [[own("a", 2, 2), own("b", 1, 1), own("c", 0, 0)]],
      NOW,
      { send: "last", outbox: 0, client: "b" },
    ],
    [
      "only reads within an hour of an acknowledgement",
      after(stored("a")),
      [[own("a", 2, 2)]],
      NOW + HOUR - 1,
      nothing,
    ],
    [
      "carries the last operation once more after an hour",
      after(stored("a")),
      [[own("a", 2, 2)]],
      NOW + HOUR,
      { send: "last", outbox: 0, client: "a" },
    ],
    [
      "does not confirm what an abandoned store has sent",
      after(stored("a")),
      [[own("a", 2, 2)], [own("b", 1, 1)]],
      NOW,
      nothing,
    ],
    [
      "carries the other client ids when an operation of one is too large, with the full limits",
      after(tooLarge, { type: "operation-too-large", client: "a", error: overSize, now: NOW }),
      [[own("a", 0, 1), own("b", 0, 1)]],
      NOW + HOUR - 1,
      unacknowledged(0, "b"),
    ],
    [
      "does not carry an operation that is too large",
      after({ type: "operation-too-large", client: "a", error: overSize, now: NOW }),
      [[own("a", 1, 2)]],
      NOW + HOUR - 1,
      nothing,
    ],
    [
      "carries it again after an hour",
      after({ type: "operation-too-large", client: "a", error: overSize, now: NOW }),
      [[own("a", 0, 1)]],
      NOW + HOUR,
      unacknowledged(0, "a"),
    ],
    ["only reads after a refusal", after(refused), [[own("a", 0, 1)]], NOW, nothing],
    [
      "only reads until five minutes after a refusal",
      after(refused),
      [[own("a", 0, 1)]],
      NOW + 5 * MINUTE - 1,
      nothing,
    ],
    [
      "appends again five minutes after a refusal",
      after(refused),
      [[own("a", 0, 1)]],
      NOW + 5 * MINUTE,
      unacknowledged(0, "a"),
    ],
    [
      "appends again when the app asks for a sync",
      after(refused, { type: "sync-requested" }),
      [[own("a", 0, 1)]],
      NOW,
      unacknowledged(0, "a"),
    ],
  ];
  for (const [name, state, outboxes, now, plan] of cases) {
    it(name, () => assert.deepEqual(planRequest(state, outboxes, now), plan));
  }

  it("never carries fewer than one operation", () => {
    const one: SyncEvent = { type: "batch-too-large", payloads: ["x"] };
    assert.deepEqual(after(one, one, one).limits, { operations: 1, characters: 1 });
  });
});

describe("an operation conflict", () => {
  const rewound = after({ type: "client-rewound", client: "a" });
  type Case = readonly [string, SyncState, Divergence, boolean, ReturnType<typeof conflictRemedy>];
  const cases: readonly Case[] = [
    ["that the server cannot prove holds appends", initialState, "unproven", true, "hold"],
    [
      "at the first different operation changes the client id",
      initialState,
      "here",
      false,
      "change-client",
    ],
    [
      "behind the first different operation has everything sent again",
      initialState,
      "earlier",
      false,
      "rewind",
    ],
    [
      "that everything was sent again for holds appends that others may have",
      rewound,
      "earlier",
      false,
      "hold",
    ],
    [
      "that everything was sent again for is continued under a new client id",
      rewound,
      "earlier",
      true,
      "continue",
    ],
    [
      "with what the user has not made is continued under a new client id",
      initialState,
      "replaced",
      true,
      "continue",
    ],
    [
      "with what the user has not made, below what was acknowledged, holds appends",
      initialState,
      "replaced",
      false,
      "hold",
    ],
  ];
  for (const [name, state, divergence, mayContinue, remedy] of cases) {
    it(name, () => assert.equal(conflictRemedy(state, "a", divergence, mayContinue), remedy));
  }

  it("has everything sent again once for each client id", () => {
    assert.equal(conflictRemedy(rewound, "b", "earlier", true), "rewind");
  });
});

describe("the end of a round", () => {
  const context = { now: NOW, pending: 0, isDone: true, pollInterval: 30_000, random: 0.5 };
  type Context = Parameters<typeof nextStep>[2];
  const cases: readonly [string, SyncState, Outcome, Partial<Context>, NextStep][] = [
    [
      "with nothing left goes on at once where the server waits for news",
      initialState,
      { kind: "complete" },
      { pollInterval: undefined },
      { status: { state: "synced", pending: 0 }, calls: "resolve", pause: undefined },
    ],
    [
      "with a wait that was cut comes back within a minute",
      initialState,
      { kind: "cut", retryAfter: 0 },
      { pollInterval: undefined },
      { status: { state: "synced", pending: 0 }, calls: "resolve", pause: 30_000 },
    ],
    [
      "with a wait that was cut does not come back before the server's Retry-After",
      initialState,
      { kind: "cut", retryAfter: 77_000 },
      {},
      { status: { state: "synced", pending: 0 }, calls: "resolve", pause: 77_000 },
    ],
    [
      "with a wait that was cut and an entry appended meanwhile goes on at once",
      initialState,
      { kind: "cut", retryAfter: 77_000 },
      { pending: 1, isDone: false },
      { status: { state: "pending", pending: 1 }, calls: "resolve", pause: undefined },
    ],
    [
      "with nothing left resolves the calls and waits for the next poll",
      initialState,
      { kind: "complete" },
      {},
      {
        status: { state: "synced", pending: 0 },
        calls: "resolve",
        pause: 30_000,
      },
    ],
    [
      "with an entry appended meanwhile resolves the calls and goes on at once",
      initialState,
      { kind: "complete" },
      { pending: 1, isDone: false },
      {
        status: { state: "pending", pending: 1 },
        calls: "resolve",
        pause: undefined,
      },
    ],
    [
      "with more to do goes on at once",
      initialState,
      { kind: "incomplete" },
      { pending: 3 },
      {
        status: { state: "pending", pending: 3 },
        calls: "wait",
        pause: undefined,
      },
    ],
    [
      "with operations that the server refused rejects the calls and goes on polling",
      after(refused),
      { kind: "complete" },
      { pending: 2 },
      {
        status: {
          state: "refused",
          pending: 2,
          code: "quota",
          why: "the server says: Over the quota.",
          final: false,
        },
        calls: { reject: overQuota },
        pause: 30_000,
      },
    ],
    [
      "with operations that are too large rejects the calls and says how many there are",
      after({ type: "operation-too-large", client: "a", error: overSize, now: NOW }),
      { kind: "complete" },
      { pending: 1 },
      {
        status: {
          state: "refused",
          pending: 1,
          code: "too-large",
          why: "Operations that are too large for the server stay on this device: 1.",
          final: false,
        },
        calls: { reject: overSize },
        pause: 30_000,
      },
    ],
    [
      "without a server is offline and backs off",
      after(ended(failed(offline))),
      failed(offline),
      {},
      {
        status: { state: "offline", pending: 0, code: "offline", why: "No connection." },
        calls: "wait",
        pause: 750,
      },
    ],
    [
      "by a refusal rejects the calls and backs off",
      after(ended(failed(forbidden))),
      failed(forbidden),
      { pending: 1 },
      {
        status: {
          state: "refused",
          pending: 1,
          code: "server",
          why: "the server says: No.",
          final: false,
        },
        calls: { reject: forbidden },
        pause: 750,
      },
    ],
    [
      "by the erasure of the user is final",
      after(ended(failed(erased))),
      failed(erased),
      {},
      {
        status: {
          state: "refused",
          pending: 0,
          code: "erased",
          why: "the server says: Erased.",
          final: true,
        },
        calls: { reject: erased },
        pause: Number.POSITIVE_INFINITY,
      },
    ],
    [
      "by a fault that is no error says what it is",
      after(ended(failed("a text"))),
      failed("a text"),
      {},
      {
        status: { state: "refused", pending: 0, code: "device", why: "a text", final: false },
        calls: { reject: "a text" },
        pause: 750,
      },
    ],
  ];
  for (const [name, state, outcome, extra, expected] of cases) {
    it(name, () => assert.deepEqual(nextStep(state, outcome, { ...context, ...extra }), expected));
  }

  it("spreads ten thousand clients whose waits were cut at once over a minute", () => {
    const random = randomFrom(1);
    const seconds = new Map<number, number>();
    for (let i = 0; i < 10_000; i++) {
      const cut: Outcome = { kind: "cut", retryAfter: 0 };
      const { pause = 0 } = nextStep(initialState, cut, { ...context, random: random() });
      const second = Math.floor(pause / 1000);
      seconds.set(second, (seconds.get(second) ?? 0) + 1);
    }
    assert.deepEqual(
      [...seconds.keys()].sort((a, b) => a - b),
      [...Array(60).keys()],
    );
    assert.ok(Math.max(...seconds.values()) < 250, "a sixtieth would be 167");
  });

  it("waits for Retry-After, and at least for the backoff", () => {
    for (const [retryAfter, pause] of [
      [77_000, 77_000],
      [1, 750],
    ] as const) {
      const busy = new ServerUnavailable("Busy.", "overloaded", { retryAfter });
      const step = nextStep(after(ended(failed(busy))), failed(busy), context);
      assert.equal(step.pause, pause);
    }
  });

  it("is pending, not offline, where the server limits the rate", () => {
    for (const code of ["rate-limited", "new-users-limited"] as const) {
      const limited = new ServerUnavailable("Slower.", code);
      const { status } = nextStep(after(ended(failed(limited))), failed(limited), context);
      assert.deepEqual(status, { state: "pending", pending: 0, code: "rate", why: "Slower." });
    }
  });

  it("doubles the backoff with each failure up to five minutes, and randomizes half of it", () => {
    let state = initialState;
    const pauses: (readonly [number | undefined, number | undefined])[] = [];
    for (let i = 0; i < 11; i++) {
      state = transition(state, ended(failed(offline)));
      const least = nextStep(state, failed(offline), { ...context, random: 0 }).pause;
      const most = nextStep(state, failed(offline), { ...context, random: 1 }).pause;
      pauses.push([least, most]);
    }
    const longest = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((seconds) => seconds * 1000);
    assert.deepEqual(
      pauses,
      longest.map((most) => [most / 2, most]),
    );
  });

  it("begins the backoff anew after a success, or progress before the failure", () => {
    const fail = ended(failed(offline));
    assert.equal(after(fail, fail, fail).failures, 3);
    assert.equal(after(fail, fail, ended({ kind: "complete" })).failures, 0);
    assert.equal(after(fail, fail, ended({ kind: "incomplete" })).failures, 0);
    assert.equal(after(fail, fail, ended(failed(offline, true))).failures, 1);
  });
});

describe("abandoned stores", () => {
  it("are looked for at the start and once a minute", () => {
    assert.equal(mustCheckAbandoned(initialState, NOW), true);
    const checked = after({ type: "abandoned-checked", now: NOW });
    assert.equal(mustCheckAbandoned(checked, NOW + MINUTE - 1), false);
    assert.equal(mustCheckAbandoned(checked, NOW + MINUTE), true);
  });

  it("that cannot be opened are reported until they can", () => {
    const context = { now: NOW, pending: 0, isDone: true, pollInterval: MINUTE, random: 0.5 };
    const complete: Outcome = { kind: "complete" };
    const failure = new Error("no permission");
    const failing: SyncEvent = { type: "abandoned-checked", now: NOW, failure };
    assert.deepEqual(nextStep(after(failing, ended(complete)), complete, context), {
      status: { state: "refused", pending: 0, code: "device", why: "no permission", final: false },
      calls: { reject: failure },
      pause: MINUTE,
    });
    const opened: SyncEvent = { type: "abandoned-checked", now: NOW + MINUTE };
    const { calls } = nextStep(after(failing, opened, ended(complete)), complete, context);
    assert.equal(calls, "resolve");
  });
});

describe("an operation that was too large", () => {
  it("is no longer that once the server has stored it", () => {
    const tooLarge: SyncEvent = {
      type: "operation-too-large",
      client: "a",
      error: overSize,
      now: NOW,
    };
    assert.equal(after(tooLarge).tooLarge.size, 1);
    assert.equal(after(tooLarge, stored("b")).tooLarge.size, 1);
    assert.equal(after(tooLarge, stored("a")).tooLarge.size, 0);
  });
});

describe("a transition", () => {
  it("leaves the state before it unchanged", () => {
    const before = structuredClone({ ...initialState });
    after(stored("a"), refused, { type: "client-rewound", client: "a" }, ended(failed(offline)));
    assert.deepEqual(initialState, before);
  });
});
