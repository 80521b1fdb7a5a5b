/** Both npm packages, as someone who installs them uses them. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { build as bundle } from "esbuild";
import { chromium as driver } from "playwright-core";
import { publint } from "publint";
import { build, preview } from "vite";
import clientManifest from "../../client/package.json" with { type: "json" };
import manifest from "../../package.json" with { type: "json" };
import { chromium, FLAGS } from "../support/chromium.ts";
import { temporaryFolder } from "../support/folder.ts";
import { metricOf } from "../support/metrics.ts";
import {
  NO_LIMITS,
  projectFolder,
  runToEnd,
  type ServerProcess,
  startServer,
} from "../support/process.ts";
import { hasRedis, startRedis } from "../support/redis.ts";
import { testBindings } from "./bindings-suite.ts";
import { testDocuments } from "./documents-suite.ts";
import { testEditor } from "./editor-suite.ts";
import { install, installed, neededBy, output, pack, type Tarballs } from "./install.ts";

const APP = join(projectFolder, "tests", "packages", "app");
const TSC = join(projectFolder, "node_modules", ".bin", "tsc");
/**
 * The most that the client may weigh, in bytes after gzip: 12 KiB as it first was, and the rest for
 * waiting for news, sessions, many entries in an operation, the log of everything on the device, what
 * devices tell each other so that nothing is withheld, own entries that come as those of others, bounds
 * on what a lying server can have a client do, a log that tabs share, Node's own cipher where it is
 * there, decoding in pieces, snapshots, and invites.
 */
const CLIENT_BUDGET = 27_880;
/** The most that an entry may add to the client, and what it stands on. */
const ENTRY_BUDGETS: readonly { entry: string; on: readonly string[]; budget: number }[] = [
  { entry: "pairing", on: ["identity", "memory"], budget: 3584 },
  { entry: "documents", on: [], budget: 3072 },
  { entry: "yjs", on: ["documents"], budget: 2048 },
  { entry: "tinybase", on: ["documents"], budget: 1536 },
  { entry: "react", on: ["documents"], budget: 1024 },
];

export function testPackages(): void {
  describe("the npm packages", () => {
    const folder = temporaryFolder();
    let tarballs: Tarballs;
    let app: string;
    let server: ServerProcess;

    before(async () => {
      tarballs = await pack(folder.path);
      app = await install(join(folder.path, "app"), [tarballs.server, tarballs.client]);
      for (const file of readdirSync(APP)) copyFileSync(join(APP, file), join(app, file));
      const command = [join(app, "node_modules", ".bin", "sync-server")] as const;
      server = await startServer(
        { STORAGE: "memory:", LISTING_TTL: "0" },
        { command, folder: app },
      );
    });
    after(async () => {
      await server?.end("SIGTERM");
      folder.remove();
    });

    it("install nothing but what they need", async () => {
      const names = installed(app);
      const needed = neededBy(app, "@sync-server/server");
      assert.deepEqual(neededBy(app, "@sync-server/client"), []);
      assert.deepEqual(names, ["@sync-server/client", "@sync-server/server", ...needed].toSorted());
      const wanted = Object.keys(manifest.dependencies);
      assert.deepEqual(
        wanted.filter((name) => !names.includes(name)),
        [],
      );
      const unwanted = Object.keys(manifest.devDependencies).filter((name) => names.includes(name));
      assert.deepEqual(unwanted, []);
      assert.ok(!names.some((name) => name.startsWith("@aws-sdk/") || name.startsWith("@smithy/")));
    });

    it("serve a folder by npx", async () => {
      const npx = spawn(
        "npx",
        ["--yes", "--prefer-offline", `--package=${tarballs.server}`, "sync-server", "./data"],
        {
          cwd: folder.path,
          env: {
            ...process.env,
            PORT: "0",
            ...NO_LIMITS,
            npm_config_local_prefix: folder.path,
          },
          stdio: ["ignore", "pipe", "inherit"],
          // A group, since npx starts a shell that starts the server.
          detached: true,
        },
      );
      try {
        const url = await addressOf(npx);
        const response = await fetch(new URL("/health", url));
        assert.deepEqual(await response.json(), { status: "ok" });
        const page = await fetch(url);
        assert.match(await page.text(), /<title>Notebook/);
        assert.ok(readdirSync(folder.path).includes("data"));
      } finally {
        process.kill(-(npx.pid ?? 0), "SIGTERM");
        await once(npx, "close");
      }
    });

    it("speak S3 with no SDK beside them", async () => {
      const command = [join(app, "node_modules", ".bin", "sync-server")] as const;
      const { code, stderr } = await runToEnd(
        [],
        {
          STORAGE: "s3://bucket/prefix",
          AWS_ENDPOINT_URL: "http://127.0.0.1:9",
          AWS_REGION: "us-east-1",
          AWS_ACCESS_KEY_ID: "id",
          AWS_SECRET_ACCESS_KEY: "secret",
          AWS_MAX_ATTEMPTS: "1",
        },
        { command, folder: app },
      );
      assert.equal(code, 1);
      assert.match(stderr, /ECONNREFUSED/);
    });

    it("speak with Redis with no client beside them, and name its licence", {
      skip: !hasRedis && "there is no redis-server",
    }, async () => {
      const command = [join(app, "node_modules", ".bin", "sync-server")] as const;
      const redis = await startRedis();
      try {
        const settings = { STORAGE: join(folder.path, "shared"), CLUSTER: redis.url };
        const server = await startServer(settings, { command, folder: app });
        assert.equal(await metricOf(server.url, "sync_cluster_reached"), 1);
        await server.end("SIGTERM");
      } finally {
        await redis.remove();
      }
      const lib = join(app, "node_modules", "@sync-server", "server", "lib");
      assert.match(readFileSync(join(lib, "LICENCES.txt"), "utf8"), /^@redis\/client .* \(MIT\)$/m);
    });

    it("try a server against the protocol", async () => {
      const command = [join(app, "node_modules", ".bin", "sync-server")] as const;
      const args = ["conformance", server.url, "--rule", "R-7.2"];
      const { code, stdout } = await runToEnd(args, {}, { command, folder: app });
      assert.equal(code, 0, stdout);
      assert.match(stdout, /^1 case of 1 rule: 1 passed, 0 failed, 0 skipped$/m);
    });

    for (const resolution of ["bundler", "nodenext"]) {
      it(`type-check and run in an app with moduleResolution ${resolution}`, async () => {
        const module = resolution === "bundler" ? "esnext" : "nodenext";
        await output(
          [TSC, "--module", module, "--moduleResolution", resolution, "--outDir", resolution],
          app,
        );
        const store = join(folder.path, `store-${resolution}`);
        const script = join(resolution, "two-devices.js");
        assert.equal(
          await output([process.execPath, script, server.url, store], app),
          "Buy milk.\n",
        );
      });
    }

    let compiling: Promise<unknown> | undefined;
    /** Compiles the programs that embed the server, once for their tests. */
    const compiled = () => {
      const options = ["--ignoreConfig", "--module", "nodenext", "--target", "es2024", "--strict"];
      const files = ["embed.ts", "driver.ts"];
      compiling ??= output([TSC, ...options, "--skipLibCheck", "--outDir", "embed", ...files], app);
      return compiling;
    };

    it("embed the server, whose import starts nothing", async () => {
      await compiled();
      const answer = await output([process.execPath, join("embed", "embed.js")], app);
      assert.deepEqual(JSON.parse(answer), { status: "ok" });
    });

    it("serve from a driver of the app, whose errors the server knows", async () => {
      await compiled();
      const printed = await output([process.execPath, join("embed", "driver.js")], app);
      assert.deepEqual(printed.trim().split("\n"), [
        "received: Buy milk.",
        "missing at first: 200",
        "away: 503",
        "a setting that is wrong: InvalidConfig",
        "a list of users that is wrong: InvalidAllowList",
        "a storage that is not there: StorageUnavailable",
      ]);
    });

    it("build with Vite into a page that syncs in Chromium", {
      skip: chromium === undefined && "there is no Chromium",
    }, async () => {
      if (chromium === undefined) return;
      await build({ root: app, configFile: false, logLevel: "error" });
      const pages = await preview({ root: app, configFile: false, preview: { port: 0 } });
      const browser = await driver.launch({ executablePath: chromium, args: [...FLAGS] });
      try {
        const page = await browser.newPage();
        const [address = ""] = pages.resolvedUrls?.local ?? [];
        await page.goto(`${address}?server=${encodeURIComponent(server.url)}`);
        const polling = { polling: 100, timeout: 60_000 };
        await page.waitForFunction('document.title !== "running"', null, polling);
        assert.equal(await page.title(), "received: Buy milk.");
      } finally {
        await browser.close();
        await pages.close();
      }
    });

    const prepared = () => ({
      client: tarballs.client,
      app,
      url: server.url,
      folder: folder.path,
    });
    testBindings(prepared);
    testEditor(prepared);
    testDocuments(prepared);

    it("have nothing that publint reports", async () => {
      for (const name of ["server", "client"]) {
        const pkgDir = join(app, "node_modules", "@sync-server", name);
        const { messages } = await publint({ pkgDir, pack: false, strict: true });
        assert.deepEqual(messages, []);
      }
    });

    it("have types that resolve right wherever ES modules do", async () => {
      for (const tarball of [tarballs.server, tarballs.client]) {
        const data = new Uint8Array(readFileSync(tarball));
        const result = await checkPackage(createPackageFromTarballData(data));
        assert.ok(result.types !== false);
        // The packages have no CommonJS, and resolution as before `exports` is for CommonJS.
        const problems = result.problems.filter(
          (problem) =>
            !("resolutionKind" in problem) || !/^node10$|-cjs$/.test(problem.resolutionKind),
        );
        assert.deepEqual(problems, []);
      }
    });

    /** The size of a module that exports entries of the client, after gzip. */
    async function sizeOf(entries: readonly string[]): Promise<number> {
      const names = ["@sync-server/client", ...entries.map((one) => `@sync-server/client/${one}`)];
      const { outputFiles } = await bundle({
        stdin: {
          contents: names.map((name) => `export * from "${name}";`).join("\n"),
          resolveDir: app,
        },
        bundle: true,
        minify: true,
        format: "esm",
        external: Object.keys(clientManifest.peerDependencies),
        write: false,
      });
      return gzipSync(outputFiles[0]?.contents ?? "", { level: 9 }).length;
    }

    it("keep the client within its budget", async () => {
      const size = await sizeOf([]);
      assert.ok(size <= CLIENT_BUDGET, `${size} bytes of ${CLIENT_BUDGET}`);
    });

    for (const { entry, on, budget } of ENTRY_BUDGETS) {
      it(`keep the entry ${entry} within its budget`, async () => {
        const size = (await sizeOf([...on, entry])) - (await sizeOf(on));
        assert.ok(size <= budget, `${size} bytes of ${budget}`);
      });
    }
  });
}

/** Waits until a server says where it listens. */
async function addressOf(child: ChildProcess): Promise<string> {
  let text = "";
  for await (const chunk of child.stdout ?? []) {
    text += chunk;
    const url = /listens on (http:\/\/\S+?),/.exec(text)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`it ended: ${text}`);
}
