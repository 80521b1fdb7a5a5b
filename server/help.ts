/** The text of `--help`. */
import * as v from "valibot";
import { VERSION } from "./config.ts";
import { Settings } from "./settings.ts";

export function helpText(): string {
  const table = Object.entries(Settings.entries).flatMap(([name, { wrapped, default: value }]) => {
    const [first, ...rest] = wrap(v.getDescription(wrapped) ?? "", 56);
    return [
      `  ${name.padEnd(20)}${value.padEnd(12)}${first}`,
      ...rest.map((line) => " ".repeat(34) + line),
    ];
  });
  return `Sync-Server ${VERSION}: an end-to-end encrypted sync server

Usage: sync-server [serve] [STORAGE]   run the server
       sync-server usage [STORAGE]     show what each user stores
       sync-server verify [STORAGE]    find what is damaged or missing
       sync-server copy FROM TO        copy a storage, as a backup or to move it
       sync-server users ACTION        show and change the list of users
       sync-server doctor URL|STORAGE  look at a server or a storage, and say what to change
       sync-server conformance URL     try the rules of the protocol on any server

  [STORAGE]    where operations are kept, in place of the setting STORAGE
  -h, --help   show this text, or that of a command: sync-server verify --help
  --version    show the version

Settings are environment variables, or options of the same names (PORT is --port, LISTING_TTL is
--listing-ttl), which other accounts can see while the server runs:

  SIGNATURES=required PORT=9000 sync-server ./data
  sync-server ./data --signatures required --port 9000

Setting               Default     Meaning
${table.join("\n")}

Sizes are bytes, or take KiB, MiB or GiB. Times take ms, s, m or h.

A bucket also takes the settings of the AWS SDK: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (or
AWS_PROFILE) and AWS_REGION; AWS_ENDPOINT_URL for a service other than AWS.

Exit codes:
  0     SIGTERM or Ctrl-C has stopped it
  1     it could not start, or had to end: the last line says why
  2     there is no such argument
`;
}

/** Breaks a text into lines. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}
