/** The body of a response, made of lines: how it treats a slow reader, and how the lines end. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type StreamEnd, streamOf } from "../../server/http/stream.ts";
import { until } from "../support/socket.ts";

/** More than is gathered before the first part is sent. */
const LINE = new Uint8Array(100_000).fill(0x61);

/** Begins a body of lines; records how it ended, and whether the lines were returned. */
async function begin(timeout: number, count: number, between: () => Promise<void>) {
  const seen: { end: StreamEnd | undefined; released: boolean } = {
    end: undefined,
    released: false,
  };
  async function* lines() {
    try {
      for (let i = 0; i < count; i++) {
        if (i > 0) await between();
        yield LINE;
      }
    } finally {
      seen.released = true;
    }
  }
  const onEnd = (end: StreamEnd) => {
    assert.equal(seen.end, undefined, "it has ended once already");
    seen.end = end;
  };
  const body = await streamOf(lines(), { timeout, onEnd });
  assert.ok(body instanceof ReadableStream);
  return { body, seen };
}

describe("the body of a response", () => {
  it("has line separators escaped, wherever its parts are cut", async () => {
    for (const text of ["\u0085", "\u2028", "\u2029é", "Âx\u0085\u{1f512}\u2028"]) {
      for (const size of [1, 10, 50_000]) {
        const line = `${text.repeat(size)}\n`;
        async function* lines() {
          yield new TextEncoder().encode(line);
          yield new TextEncoder().encode(line);
        }
        const body = await streamOf(lines(), { timeout: 60_000, onEnd: () => undefined });
        const sent = await new Response(body).text();
        assert.ok(!/[\u0085\u2028\u2029]/.test(sent));
        assert.equal(JSON.parse(`"${sent.replaceAll("\n", "")}"`), text.repeat(2 * size));
      }
    }
  });

  it("leaves bytes that are not UTF-8 as they are, in an object that was put into storage from outside", async () => {
    const strange = new Uint8Array(300_000).fill(0x85);
    async function* lines() {
      yield strange;
    }
    const body = await streamOf(lines(), { timeout: 60_000, onEnd: () => undefined });
    assert.deepEqual(new Uint8Array(await new Response(body).arrayBuffer()), strange);
  });

  it("is not cut while storage takes longer than a reader may", async () => {
    const timeout = 20;
    const { body, seen } = await begin(timeout, 3, async () => {
      const since = performance.now();
      await until(() => performance.now() - since > 3 * timeout);
    });
    let bytes = 0;
    for await (const part of body) bytes += part.byteLength;
    assert.equal(bytes, 3 * LINE.byteLength);
    assert.deepEqual(seen, { end: { sent: bytes }, released: true });
  });

  it("ends the lines when its reader disconnects", async () => {
    const { body, seen } = await begin(60_000, 100, async () => undefined);
    const reader = body.getReader();
    await reader.read();
    await reader.cancel();
    assert.deepEqual(seen, { end: { sent: LINE.byteLength }, released: true });
  });

  it("is cut, and ends the lines, when its reader takes nothing for too long", async () => {
    const { body, seen } = await begin(1, 100, async () => undefined);
    await until(() => seen.end !== undefined && seen.released);
    assert.equal(seen.end?.stalled, true);
    await assert.rejects(body.getReader().read(), /its reader took nothing/);
  });
});
