import type { ServerRequest } from "srvx";
import { shortened } from "../../sync/request.ts";
import { Problem } from "./problems.ts";
import type { Reply } from "./response.ts";

/** Answers a request to a path, or throws an error that `problemReply` turns into an answer. */
export type RouteHandler = (request: ServerRequest) => Reply | Promise<Reply>;

/** What a path answers, by method. */
export type Methods = Readonly<Record<string, RouteHandler>>;

/** The label of paths that are no routes, or that only belong to the page. */
const OTHER = "other";

/** Methods that every path of their kind has, and that no text for a person names. */
const IMPLIED = ["HEAD", "OPTIONS"];

/** The paths of the server and what answers them: a lookup, without patterns. */
export class Routes {
  readonly #table: ReadonlyMap<string, ReadonlyMap<string, RouteHandler>>;
  readonly #labels: ReadonlySet<string>;
  /** The routes in words, such as `POST and DELETE /sync, GET /health`. */
  readonly #inWords: string;

  /** @param page routes of pages for people, which are no part of the protocol */
  constructor(routes: Readonly<Record<string, Methods>>, page: Readonly<Record<string, Methods>>) {
    this.#table = new Map(
      Object.entries({ ...routes, ...page }).map(([path, methods]) => [
        path,
        new Map(Object.entries(methods)),
      ]),
    );
    this.#labels = new Set(Object.keys(routes));
    const inWords = Object.entries(routes).map(([path, methods]) => {
      const named = Object.keys(methods).filter((method) => !IMPLIED.includes(method));
      return `${named.join(" and ")} ${path}`;
    });
    this.#inWords = `${inWords.slice(0, -1).join(", ")} and ${inWords.at(-1)}`;
  }

  /** What answers a method of a path. Throws `not-found` and `method-not-allowed`. */
  find(method: string, path: string): RouteHandler {
    const methods = this.#table.get(path);
    if (methods === undefined) {
      throw new Problem(
        "not-found",
        `There is nothing at ${shortened(path)}. There are ${this.#inWords}.`,
      );
    }
    const answer = methods.get(method);
    if (answer !== undefined) return answer;
    const allow = [...methods.keys()].join(", ");
    const detail = `${path} does not answer ${method}, only ${allow}.`;
    throw new Problem("method-not-allowed", detail, { headers: { Allow: allow } });
  }

  has(path: string): boolean {
    return this.#table.has(path);
  }

  /** All paths that have an answer. */
  get paths(): readonly string[] {
    return [...this.#table.keys()];
  }

  /** The path as a label of metrics, which must not take any number of values. */
  label(path: string): string {
    return this.#labels.has(path) ? path : OTHER;
  }
}

/** A path that answers `GET`, and `HEAD` in the same way. */
export function get(answer: RouteHandler): Methods {
  return { GET: answer, HEAD: answer };
}
