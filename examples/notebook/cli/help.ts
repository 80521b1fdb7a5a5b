/** What `--help` prints. */

const COMMON = `  --folder PATH     the device's folder; SYNC_FOLDER, or .sync-notebook in the home folder
  --help            show this text

The passphrase is asked for, or taken from the environment variable SYNC_PASSPHRASE.
`;

export const HELP = {
  "": `An encrypted notebook on the command line: each folder is a device, and all devices that have
the same key share one notebook.

Usage: cli.ts COMMAND [OPTIONS]

  init      make a new key, and a device that has it
  export    print the key, protected by the passphrase, for another device
  import    make a device that has the key of another one
  send      write a note: from the command line, a file, or standard input
  log       print all notes
  watch     print all notes, and new ones as they arrive
  status    tell what this device has, and what the server says

cli.ts COMMAND --help tells more of each.

Options of all commands:
${COMMON}`,
  init: `Makes a new key, and a device that has it.

Usage: cli.ts init [--server URL] [--bits N]

  --server URL      where the server is; SYNC_SERVER, or http://localhost:8080
  --bits N          size of the RSA key, 2048 to 4096; 3072
${COMMON}`,
  export: `Prints the key as a text that the passphrase protects. Keep it: without it and the passphrase, the
notes are lost with the last device.

Usage: cli.ts export > key.txt

${COMMON}`,
  import: `Makes a device that has the key of another one.

Usage: cli.ts import [FILE] [--server URL]

  FILE              what export has printed; - or nothing is standard input
  --server URL      where the server is; SYNC_SERVER, or http://localhost:8080
${COMMON}`,
  send: `Writes a note. It is kept on this device at once, and sent when the server can be reached.

Usage: cli.ts send TEXT
       cli.ts send --file FILE
       COMMAND | cli.ts send

  TEXT              the note; several words are joined by spaces
  --file FILE       the whole file is one note; it has to be text
  Without both, each line of standard input that is not empty is a note.
${COMMON}`,
  log: `Prints all notes, the oldest first.

Usage: cli.ts log [--json]

  --json            one JSON object a line: client, index, at (milliseconds since 1970), text
${COMMON}`,
  watch: `Prints all notes, the oldest first, and new ones as they arrive, until it is stopped.

Usage: cli.ts watch [--json]

  --json            one JSON object a line: client, index, at (milliseconds since 1970), text
${COMMON}`,
  status: `Tells what this device has, and what the server says.

Usage: cli.ts status

${COMMON}`,
} as const;

export type Command = Exclude<keyof typeof HELP, "">;

export function isCommand(name: string): name is Command {
  return name !== "" && Object.hasOwn(HELP, name);
}
