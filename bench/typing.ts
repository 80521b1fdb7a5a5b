/**
 * Typing in two windows: how long after a key the character is in the other window.
 *
 *     npx tsx bench/typing.ts [KEYS] [MILLISECONDS]
 *
 * Two profiles of Chromium, so two devices of one user, each with its IndexedDB; both wait for news.
 * Updates are gathered for 50 ms. A key is pressed every 120 ms by default. The server runs in its own
 * process with storage in a folder.
 */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium as playwright } from "playwright-core";
import { createIdentity } from "../client/identity.ts";
import { chromium } from "../tests/support/chromium.ts";
import { withTemporaryFolder } from "./lib/folder.ts";
import { currentRuntime, findRuntime } from "./lib/runtimes.ts";
import { NO_LIMITS, startServer } from "./lib/server-process.ts";

const [keys = 200, pause = 120] = process.argv.slice(2).map(Number);
const passphrase = "a passphrase for the bench";
const root = join(import.meta.dirname, "..");

const { text: key } = await createIdentity(passphrase);
const bun = join(root, "node_modules", ".bin", "bun");
const module = join(import.meta.dirname, "typing-page.ts");
const { stdout: bundle } = await promisify(execFile)(
  bun,
  ["build", "--target", "browser", module],
  {
    cwd: root,
    maxBuffer: 2 ** 24,
  },
);

await withTemporaryFolder(tmpdir(), async (folder) => {
  const server = await startServer(findRuntime(currentRuntime()), {
    STORAGE: join(folder, "data"),
    LOG: "error",
    ...NO_LIMITS,
  });
  const given = JSON.stringify({ url: server.url, key, passphrase });
  const pages = createServer(({ url }, response) => {
    const isModule = url === "/module.js";
    response.setHeader("Content-Type", isModule ? "text/javascript" : "text/html");
    const page = `<!doctype html><meta charset="utf-8"><script>const given = ${given}</script><script type="module" src="/module.js"></script>`;
    response.end(isModule ? bundle : page);
  });
  pages.listen(0, "127.0.0.1");
  await once(pages, "listening");
  const address = pages.address();
  const port = typeof address === "object" ? address?.port : undefined;
  if (chromium === undefined) throw new Error("there is no Chromium");
  const browser = await playwright.launch({ executablePath: chromium, args: ["--no-sandbox"] });
  try {
    const open = async () => {
      const page = await (await browser.newContext()).newPage();
      await page.goto(`http://127.0.0.1:${port}/`);
      await page.waitForFunction("globalThis.isLive?.()");
      return page;
    };
    const [writer, reader] = [await open(), await open()];
    for (let pressed = 0; pressed < keys; pressed++) {
      await writer.evaluate("type()");
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    await reader.waitForFunction(`times.length === ${keys}`);
    const typed = await writer.evaluate<number[]>("times");
    const seen = await reader.evaluate<number[]>("times");
    const delays = seen.map((at, i) => at - (typed[i] ?? Number.NaN)).sort((a, b) => a - b);
    const at = (share: number) => `${delays[Math.floor(delays.length * share)]?.toFixed(0)} ms`;
    console.log(`${keys} keys, one every ${pause} ms: in the other window after`);
    console.log(`p50 ${at(0.5)}, p95 ${at(0.95)} (goal: 300 ms), the last ${at(0.999)}`);
  } finally {
    await browser.close();
    pages.close();
    await server.stop();
  }
});
