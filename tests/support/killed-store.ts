/** A process that changes the folder of a device, and is killed again and again. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { FolderStore } from "../../client/folder.ts";
import type { Move } from "../../client/stores/store.ts";
import { temporaryFolder } from "./folder.ts";
import { commandFor, projectFolder } from "./process.ts";
import { Random } from "./simulation/random.ts";
import { someFingerprint } from "./users.ts";

/** A change of a store. */
export type Step =
  | { readonly kind: "begin"; readonly client: string }
  | {
      readonly kind: "append";
      readonly client: string;
      readonly first: number;
      readonly payloads: readonly string[];
    }
  | {
      readonly kind: "draft";
      readonly client: string;
      readonly index: number;
      readonly payload: string;
    }
  | { readonly kind: "acknowledge"; readonly client: string; readonly count: number }
  | ({ readonly kind: "move" } & Move)
  | {
      readonly kind: "receive";
      readonly client: string;
      readonly index: number;
      readonly payloads: readonly string[];
    };

/** What a store has to have. */
interface Model {
  readonly own: readonly {
    readonly client: string;
    readonly payloads: readonly string[];
    readonly acknowledged: number;
  }[];
  readonly drafts: readonly string[];
  readonly received: Readonly<Record<string, readonly string[]>>;
}

const EMPTY: Model = { own: [], drafts: [], received: {} };

function after(model: Model, step: Step): Model {
  const { own, drafts, received } = model;
  const edit = (client: string, change: (one: Model["own"][number]) => Model["own"][number]) =>
    own.map((one) => (one.client === client ? change(one) : one));
  switch (step.kind) {
    case "begin":
      return { ...model, own: [...own, { client: step.client, payloads: [], acknowledged: 0 }] };
    case "append": {
      const add = (one: Model["own"][number]) => {
        return { ...one, payloads: [...one.payloads, ...step.payloads] };
      };
      return { ...model, own: edit(step.client, add), drafts: [] };
    }
    case "draft":
      return { ...model, drafts: [...drafts, step.payload] };
    case "acknowledge":
      return {
        ...model,
        own: edit(step.client, (one) => ({ ...one, acknowledged: step.count })),
      };
    case "move": {
      const { from, length, to, payloads } = step;
      const cut = edit(from, (one) => {
        const acknowledged = Math.min(one.acknowledged, length);
        return { ...one, payloads: one.payloads.slice(0, length), acknowledged };
      });
      return { ...model, own: [...cut, { client: to, payloads, acknowledged: 0 }], drafts: [] };
    }
    case "receive": {
      const before = received[step.client] ?? [];
      return {
        ...model,
        received: { ...received, [step.client]: [...before, ...step.payloads] },
      };
    }
  }
}

/** What a store may have after a step that may not have ended. */
function allowed(model: Model, step: Step | undefined): Model[] {
  if (step === undefined) return [model];
  if (step.kind !== "append") return [model, after(model, step)];
  const parts = step.payloads.map((_, i) => ({ ...step, payloads: step.payloads.slice(0, i + 1) }));
  return [model, ...parts.map((part) => after(model, part))];
}

async function contentsOf(store: FolderStore): Promise<Model> {
  const state = await store.load();
  const own: Model["own"][number][] = [];
  for (const { client, length, acknowledged } of state.own) {
    const payloads = await store.read(client, 0, length, Infinity);
    own.push({ client, payloads, acknowledged });
  }
  const received: Record<string, readonly string[]> = {};
  for (const { client } of state.cursors) {
    received[client] = (await store.readReceived(client, 0, Infinity)).payloads;
  }
  return { own, drafts: state.drafts, received };
}

interface FailingCalls {
  readonly calls: string;
  readonly opening: number;
}

/** Calls of the system that may fail, and how many of them succeed at first: a process opens the store. */
const FAILING: readonly [FailingCalls, ...FailingCalls[]] = [
  { calls: "fsync,fdatasync,ftruncate,rename", opening: 14 },
  { calls: "fsync,rename", opening: 9 },
  { calls: "rename", opening: 2 },
];

/**
 * Throws where a store has lost, doubled or invented something after one of some kills.
 *
 * @param failing whether calls of the system fail now and then. What rejects has changed nothing then
 */
export async function killAgainAndAgain(
  seed: number,
  lives: number,
  failing = false,
): Promise<void> {
  const random = new Random(seed);
  const { path, remove } = temporaryFolder();
  const user = { fingerprint: someFingerprint() };
  try {
    let model = EMPTY;
    for (let life = 0; life < lives; life++) {
      const [command, ...args] = commandFor(join("tests", "support", "kill-process.ts"));
      const own = [path, user.fingerprint, `${seed * 1000 + life}`];
      const enough = random.between(1, 120);
      const often = random.between(2, 12);
      const { calls, opening } = random.of(FAILING);
      const inject = `inject=${calls}:error=EIO:when=${opening + random.between(0, 5)}+${often}`;
      const trace = ["strace", "-f", "-qqq", "-o", join(path, "trace"), "-e", inject];
      const all = [
        ...(failing ? trace : []),
        command,
        ...args,
        ...own,
        ...(failing ? [`${enough}`] : []),
      ];
      const child = spawn(all[0] ?? "", all.slice(1), {
        cwd: projectFolder,
        stdio: ["ignore", "pipe", "inherit"],
        // Calls are counted by thread.
        env: { ...process.env, ...(failing && { UV_THREADPOOL_SIZE: "1" }) },
      });
      let output = "";
      let lines = 0;
      child.stdout.setEncoding("utf8").on("data", (data: string) => {
        output += data;
        for (let at = data.indexOf("\n"); at !== -1; at = data.indexOf("\n", at + 1)) lines++;
        if (!failing && lines >= enough) child.kill("SIGKILL");
      });
      await once(child, "close");
      let step: Step | undefined;
      /** Since the last one that was done: a crash may leave what was not undone. */
      let failed: Step[] = [];
      for (const line of output.split("\n").slice(0, -1)) {
        if (line.startsWith("{")) step = JSON.parse(line);
        else if (step !== undefined) {
          if (line === "done") {
            model = after(model, step);
            failed = [];
          } else {
            assert.ok(failing, line);
            failed.push(step);
          }
          step = undefined;
        }
      }
      const onDamaged = ({ reason }: { reason: string }) => assert.fail(reason);
      const store = await FolderStore.open(path, user, { onDamaged });
      const found = await contentsOf(store);
      // The next life goes on after a kill alone, or after an orderly end as well.
      await store.close();
      const ends = [step, ...failed].flatMap((one) => allowed(model, one));
      const isAllowed = ends.some((one) => same(one, found));
      if (!isAllowed) assert.deepEqual(found, model, `seed ${seed}, life ${life}`);
      model = found;
    }
  } finally {
    remove();
  }
}

/** Whether two models are the same; the order in which clients were received says nothing. */
function same(one: Model, other: Model): boolean {
  return isDeepStrictEqual(one, other);
}
