/** Headless Chromium, where there is one, running a module of this project in a page. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { temporaryFolder } from "./folder.ts";
import { portOf } from "./ports.ts";
import { projectFolder } from "./process.ts";
import { until } from "./socket.ts";

/**
 * The path of Chromium: `TEST_CHROMIUM`, or what Debian installs; `undefined` if there is none. The
 * headless shell has no windows, and takes half the time.
 */
export const chromium =
  process.env.TEST_CHROMIUM ?? inPath("chromium-headless-shell") ?? inPath("chromium");

/** What Playwright starts it with: each of its processes takes a third of a second of CPU. */
export const FLAGS: readonly string[] = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-software-rasterizer",
  // A process less.
  "--in-process-gpu",
  // Pages of a profile share a process.
  "--renderer-process-limit=1",
  "--disable-quic",
  "--no-first-run",
];

function inPath(name: string): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/**
 * Runs a module in a page of headless Chromium and returns what it hands to the function `report`,
 * which the page has, as JSON. The module is bundled, for a browser takes no TypeScript.
 *
 * @param file relative to this folder
 * @param given what the page has as `given`
 * @param answer returns what the page gets, as JSON, for any other path that it posts to; its second
 *   argument is the folder in which Chromium keeps its files
 */
export async function runInChromium(
  file: string,
  given: unknown = null,
  answer?: (path: string, folder: string) => unknown,
): Promise<unknown> {
  if (chromium === undefined) throw new Error("there is no Chromium");
  const folder = temporaryFolder();
  const bundle = await bundled(file);
  const { promise, resolve } = later<string>();
  const page = `<!doctype html><meta charset="utf-8"><title>Test</title><script>
    const given = ${JSON.stringify(given)};
    const report = (value) => fetch("/report", { method: "POST", body: JSON.stringify(value) });
    addEventListener("error", (event) => report({ failed: String(event.message) }));
    addEventListener("unhandledrejection", (event) => report({ failed: String(event.reason) }));
  </script><script type="module" src="/module.js"></script>`;
  const server = createServer(async (request, response) => {
    if (request.url === "/report") {
      resolve(await text(request));
      response.end();
    } else if (request.url === "/module.js") {
      response.setHeader("Content-Type", "text/javascript; charset=utf-8").end(bundle);
    } else if (request.method === "POST") {
      response.end(JSON.stringify(answer?.(request.url ?? "", folder.path)));
    } else response.setHeader("Content-Type", "text/html; charset=utf-8").end(page);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server);
  const child = spawn(
    chromium,
    [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      `--user-data-dir=${folder.path}`,
      `http://127.0.0.1:${port}/`,
    ],
    // A group, since Debian's command is a script that starts Chromium.
    { stdio: "ignore", detached: true },
  );
  const closed = once(child, "close");
  try {
    const gone = closed.then(() => JSON.stringify({ failed: "Chromium ended" }));
    return JSON.parse(await Promise.race([promise, gone]));
  } finally {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
    await closed;
    server.closeAllConnections();
    server.close();
    // What Chromium has started ends a moment after it, and still writes.
    await until(() => isRemoved(folder), "Chromium's folder is removed");
  }
}

function isRemoved(folder: { remove: () => void }): boolean {
  try {
    folder.remove();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOTEMPTY") return false;
    throw error;
  }
}

/** A module of `tests/support` as one script for a browser. */
export async function bundled(file: string): Promise<string> {
  const bun = join(projectFolder, "node_modules", ".bin", "bun");
  const args = ["build", "--target", "browser", join("tests", "support", file)];
  const { stdout } = await promisify(execFile)(bun, args, {
    cwd: projectFolder,
    maxBuffer: 2 ** 24,
  });
  return stdout;
}

function later<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => undefined;
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
