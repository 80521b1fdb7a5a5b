/** Apps that a developer makes of the packed packages, built and shown in Chromium. */
import assert from "node:assert/strict";
import type { Browser, BrowserContext, BrowserContextOptions } from "playwright-core";
import { build, type PreviewServer, preview } from "vite";
import { chromium, FLAGS } from "../support/chromium.ts";

export const PASSPHRASE = "correct horse battery staple";
/** A host of this machine that is no secure context for the browser. */
export const PLAIN_HOST = "sync.example";
const TIMEOUT_MS = 60_000;

/** The manifest of an example. */
interface Example {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** What the commands of a page install beside the client, in the versions that the example has. */
export function librariesIn(commands: string, example: Example): string[] {
  const [, names = ""] = /^npm install (.+)$/m.exec(commands) ?? [];
  const versions = new Map(Object.entries({ ...example.dependencies, ...example.devDependencies }));
  assert.ok(names.split(" ").includes("@sync-server/client"));
  return names
    .split(" ")
    .filter((name) => name !== "@sync-server/client")
    .map((name) => {
      assert.ok(versions.has(name), `the example has a version of ${name}`);
      return `${name}@${versions.get(name)}`;
    });
}

/** A device: a profile of the browser. */
export async function device(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<BrowserContext> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(TIMEOUT_MS);
  return context;
}

/**
 * Builds an app, and serves it to Chromium.
 *
 * @param test is given what stops serving it, too
 */
export async function inChromium(
  root: string,
  test: (browser: Browser, address: string, stop: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const { chromium: driver } = await import("playwright-core");
  let pages: PreviewServer | undefined;
  let browser: Browser | undefined;
  try {
    await build({ root, configFile: false, logLevel: "error" });
    const allowedHosts = [PLAIN_HOST];
    pages = await preview({ root, configFile: false, preview: { port: 0, allowedHosts } });
    const args = [...FLAGS, `--host-resolver-rules=MAP ${PLAIN_HOST} localhost`];
    browser = await driver.launch({ executablePath: chromium ?? "", args });
    const stop = async () => {
      await pages?.close();
      pages = undefined;
    };
    await test(browser, pages.resolvedUrls?.local[0] ?? "", stop);
  } finally {
    await browser?.close();
    await pages?.close();
  }
}
