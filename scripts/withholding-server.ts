/** The second part of the demo: a server that withholds a note from one device is caught. */
import { systemClock } from "../client/clock.ts";
import { type Clock, type Identity, type Refusal, SyncClient, textOf } from "../client/index.ts";
import { MemoryStore } from "../client/memory.ts";
import { refusalText } from "../examples/notebook/refusal-text.ts";
import { OPERATION_COUNT } from "../protocol/limits.ts";
import { formatLine, parseLine } from "../protocol/ndjson.ts";

/** After this time, a client reports what another device has and this one has not. */
const PATIENCE_MS = 3 * 60_000;

/** Lets a laptop and a phone talk, and hides a note of the laptop from a tablet. */
export async function showWithholding(url: string, identity: Identity): Promise<void> {
  let isHiding = false;
  let hidden = "";
  const clock = new AdvancingClock();
  const refusals: Refusal[] = [];
  const names = new Map<string, string>();
  const open = async (
    name: string,
    options: Partial<Parameters<typeof SyncClient.open>[0]> = {},
  ) => {
    const client = await SyncClient.open({
      url,
      identity,
      store: new MemoryStore(),
      pollInterval: Infinity,
      receive: (entries, _, isOwn) => {
        const lines = entries.filter(({ client }) => !isOwn && names.has(client));
        for (const { client, data } of lines) {
          console.log(`  the ${name} receives from ${names.get(client)}: ${textOf(data)}`);
        }
      },
      ...options,
    });
    names.set(client.client, `the ${name}`);
    return client;
  };
  console.log("\nNow the server is taken over: it hides a note of the laptop from the tablet.");
  const laptop = await open("laptop");
  const phone = await open("phone");
  const tablet = await open("tablet", {
    clock,
    fetch: async (request, init) => {
      const answer = await fetch(request, init);
      return isHiding ? without(answer, hidden) : answer;
    },
    onRefusal: (refusal) => refusals.push(refusal),
  });
  try {
    for (const client of [laptop, phone, tablet]) await client.sync();
    isHiding = true;
    hidden = laptop.client;
    await laptop.append("Do not sign: the contract is a fraud.");
    await laptop.sync();
    await phone.sync();
    await phone.append("Thanks, I will not.");
    await phone.sync();
    await tablet.sync();
    clock.advance(PATIENCE_MS);
    await tablet.sync();
    const [refusal] = refusals;
    if (refusal === undefined) throw new Error("the tablet has not noticed what was hidden");
    const nameOf = (id: string) => names.get(id) ?? "another device";
    console.log(`Three minutes later, the tablet says: “${refusalText(refusal, nameOf)}”`);
    isHiding = false;
    await tablet.sync();
    if (tablet.refusals.length > 0) throw new Error("the tablet still complains");
    console.log("The server shows it again, and the tablet has nothing to complain of any more.");
  } finally {
    for (const client of [laptop, phone, tablet]) await client.close();
  }
}

/** An answer without the lines of a client. */
async function without(answer: Response, client: string): Promise<Response> {
  const lines = (await answer.text())
    .trimEnd()
    .split("\n")
    .flatMap((text) => parseLine(text) ?? []);
  const shown = lines.filter((line) => line.client !== client);
  const headers = new Headers(answer.headers);
  headers.delete("Content-Encoding");
  headers.delete("Content-Length");
  headers.set(OPERATION_COUNT, String(shown.length));
  const body = shown
    .map(({ client: id, index, payload }) => formatLine(id, index, payload))
    .join("");
  return new Response(body, { status: answer.status, headers });
}

/** The system's clock, moved on. */
class AdvancingClock implements Clock {
  #ahead = 0;

  advance(milliseconds: number): void {
    this.#ahead += milliseconds;
  }

  now(): number {
    return Date.now() + this.#ahead;
  }

  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return systemClock.sleep(milliseconds, signal);
  }
}
