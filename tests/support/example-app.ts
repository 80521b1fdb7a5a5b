/** An example app, built by Vite of the sources of the client, and served. */
import { join } from "node:path";
import { after, before } from "node:test";
import type { PreviewServer } from "vite";
import { temporaryFolder } from "./folder.ts";
import { freePort } from "./ports.ts";
import { projectFolder } from "./process.ts";

export interface ExampleApp {
  /** Where it is served, for a browser. */
  address(): string;
  /** Stops serving it: a browser that has not kept it has nothing. */
  stop(): Promise<void>;
  /** Serves it again, at the same address. */
  start(): Promise<void>;
}

/** @param name of the folder in `examples/` */
export function exampleApp(name: string): ExampleApp {
  const folder = temporaryFolder();
  const root = join(projectFolder, "examples", name);
  const outDir = folder.path;
  let served: PreviewServer | undefined;
  let address = "";
  let port = 0;
  const start = async () => {
    // Loaded only where the tests run.
    const { preview } = await import("vite");
    port = port === 0 ? await freePort() : port;
    const options = { port, strictPort: true };
    served = await preview({ root, configFile: false, build: { outDir }, preview: options });
    address = served.resolvedUrls?.local[0] ?? "";
  };
  const stop = async () => {
    await served?.close();
    served = undefined;
  };
  before(async () => {
    const { build } = await import("vite");
    await build({
      root,
      configFile: false,
      logLevel: "error",
      build: { outDir, emptyOutDir: true },
      // What the package is built of.
      resolve: {
        alias: [
          {
            find: /^@sync-server\/client\/(.*)$/,
            replacement: join(projectFolder, "client", "$1.ts"),
          },
        ],
      },
    });
    await start();
  });
  after(async () => {
    await stop();
    folder.remove();
  });
  return { address: () => address, stop, start };
}
