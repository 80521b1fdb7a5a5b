/** The table of commands. */

import { edit, remove, rename } from "./change-commands.ts";
import type { Command } from "./command.ts";
import { erase } from "./erase-command.ts";
import { exportKey, importKey, init } from "./key-commands.ts";
import { log, search, send, status, watch } from "./note-commands.ts";
import { pair } from "./pair-command.ts";
import { recovery } from "./recovery-command.ts";

export const COMMANDS: readonly Command[] = [
  {
    name: "init",
    summary: "create a key for a new notebook, and a device that has it",
    options: ["server", "invite", "bits"],
    run: init,
  },
  {
    name: "pair",
    summary: "add a device by a code: here without LINK, on the new device with it",
    details:
      "The device that has the key prints a link, on a terminal as a QR code too, and asks for the\n" +
      "six digits that the new device shows. The key goes through the server, which cannot read it.\n" +
      "The passphrase of the new device is a new one.",
    words: { name: "LINK", help: "what `pair` printed on the device that has the key", max: 1 },
    options: [],
    run: pair,
  },
  {
    name: "export",
    summary: "print the key, protected by the passphrase, for another device",
    details:
      "It also says what this device has, so that the server cannot hide notes from the other one.\n" +
      "Redirect it to a file, such as `export > key.txt`, and keep that: if all devices are lost, only\n" +
      "this key and the passphrase bring the notes back.",
    options: [],
    run: exportKey,
  },
  {
    name: "import",
    summary: "make a device that has the key of another one",
    details:
      "An RSA private key in PEM, as `openssl genpkey` writes it, is imported as well. The passphrase is\n" +
      "a new one then, which protects the key on this device and in what export prints.",
    words: {
      name: "FILE",
      help: "the text that export printed, or a key in PEM; default standard input (-)",
      max: 1,
    },
    options: ["server", "invite"],
    run: importKey,
  },
  {
    name: "recovery",
    summary: "make a recovery sheet to be printed, with the key as text and as QR codes",
    details:
      "It asks no server, and checks that what it has written opens with the passphrase. With the sheet and\n" +
      "the passphrase, the notes can be read again when all devices are lost.",
    words: {
      name: "FILE",
      help: "the sheet, in HTML; default recovery-sheet.html",
      max: 1,
    },
    options: [],
    run: recovery,
  },
  {
    name: "send",
    summary: "write a note: from the command line, a file, or standard input",
    details:
      "A note is stored on this device at once, and sent when the server can be reached. Without TEXT\n" +
      "and --file, each line of standard input that is not empty is a note.",
    words: { name: "TEXT", help: "the note; words are joined by spaces", max: Infinity },
    options: ["file"],
    run: send,
  },
  { name: "log", summary: "print all notes, oldest first", options: ["json"], run: log },
  {
    name: "watch",
    summary: "print all notes, oldest first, then new and changed ones as they arrive",
    options: ["json"],
    run: watch,
  },
  {
    name: "search",
    summary: "print the notes that have all words, in any order and in any case",
    words: { name: "WORD", help: "a word, or a part of one", max: Infinity },
    options: ["json"],
    run: search,
  },
  {
    name: "edit",
    summary: "change the text of a note: from the command line, a file, or standard input",
    details:
      "What has changed of the text is stored on this device at once, and sent when the server can be\n" +
      "reached. If another device changes the note at the same time, it has the words of both.",
    words: {
      name: "ID TEXT",
      help: "the id that log prints, or its beginning; then the text, joined by spaces",
      max: Infinity,
    },
    options: ["file"],
    run: edit,
  },
  {
    name: "delete",
    summary: "delete notes on all devices",
    details: "If another device edits a note at the same time, the note stays.",
    words: { name: "ID", help: "the id that log prints, or its beginning", max: Infinity },
    options: [],
    run: remove,
  },
  {
    name: "rename",
    summary: "give this device a name, instead of that of its host",
    words: { name: "NAME", help: "the name; words are joined by spaces", max: Infinity },
    options: [],
    run: rename,
  },
  {
    name: "status",
    summary: "show what this device has, and what the server answers",
    options: ["invite"],
    run: status,
  },
  {
    name: "erase",
    summary: "delete the notebook from the server, for all devices and for good",
    details:
      "The server keeps that this key was erased, and takes no notes from it again. Devices keep what\n" +
      "they have: delete their folders as well.",
    options: ["yes"],
    run: erase,
  },
];
