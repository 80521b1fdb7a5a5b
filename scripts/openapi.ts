/** Renders what `GET /openapi.json` answers as docs/openapi.md: `npm run openapi`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { OPENAPI } from "../server/openapi/document.ts";
import { isStarted } from "../server/start.ts";

type Json = Readonly<Record<string, unknown>>;

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function membersOf(value: unknown): [name: string, member: Json][] {
  if (!isJson(value)) return [];
  return Object.entries(value).filter((entry): entry is [string, Json] => isJson(entry[1]));
}

/** A schema in a few words, with a link to what it refers to. */
function wordsOf(schema: unknown): string {
  if (!isJson(schema)) return "";
  const { $ref, const: only, enum: some, oneOf, anyOf, type, pattern, items } = schema;
  if (typeof $ref === "string") {
    const name = $ref.replace(/^.*\//, "");
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (only !== undefined) return `\`${only}\``;
  if (Array.isArray(some)) return some.map((value) => `\`${value}\``).join(", ");
  for (const several of [oneOf, anyOf]) {
    if (Array.isArray(several)) return several.map(wordsOf).join(" or ");
  }
  if (type === "array") return `array of ${wordsOf(items)}`;
  return pattern === undefined ? `${type}` : `${type}, \`${pattern}\``;
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function table(head: readonly string[], rows: readonly string[]): string[] {
  if (rows.length === 0) return [];
  return [row(...head), `|${"---|".repeat(head.length)}`, ...rows, ""];
}

function contentOf({ content }: Json): string {
  return membersOf(content)
    .map(([type, { schema }]) => `\`${type}\`: ${wordsOf(schema)}`)
    .join(", ");
}

function operation(path: string, method: string, op: Json): string[] {
  const { summary, description, parameters, requestBody, responses } = op;
  const headers = Array.isArray(parameters) ? parameters.filter(isJson) : [];
  return [
    `### ${method.toUpperCase()} ${path}`,
    "",
    `${summary}`,
    "",
    ...(description === undefined ? [] : [`${description}`, ""]),
    ...(isJson(requestBody) ? [`Body: ${contentOf(requestBody)}`, ""] : []),
    ...table(
      ["Header of the request", "Meaning"],
      headers.map(({ name, description }) => row(`\`${name}\``, `${description}`)),
    ),
    ...table(
      ["Status", "Meaning", "Headers", "Body"],
      membersOf(responses).map(([status, answer]) =>
        row(
          status,
          `${answer.description}`,
          membersOf(answer.headers)
            .map(([name, { required }]) => `\`${name}\`${required ? "" : "?"}`)
            .join(", "),
          contentOf(answer),
        ),
      ),
    ),
  ];
}

function schema(name: string, { description, ...rest }: Json): string[] {
  const { properties, required } = rest;
  const needed: readonly unknown[] = Array.isArray(required) ? required : [];
  return [
    `### ${name}`,
    "",
    ...(description === undefined ? [] : [`${description}`, ""]),
    ...(properties === undefined
      ? [`${wordsOf(rest)}`, ""]
      : table(
          ["Member", "Meaning", "Form"],
          membersOf(properties).map(([member, { description = "", ...form }]) =>
            row(
              `\`${member}\`${needed.includes(member) ? "" : "?"}`,
              `${description}`,
              wordsOf(form),
            ),
          ),
        )),
  ];
}

/** The page, as Markdown. */
export function openApiPage(): string {
  return [
    "# The wire at a glance",
    "",
    "[PROTOCOL.md](../PROTOCOL.md) is what counts, and says what all of this means. Every server answers this page as an OpenAPI 3.1 document at `/openapi.json`, for tools; `npm run openapi` renders it. The tests compare the answers of a server with it. `?` is behind what can be missing.",
    "",
    "## Requests",
    "",
    ...membersOf(OPENAPI.paths).flatMap(([path, methods]) =>
      membersOf(methods).flatMap(([method, op]) => operation(path, method, op)),
    ),
    "## Schemas",
    "",
    ...membersOf(OPENAPI.components.schemas).flatMap(([name, each]) => schema(name, each)),
  ]
    .join("\n")
    .replace(/\n+$/, "\n");
}

if (isStarted(import.meta)) {
  const page = join(fileURLToPath(new URL("..", import.meta.url)), "docs", "openapi.md");
  writeFileSync(page, openApiPage());
}
