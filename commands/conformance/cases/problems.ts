/** Section 10 of PROTOCOL.md: how a request is refused. */
import { PROBLEM_TYPE, PROBLEM_URN } from "../../../protocol/problems.ts";
import { newClient } from "../account.ts";
import type { Answer } from "../answer.ts";
import type { Case } from "../case.ts";
import { holds, same } from "../checks.ts";
import type { TestedServer } from "../tested-server.ts";

/** An answer for each of several ways to be refused. */
async function refusals(server: TestedServer): Promise<Answer[]> {
  const user = await server.sharedUser();
  return [
    await user.send("{"),
    await user.post({ client_id: "phone" }),
    await user.erase({ signed: false }),
    await server.send({ method: "GET" }),
    await user.post({ client_id: newClient(), operation_index: 7, payload: "x" }),
    await user.post({ client_id: newClient() }, { headers: { "Content-Encoding": "gzip" } }),
  ];
}

export const PROBLEMS: readonly Case[] = [
  {
    rule: "R-10.1",
    says: "refuses with a problem document that nobody may keep",
    async run(server) {
      for (const { status, headers } of await refusals(server)) {
        holds(status >= 400, `what is to be refused is answered with ${status}`);
        same(`Content-Type of a ${status}`, headers.get("content-type"), PROBLEM_TYPE);
        same(`Cache-Control of a ${status}`, headers.get("cache-control"), "no-store");
      }
    },
  },
  {
    rule: "R-10.2",
    says: "writes a problem as one line of JSON, with its members in order",
    async run(server) {
      for (const { status, problem, text } of await refusals(server)) {
        same("the members", Object.keys(problem).slice(0, 4), [
          ...["type", "title", "status", "detail"],
        ]);
        same("the bytes", text, `${JSON.stringify(problem)}\n`);
        same("status", problem.status, status);
        holds(typeof problem.title === "string" && problem.title !== "", "there is no title");
        holds(typeof problem.detail === "string" && problem.detail !== "", "there is no detail");
      }
    },
  },
  {
    rule: "R-10.3",
    says: "says by the type what is wrong, and by Allow which methods there are",
    async run(server) {
      const types = (await refusals(server)).map(({ status, problem }) => [status, problem.type]);
      const expected: [number, string][] = [
        [400, "invalid-request"],
        [400, "invalid-request"],
        [401, "signature-required"],
        [405, "method-not-allowed"],
        [409, "operation-gap"],
        [415, "unsupported-media-type"],
      ];
      same(
        "the types",
        types,
        expected.map(([status, type]) => [status, PROBLEM_URN + type]),
      );
      for (const method of ["GET", "PUT"]) {
        const { headers } = await server.send({ method });
        const methods = (headers.get("allow") ?? "").split(/, ?/).sort();
        same(`Allow of a 405 to ${method}`, methods, ["DELETE", "OPTIONS", "POST"]);
      }
    },
  },
  {
    rule: "R-10.5",
    says: "points to each fault of a request",
    async run(server) {
      const user = await server.sharedUser();
      const body = { client_id: newClient(), operation_index: -1, payload: ["x", ""], more: 1 };
      const { problem } = await user.post(body);
      const errors: unknown[] = Array.isArray(problem.errors) ? problem.errors : [];
      const pointers = errors.map((error) => {
        const { pointer, detail } = { pointer: "", detail: "", ...Object(error) };
        holds(typeof detail === "string" && detail !== "", "an error has no detail");
        return String(pointer);
      });
      same("the pointers", pointers.sort(), ["#/more", "#/operation_index", "#/payload/1"]);
    },
  },
];
