/**
 * Run by a test: changes a device's store at random, and says what it does and what became of it, until it
 * is killed. With a fourth argument it kills itself after so many steps.
 */
import { FolderStore } from "../../client/stores/folder.ts";
import { someCursor } from "./cursors.ts";
import type { Step } from "./killed-store.ts";
import { Random } from "./simulation/random.ts";

const [folder = "", fingerprint = "", seed = "", steps = Infinity] = process.argv.slice(2);
const random = new Random(Number(seed));
const store = await FolderStore.open(folder, { fingerprint });
let count = 0;
/** Payloads that no other step has, some of them large. */
const payloads = (most: number) =>
  Array.from({ length: random.between(1, most) }, () => {
    const length = random.chance(0.1) ? random.of([20_000, 300_000]) : random.between(0, 300);
    return `${seed}-${count++}-${"x".repeat(length)}`;
  });

async function nextStep(): Promise<Step> {
  const { own, drafts, cursors } = await store.load();
  const { client, length } = own.at(-1) ?? { client: "", length: 0 };
  if (client === "") return { kind: "begin", client: crypto.randomUUID() };
  const kinds = [
    "append",
    "append",
    "draft",
    "draft",
    "receive",
    "receive",
    "acknowledge",
  ] as const;
  const kind = random.of([...kinds, random.chance(0.2) ? "move" : "receive"] as const);
  if (kind === "append") return { kind, client, first: length, payloads: payloads(4) };
  if (kind === "draft") {
    const [payload = ""] = payloads(1);
    return { kind, client, index: length + drafts.length, payload };
  }
  if (kind === "acknowledge") return { kind, client, count: random.between(0, length) };
  if (kind === "move") {
    const [from, to] = [client, crypto.randomUUID()];
    return { kind, from, length: random.between(0, length), to, payloads: payloads(3) };
  }
  const known = random.chance(0.7) ? cursors[random.between(0, cursors.length - 1)] : undefined;
  const some = payloads(4);
  const other = known?.client ?? crypto.randomUUID();
  const index = (known?.index ?? -1) + some.length;
  return { kind: "receive", client: other, index, payloads: some };
}

/** Resolves once a line is on its way, whatever becomes of this process then. */
function say(line: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${line}\n`, () => resolve()));
}

function take(step: Step): Promise<void> {
  switch (step.kind) {
    case "begin":
      return store.begin(step.client);
    case "append":
      return store.append(step.client, step.first, step.payloads);
    case "draft":
      return store.appendDraft(step.client, step.index, step.payload);
    case "acknowledge":
      return store.acknowledge(step.client, step.count);
    case "move":
      return store.move(step);
    case "receive":
      return store.receive(someCursor(step.client, step.index), step.payloads);
  }
}

for (let taken = 0; taken < Number(steps); taken++) {
  const step = await nextStep();
  await say(JSON.stringify(step));
  await say(await take(step).then(() => "done", String));
}
process.kill(process.pid, "SIGKILL");
