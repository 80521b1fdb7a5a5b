/** Answers whose lines a test changes, as a server that lies. */
import { parseLine } from "../../protocol/ndjson.ts";
import type { Line } from "../../protocol/types.ts";
import { answer, lineOf } from "./sync-app.ts";

/** Changes the lines of an answer. */
export type Trick = (lines: Line[]) => Line[] | Promise<Line[]>;

/** An answer with other lines, unless it has none but a problem. */
export async function altered(response: Response, trick: Trick): Promise<Response> {
  if (response.status !== 200) return response;
  const lines = (await response.text())
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => parseLine(line) ?? []);
  const sent = await trick(lines);
  return answer(sent.map(lineOf));
}
