/** The command that makes a recovery sheet. It asks no server. */
import { open, readFile, rm } from "node:fs/promises";
import { importIdentity } from "../../../client/identity.ts";
import type { Identity } from "../../../client/index.ts";
import { type Part, partsOf } from "../recovery-sheet.ts";
import type { Arguments } from "./command.ts";
import { Device } from "./device.ts";
import { hasCode, UsageError } from "./errors.ts";
import { print, readPassphrase } from "./terminal.ts";

const FILE = "recovery-sheet.html";

export async function recovery({ folder, words }: Arguments): Promise<void> {
  const [file = FILE] = words;
  const device = await Device.open(folder);
  const passphrase = await readPassphrase();
  const identity = await device.identity(passphrase);
  const { fingerprint } = identity;
  const sheet = { key: device.key, fingerprint, server: device.server, at: Date.now() };
  await write(file, htmlOf(partsOf(sheet)));
  try {
    await check(file, passphrase, identity);
  } catch (error) {
    await rm(file);
    throw error;
  }
  await print(
    `${file} opens the notebook ${fingerprint.slice(0, 8)} with the passphrase: that was checked.\n` +
      "Print it in a browser, then delete it.\n",
  );
}

/** Readable for this account alone. A file that is there may be another sheet. */
async function write(file: string, text: string): Promise<void> {
  try {
    const handle = await open(file, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
    throw new UsageError(`${file} is there already: name another file`);
  }
}

/** Reads the key out of the file, as a person will, and opens it. */
async function check(file: string, passphrase: string, { fingerprint }: Identity): Promise<void> {
  const found = await importIdentity(await readFile(file, "utf8"), passphrase);
  if (found.fingerprint === fingerprint) return;
  throw new UsageError(`what was written into ${file} is another key: try again`);
}

const STYLE = `
body { margin: 2rem auto; max-width: 44rem; font: 12pt/1.4 sans-serif; color: #000; background: #fff }
h1 { font-size: 18pt }
.codes { display: grid; grid-template-columns: repeat(2, 78mm); gap: 4mm }
figure { margin: 0; break-inside: avoid; text-align: center }
figure svg { display: block }
pre { font-size: 10pt; line-height: 1.3; break-inside: avoid }
code { overflow-wrap: anywhere }
@media print { body { margin: 0 } @page { margin: 15mm } }
`;

/** A document that loads nothing. */
function htmlOf(parts: readonly Part[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Recovery sheet</title>
<style>${STYLE}</style>
</head>
<body>
${parts.map(markup).join("\n")}
</body>
</html>
`;
}

function markup(part: Part): string {
  if (typeof part === "string") return escaped(part);
  const { name, attributes = {}, parts = [] } = part;
  const pairs = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value)}"`);
  return `<${name}${pairs.join("")}>${parts.map(markup).join("")}</${name}>`;
}

function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
