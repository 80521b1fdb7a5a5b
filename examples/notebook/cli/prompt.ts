/** The passphrase: from the environment, or typed without being shown. */
import { StringDecoder } from "node:string_decoder";
import { Advice } from "./device.ts";

const VARIABLE = "SYNC_PASSPHRASE";

/**
 * The passphrase. It is never an argument, for the arguments of a process are shown to everybody on
 * the machine. `twice` has a new one typed once more.
 */
export async function passphrase(twice = false): Promise<string> {
  const given = process.env[VARIABLE];
  if (given !== undefined && given !== "") return given;
  if (!process.stdin.isTTY) {
    throw new Advice(`set ${VARIABLE} to the passphrase: there is no terminal to type it at`);
  }
  const typed = await ask("Passphrase: ");
  if (twice && (await ask("Once more: ")) !== typed) {
    throw new Advice("the two passphrases differ: try again");
  }
  return typed;
}

const [ENTER, LINE_FEED, CONTROL_C, CONTROL_D] = ["\r", "\n", "\x03", "\x04"];
const ERASING = new Set(["\x7f", "\b"]);

function ask(question: string): Promise<string> {
  const { stdin, stderr } = process;
  const decoder = new StringDecoder("utf8");
  stderr.write(question);
  stdin.setRawMode(true);
  stdin.resume();
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const end = () => {
      stdin.off("data", take);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write("\n");
    };
    const take = (data: Buffer) => {
      for (const character of decoder.write(data)) {
        if (character === ENTER || character === LINE_FEED) {
          end();
          return resolve(typed.join(""));
        }
        if (character === CONTROL_C || character === CONTROL_D) {
          end();
          return reject(new Advice("no passphrase was given"));
        }
        if (ERASING.has(character)) typed = typed.slice(0, -1);
        else typed.push(character);
      }
    };
    stdin.on("data", take);
  });
}
