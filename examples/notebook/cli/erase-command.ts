/** The command that deletes a notebook from the server. */
import { ServerUnavailable } from "../../../client/index.ts";
import type { Arguments } from "./command.ts";
import { Device } from "./device.ts";
import { UsageError } from "./errors.ts";
import { clause } from "./format.ts";
import { ask, print, printable, readPassphrase } from "./terminal.ts";

const CONFIRMATION = "erase";

export async function erase({ folder, yes = false }: Arguments): Promise<void> {
  const device = await Device.open(folder);
  const identity = await device.identity(await readPassphrase());
  const notebook = `the notebook ${identity.fingerprint.slice(0, 8)}`;
  if (!yes) {
    console.error(
      `This deletes all notes of ${notebook} from ${device.server}, for all devices. It cannot be undone.`,
    );
    const typed = await ask(`Type ${CONFIRMATION} to go on: `);
    if (typed.trim() !== CONFIRMATION) {
      throw new UsageError(`nothing was deleted: ${CONFIRMATION} was not typed`);
    }
  }
  const store = await device.store(identity);
  const { client } = await device.notebook(identity, store, {});
  try {
    await client.erase();
  } catch (error) {
    if (!(error instanceof ServerUnavailable)) throw error;
    // The server may have begun.
    throw new UsageError(
      `${clause(error.message)}. It is not certain what is deleted: run erase until it succeeds.`,
      { cause: error },
    );
  } finally {
    await client.close();
  }
  await print(
    printable(
      `All notes of ${notebook} are deleted from ${device.server}, which will not accept any with this key again.\n` +
        `${folder} keeps the key and all notes that it has, which log prints; delete the folder if you ` +
        "do not need them. Other devices keep what they have as well.\n",
    ),
  );
}
