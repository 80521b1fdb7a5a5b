/** Section 7 of PROTOCOL.md: the bytes of an answer. */
import { LINES_TYPE, MAX_BODY, OPERATION_COUNT } from "../../../protocol/limits.ts";
import { newClient } from "../account.ts";
import type { Answer } from "../answer.ts";
import type { Case } from "../case.ts";
import { holds, same } from "../checks.ts";

/** What says of a payload, character by character. */
const ESCAPED: readonly [text: string, escaped: string][] = [
  ['"\\/', '\\"\\\\/'],
  ["\b\t\n\f\r", "\\b\\t\\n\\f\\r"],
  ["\u0000\u001f\u000b", "\\u0000\\u001f\\u000b"],
  ["\u0085\u2028\u2029", "\\u0085\\u2028\\u2029"],
  ["\u007f\u0080é\u3042\ufeff\ud83d\udd12<>&'", "\u007f\u0080é\u3042\ufeff\ud83d\udd12<>&'"],
];

function headed(answer: Answer, count: number): void {
  const { headers } = answer;
  answer.accepted();
  same("Content-Type", headers.get("content-type"), LINES_TYPE);
  same("Cache-Control", headers.get("cache-control"), "no-store");
  same(OPERATION_COUNT, headers.get(OPERATION_COUNT), `${count}`);
  holds(headers.has(MAX_BODY), `there is no ${MAX_BODY}`);
}

export const RESPONSE: readonly Case[] = [
  {
    rule: "R-7.1",
    says: "says in the headers of an answer how many lines follow, and that nobody may keep it",
    async run(server) {
      const user = await server.newUser();
      headed(await user.append(newClient(), 0, ["zero", "one", "two"]), 0);
      headed(await user.post({ client_id: newClient() }), 3);
    },
  },
  {
    rule: "R-7.2",
    says: "sends one line for each operation, and an empty body for none",
    async run(server) {
      const user = await server.newUser();
      const client = newClient();
      same("the body for no operation", (await user.append(client, 0, "x")).text, "");
      await user.append(client, 1, ["y", "z"]);
      const { text } = await user.post({ client_id: newClient() });
      const lines = ["x", "y", "z"].map(
        (payload, index) =>
          `{"client_id":"${client}","operation_index":${index},"payload":"${payload}"}\n`,
      );
      same("the body for three", text, lines.join(""));
    },
  },
  {
    rule: "R-7.3",
    says: "writes each character of a payload in one way, whether it came alone or in a batch",
    async run(server) {
      const user = await server.newUser();
      const client = newClient();
      const texts = ESCAPED.map(([text]) => text);
      for (const [index, text] of texts.entries()) await user.append(client, index, text);
      await user.append(client, texts.length, texts);
      const { text } = await user.post({ client_id: newClient() });
      const lines = [...ESCAPED, ...ESCAPED].map(
        ([, escaped], index) =>
          `{"client_id":"${client}","operation_index":${index},"payload":"${escaped}"}`,
      );
      // Line by line, for a message that fits.
      for (const [index, line] of lines.entries())
        same(`line ${index}`, text.split("\n")[index], line);
      same("all of it", text, `${lines.join("\n")}\n`);
    },
  },
];
