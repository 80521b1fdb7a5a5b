/** A device of the command line: a folder with the key, the server's address, and the store. */
import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Identity,
  importIdentity,
  SyncClient,
  type SyncOptions,
} from "../../../client/index.ts";
import { FolderStore } from "../../../client/stores/folder.ts";

/** Something the person at the terminal can put right. The message says how. */
export class Advice extends Error {
  override name = "Advice";
}

/** What `device.json` holds. */
interface Settings {
  readonly version: 1;
  readonly server: string;
  /** The private key, protected by the passphrase. */
  readonly key: string;
}

export class Device {
  readonly folder: string;
  readonly server: string;
  /** The private key as a text that the passphrase protects. */
  readonly key: string;

  private constructor(folder: string, { server, key }: Settings) {
    this.folder = folder;
    this.server = server;
    this.key = key;
  }

  /** Refuses a folder that is a device already: its key may be the only copy. */
  static async mustBeFree(folder: string): Promise<void> {
    if ((await settingsIn(folder)) === undefined) return;
    throw new Advice(
      `${folder} is a device already. Choose another with --folder; if you no longer need its key, delete it.`,
    );
  }

  /** Makes a folder a device. Throws `Advice` where it is one already. */
  static async create(folder: string, server: string, key: string): Promise<Device> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const settings: Settings = { version: 1, server, key };
    try {
      const file = await open(pathIn(folder), "wx", 0o600);
      try {
        await file.writeFile(`${JSON.stringify(settings, null, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      if (isCode(error, "EEXIST")) await Device.mustBeFree(folder);
      throw error;
    }
    return new Device(folder, settings);
  }

  /** The device in a folder. Throws `Advice` where there is none. */
  static async open(folder: string): Promise<Device> {
    const settings = await settingsIn(folder);
    if (settings !== undefined) return new Device(folder, settings);
    throw new Advice(
      `there is no device in ${folder}. Make one with init, bring a key from another device with import, ` +
        "or choose the folder with --folder.",
    );
  }

  identity(passphrase: string): Promise<Identity> {
    return importIdentity(this.key, passphrase);
  }

  /** A client on this device. It keeps nothing that is decrypted: each time, it is sent everything. */
  async client(
    identity: Identity,
    options: Pick<SyncOptions, "receive" | "onStatus" | "onRefusal" | "pollInterval">,
  ): Promise<SyncClient> {
    const store = await FolderStore.open(join(this.folder, "store"), identity);
    return SyncClient.open({ url: this.server, identity, store, cursors: [], ...options });
  }
}

function pathIn(folder: string): string {
  return join(folder, "device.json");
}

async function settingsIn(folder: string): Promise<Settings | undefined> {
  const path = pathIn(folder);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
  const damaged = `${path} is damaged. Bring the key from another device: import, with another --folder.`;
  let settings: Settings;
  try {
    settings = JSON.parse(text);
  } catch (error) {
    throw new Advice(damaged, { cause: error });
  }
  if (settings?.version !== 1) throw new Advice(damaged);
  return settings;
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
