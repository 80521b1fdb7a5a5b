/** A device: a folder with the key, the server's address and the client's store. */
import { mkdir, open, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { FolderStore } from "../../../client/folder.ts";
import { importIdentity } from "../../../client/identity.ts";
import type { Identity, Store } from "../../../client/index.ts";
import { Notebook, type NotebookOptions } from "../notebook.ts";
import { hasCode, UsageError } from "./errors.ts";
import { printable } from "./terminal.ts";

/** The content of `device.json`. */
interface Settings {
  readonly version: 1;
  readonly server: string;
  /** The private key, protected by the passphrase. */
  readonly key: string;
  /** When it came from another device, in milliseconds since 1970. */
  readonly imported?: number;
}

export class Device {
  readonly folder: string;
  readonly server: string;
  /** The private key as a text that the passphrase protects. */
  readonly key: string;
  readonly #imported: number | undefined;

  private constructor(folder: string, { server, key, imported }: Settings) {
    this.folder = folder;
    this.server = server;
    this.key = key;
    this.#imported = imported;
  }

  /** Throws `UsageError` if the folder is a device already: its key may be the only copy. */
  static async assertNone(folder: string): Promise<void> {
    if ((await settingsIn(folder)) === undefined) return;
    throw new UsageError(
      `${folder} is a device already. Choose another folder with --folder, or delete this one if you ` +
        "do not need its key.",
    );
  }

  /** Makes the folder a device. Throws `UsageError` if it is one already. */
  static async create(folder: string, made: Omit<Settings, "version">): Promise<Device> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const settings: Settings = { version: 1, ...made };
    try {
      const file = await open(pathIn(folder), "wx", 0o600);
      try {
        await file.writeFile(`${JSON.stringify(settings, null, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      if (hasCode(error, "EEXIST")) await Device.assertNone(folder);
      throw error;
    }
    return new Device(folder, settings);
  }

  /** Opens the device in a folder. Throws `UsageError` if there is none. */
  static async open(folder: string): Promise<Device> {
    const settings = await settingsIn(folder);
    if (settings !== undefined) return new Device(folder, settings);
    throw new UsageError(
      `there is no device in ${folder}. Make one with init, make one from the key of another device with ` +
        "import, or choose its folder with --folder.",
    );
  }

  /** Whether the key came from elsewhere. */
  get isImported(): boolean {
    return this.#imported !== undefined;
  }

  identity(passphrase: string): Promise<Identity> {
    return importIdentity(this.key, passphrase, this.#imported);
  }

  /** Opens the notebook at the server of this device. */
  notebook(
    identity: Identity,
    store: Store,
    options: Omit<NotebookOptions, "url" | "identity" | "store" | "device">,
  ): Promise<Notebook> {
    const device = hostname();
    return Notebook.open({ url: this.server, identity, store, device, ...options });
  }

  /** Opens what the device stores; for one client. */
  store(identity: Identity): Promise<Store> {
    return FolderStore.open(join(this.folder, "store"), identity, {
      onDamaged: ({ reason, folder, operations }) => {
        console.error(
          `Warning: ${reason}. What was there is kept in ${folder}. Of the notes written here, ` +
            `${operations} can be read and are sent again; those of other devices come from the server.`,
        );
      },
      onHeld: ({ folder, host, until }) => {
        console.error(
          printable(
            `Warning: ${folder} is in use on the host ${host}, or was until a command there was cut off. ` +
              `If it was, notes that it did not send are missing here: any command from ` +
              `${until.toISOString()} on sends and shows them.`,
          ),
        );
      },
    });
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
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
  const damaged = `${path} is damaged. Import the key of another device, with another --folder.`;
  let settings: Settings;
  try {
    settings = JSON.parse(text);
  } catch (error) {
    throw new UsageError(damaged, { cause: error });
  }
  if (settings?.version !== 1) throw new UsageError(damaged);
  return settings;
}
