/** Packs the packages as `npm publish` would, and installs them in empty folders. */
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { projectFolder } from "../support/process.ts";

const execute = promisify(execFile);

/** The environment without what `npm test` sets for this project. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const { npm_config_local_prefix: _, npm_config_allow_scripts: __, ...environment } = process.env;
  return environment;
}

/** Runs a program to its end; gives what it prints. Rejects with its output if it fails. */
export async function output(command: readonly string[], folder: string): Promise<string> {
  const [program = "", ...args] = command;
  const { stdout } = await execute(program, args, { cwd: folder, env: cleanEnvironment() });
  return stdout;
}

/** The tarballs of both packages. */
export interface Tarballs {
  readonly server: string;
  readonly client: string;
}

/** Builds both packages and packs them into a folder. */
export async function pack(folder: string): Promise<Tarballs> {
  await output(
    ["npm", "run", "--silent", "--if-present", "prepack", "-ws", "--include-workspace-root"],
    projectFolder,
  );
  // Built already.
  const args = ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder];
  await output(
    ["npm", ...args, "--workspace", "client", "--include-workspace-root"],
    projectFolder,
  );
  const find = (name: string) => {
    const file = readdirSync(folder).find((entry) => entry.startsWith(`sync-server-${name}-`));
    if (file === undefined) throw new Error(`there is no tarball of ${name}`);
    return join(folder, file);
  };
  return { server: find("server"), client: find("client") };
}

/** Makes an app with nothing but these packages; gives its folder. */
export async function install(folder: string, tarballs: readonly string[]): Promise<string> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  const args = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--prefix", folder];
  await output(["npm", ...args, ...tarballs], folder);
  return folder;
}

/** The names of the packages that an installed package needs, and of those that these need. */
export function neededBy(app: string, name: string): string[] {
  const lock: { packages: Record<string, { dependencies?: Record<string, string> }> } = JSON.parse(
    readFileSync(join(app, "package-lock.json"), "utf8"),
  );
  const needed = new Set<string>();
  const add = (one: string) => {
    for (const other of Object.keys(lock.packages[`node_modules/${one}`]?.dependencies ?? {})) {
      if (needed.has(other)) continue;
      needed.add(other);
      add(other);
    }
  };
  add(name);
  return [...needed];
}

/** The names of the packages that are installed in an app. */
export function installed(app: string): string[] {
  const modules = join(app, "node_modules");
  return readdirSync(modules)
    .filter((name) => !name.startsWith("."))
    .flatMap((name) =>
      name.startsWith("@") ? readdirSync(join(modules, name)).map((sub) => `${name}/${sub}`) : name,
    )
    .sort();
}
