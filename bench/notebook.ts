/**
 * The page of the notebook beside the library alone, in Chromium: how long a new device takes from the key to
 * the list of thousands of notes, and a device that has them to show them again.
 *
 *     npx tsx bench/notebook.ts [NOTES] [ROUNDS]
 *
 * Beside each stands a page that reads the same documents from the same server, and shows nothing. Both take
 * turns. The server keeps its data in memory, and runs in the process that drives Chromium.
 */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { importIdentity } from "../client/identity.ts";
import { MemoryStore } from "../client/memory.ts";
import { Notebook } from "../examples/notebook/notebook.ts";
import { bundled } from "../tests/support/chromium.ts";
import { NotebookPages, PASSPHRASE } from "../tests/support/notebook-pages.ts";

const [notes = 5000, rounds = 7] = process.argv.slice(2).map(Number);

/** Records when the page has the key, when it has a list, and when it has synced with the newest note in it. */
const OBSERVE = `globalThis.seen = {};
addEventListener("DOMContentLoaded", () => {
  const status = document.getElementById("status");
  const list = document.getElementById("notes");
  const isNewest = () => list.firstElementChild?.textContent.includes("note ${notes - 1} ");
  const look = () => {
    const now = performance.now();
    if (status.textContent.startsWith("Opening")) seen.key ??= now;
    if (list.childElementCount >= 50) seen.first ??= now;
    if (status.dataset.state === "synced" && isNewest()) seen.all ??= now;
    if (seen.all !== undefined) document.documentElement.dataset.listed = "";
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
});`;

const pages = await NotebookPages.start();
try {
  await pages.reset();
  await fill();
  const reader = await pageOfReader();
  const read = async (page: Page) =>
    (await page.evaluate<{ ms: number; count: number }>("read()")).ms;
  const results: Record<string, number[]> = {};
  const add = (name: string, ms: number) => {
    results[name] = [...(results[name] ?? []), ms];
  };
  for (let round = -1; round < rounds; round++) {
    // The first is to warm up the server.
    const take = round < 0 ? () => undefined : add;
    {
      const context = await pages.device({}, false);
      const page = await context.newPage();
      for (const when of ["new device", "again"]) {
        await page.goto(reader.url);
        await page.waitForFunction("globalThis.read");
        take(`the library has all, ${when}`, await read(page));
      }
      await context.close();
    }
    {
      const context = await pages.device({ serviceWorkers: "block" });
      await context.addInitScript(OBSERVE);
      const page = await pages.openIn(context);
      for (const when of ["new device", "again"]) {
        if (when === "again") await page.reload();
        const { first, all } = await shown(page);
        take(`the page has a list, ${when}`, first);
        take(`the page has all, ${when}`, all);
      }
      await context.close();
    }
  }
  for (const [name, all] of Object.entries(results)) {
    const sorted = all.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)]?.toFixed(0);
    console.log(`${name}: median ${at(0.5)} ms (${at(0)} to ${at(1)})`);
  }
  reader.close();
} finally {
  await pages.close();
}

/** How long after the key the page had its list, and how long until it was known to be whole. */
async function shown(page: Page): Promise<{ readonly first: number; readonly all: number }> {
  await page.locator("html[data-listed]").waitFor();
  const { key, first, all } = await page.evaluate<{ key: number; first: number; all: number }>(
    "seen",
  );
  return { first: first - key, all: all - key };
}

async function fill(): Promise<void> {
  const identity = await importIdentity(pages.key, PASSPHRASE);
  const notebook = await Notebook.open({
    url: pages.url,
    identity,
    store: new MemoryStore(),
    device: "the bench",
  });
  for (let i = 0; i < notes; i++) {
    await notebook.write(
      `This is note ${i} of the bench, and it has a line or two of text to be shown in a list of notes.`,
    );
  }
  await notebook.client.sync();
  await notebook.close();
}

/** Serves the page that reads and shows nothing. */
async function pageOfReader(): Promise<{ readonly url: string; close(): void }> {
  const module = await bundled("../../bench/notebook-page.ts");
  const given = JSON.stringify({ url: pages.url, key: pages.key, passphrase: PASSPHRASE });
  const html = `<!doctype html><meta charset="utf-8"><script>const given = ${given}</script><script type="module" src="/module.js"></script>`;
  const server = createServer(({ url }, response) => {
    const isModule = url === "/module.js";
    response.setHeader("Content-Type", isModule ? "text/javascript" : "text/html");
    response.end(isModule ? module : html);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port }: Pick<AddressInfo, "port"> = portOf(server.address());
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () => {
      server.close();
    },
  };
}

function portOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address;
}
