/** The commands of docs/operations.md that lead from nothing to a server, in their order, in a folder for `/`. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { blocksOf, read, section } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { metricsOf } from "../support/metrics.ts";
import { notebook } from "../support/notebook-cli.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { freePort } from "../support/ports.ts";
import { projectFolder, type ServerProcess, startServer } from "../support/process.ts";
import { caddyHome, isInstalled } from "../support/proxies.ts";
import { until } from "../support/socket.ts";

const { skip, note } = onlyOn("Node", "the units start Node");
const isMissing = !isInstalled("caddy");
const why = isMissing && !skip ? " (skipped: caddy is not installed)" : note;

const UNIT = read("deploy/systemd/sync-server.service");
const COPY = /^ExecStart=(.*)$/m.exec(read("deploy/systemd/sync-server-backup.service"))?.[1] ?? "";

/** `/etc` and the like, where a path begins. */
const PLACES = /(?<=^|[\s="'])\/(?=(?:etc|var|opt)\/)/gm;

describe(`from nothing to a server${why}`, { skip: skip || isMissing }, () => {
  const folder = temporaryFolder();
  const root = join(folder.path, "machine");
  const checkout = join(folder.path, "checkout");
  const chapter = section(read("docs/operations.md"), "From nothing to a server");
  const [settings = "", tls = "", invite = "", copy = "", watch = "", ...rest] = blocksOf(
    chapter,
    "sh",
  );
  const systemd = blocksOf(section(read("docs/operations.md"), "Deploy"), "sh").find((block) =>
    block.includes("systemctl"),
  );
  let ports: Record<"server" | "http" | "https", number>;
  let server: ServerProcess;
  let caddy: ChildProcess;
  let authority: string;
  let code: string;

  /** What systemd does at once is done by the test: `systemctl` only says what it was told. */
  const asRoot = async (commands: string) => {
    const here = commands
      .replaceAll("/usr/bin/node", process.execPath)
      .replaceAll(/^node(?= )/gm, process.execPath)
      .replaceAll(PLACES, `${root}/`)
      .replaceAll("-o sync-server ", "")
      .replaceAll("sync.example.com", `localhost:${ports.https}`)
      .replaceAll("127.0.0.1:8080", `127.0.0.1:${ports.server}`);
    const words = 'useradd() { echo "useradd $*"; }; systemctl() { echo "systemctl $*"; }\n';
    const { stdout } = await promisify(execFile)("bash", ["-euc", words + here], {
      cwd: checkout,
      env: { ...process.env, ...(authority && { NODE_EXTRA_CA_CERTS: authority }) },
    });
    return stdout;
  };

  before(async () => {
    ports = { server: await freePort(), http: await freePort(), https: await freePort() };
    const made = join(checkout, "dist", "server.js");
    const bun = join(projectFolder, "node_modules", ".bin", "bun");
    await promisify(execFile)(bun, ["scripts/build.ts", made], { cwd: projectFolder });
    symlinkSync(join(projectFolder, "deploy"), join(checkout, "deploy"));
    const folders = ["etc/systemd/system", "etc/caddy", "etc/prometheus", "var/backups"];
    for (const name of folders) mkdirSync(join(root, name), { recursive: true });
  });
  after(async () => {
    caddy?.kill("SIGTERM");
    if (caddy?.exitCode === null) await once(caddy, "exit");
    if (server !== undefined) await server.end("SIGTERM");
    folder.remove();
  });

  it("has a block of commands for each step", () => {
    assert.deepEqual(rest, []);
    assert.ok(systemd !== undefined && invite.includes("init") && watch.includes("prometheus"));
  });

  it("installs the server, and starts it with a list of users that has an invite", async () => {
    assert.match(await asRoot(systemd ?? ""), /^systemctl enable --now sync-server\.service sync/m);
    // As systemd does when the service starts.
    const [, states = ""] = /^StateDirectory=(.*)$/m.exec(UNIT) ?? [];
    for (const name of states.split(" "))
      mkdirSync(join(root, "var/lib", name), { recursive: true });
    const said = await asRoot(settings);
    [code = ""] = said.split("\n");
    assert.match(said, /^[0-9a-f]{32}\nThis is the code of .*\nsystemctl restart sync-server\n$/);
    const [, environment = ""] = /^Environment=(.*)$/m.exec(UNIT) ?? [];
    const given = readFileSync(join(root, "etc/sync-server.env"), "utf8");
    const pairs = [...environment.replaceAll(PLACES, `${root}/`).split(" "), ...given.split("\n")];
    const service = Object.fromEntries(
      pairs.filter((pair) => pair !== "").map((pair) => pair.split(/=(.*)/s)),
    );
    const program = [process.execPath, join(root, "opt/sync-server/server.js")] as const;
    // `doctor` waits as long as a device may.
    const port = { PORT: `${ports.server}`, MAX_WAIT: "3s" };
    server = await startServer({ ...service, ...port }, { command: program, folder: root });
  });

  it("puts Caddy in front, where doctor finds nothing to change", {
    timeout: 180_000,
  }, async () => {
    const [toFile = "", restart = "", doctor = "", end] = tls.split("\n");
    assert.equal(await asRoot(`${toFile}\n${restart}`), "systemctl restart caddy\n");
    const file = join(root, "etc/caddy/Caddyfile");
    // Other ports than those of the machine, and certificates of Caddy's own authority.
    const options = `{
	admin off
	skip_install_trust
	local_certs
	http_port ${ports.http}
	https_port ${ports.https}
}
`;
    writeFileSync(file, options + readFileSync(file, "utf8"));
    const home = caddyHome(folder.path);
    caddy = spawn("caddy", ["run", "--config", file], {
      env: { ...process.env, ...home },
      stdio: "ignore",
    });
    authority = join(home.XDG_DATA_HOME, "caddy/pki/authorities/local/root.crt");
    await until(() => existsSync(authority), "Caddy has an authority");
    assert.equal(end, "");
    const found = await asRoot(doctor);
    assert.match(found, /^ok +certificate +it is valid for \d+ hours$/m);
    assert.match(found, /^ok +time /m);
    assert.doesNotMatch(found, /^(?:note|wrong)/m);
  });

  it("accepts the first key with the code, and no other", { timeout: 120_000 }, async () => {
    process.env.NODE_EXTRA_CA_CERTS = authority;
    const [program = "", args = ""] = invite.trim().split(/(?<=cli\.ts) /);
    assert.equal(program, "node --import tsx examples/notebook/cli/cli.ts");
    const words = args
      .replace("sync.example.com", `localhost:${ports.https}`)
      .replace("CODE", code)
      .split(" ");
    const init = (name: string) =>
      notebook.run([...words, "--bits", "2048", "--folder", join(folder.path, name)]);
    const ada = await init("ada");
    assert.equal(ada.code, 0, ada.stderr);
    assert.match(ada.stderr, /has accepted the key$/m);
    const sent = await notebook.run(["send", "hello", "--folder", join(folder.path, "ada")]);
    assert.equal(sent.code, 0, sent.stderr);
    const other = await init("other");
    assert.equal(other.code, 1);
    assert.match(other.stderr, /another key has used it/);
  });

  it("makes a copy that is whole, and keeps the list of users", async () => {
    const said = await asRoot(copy.replace("systemctl start sync-server-backup", COPY));
    assert.match(said, /^1 user, \d+ objects copied .*: the copy is whole$/m);
    assert.match(said, /^1 user, \d+ objects, \d+ read .*: all is whole$/m);
    const list = join(root, "var/backups/sync-server-users.tar.gz");
    const { stdout } = spawnSync("tar", ["-tzf", list], { encoding: "utf8" });
    assert.match(stdout, /^sync-server-users\/users$/m);
    assert.match(stdout, /^sync-server-users\/users\.invites\/[0-9a-f]{64}$/m);
  });

  it("has Prometheus ask the server, which nobody can from outside", async () => {
    assert.equal(await asRoot(watch), "systemctl restart prometheus\n");
    const config = join(root, "etc/prometheus/prometheus.yml");
    assert.ok(readFileSync(config, "utf8").includes(`"127.0.0.1:${ports.server}"`));
    assert.match(await metricsOf(server.url), /^sync_operations_total\{result="stored"\} [1-9]/m);
    if (!isInstalled("promtool")) return;
    const { status, stdout } = spawnSync("promtool", ["check", "config", config], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stdout);
  });
});
