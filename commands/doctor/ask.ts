/** Sends a request as a device does, and looks at how its answer comes. */
import http from "node:http";
import https from "node:https";
import { setTimeout } from "node:timers";
import type { TLSSocket } from "node:tls";
import { PREFER, REQUEST_TYPE } from "../../protocol/limits.ts";

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** Milliseconds from the request to the first byte of the body, and to its end. */
  readonly firstAfter: number;
  readonly endAfter: number;
  /** From when and until when the certificate is valid, in milliseconds of Unix time. */
  readonly valid: Validity | undefined;
}

export interface Validity {
  readonly from: number;
  readonly until: number;
}

/** No answer, or one that was cut. The message says why, and `after` in how many milliseconds. */
export class NoAnswer extends Error {
  override name = "NoAnswer";
  readonly after: number;
  constructor(cause: Error, after: number) {
    super(cause.message, { cause });
    this.after = after;
  }
}

export interface AskOptions {
  readonly method?: "GET" | "POST";
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long to wait for a byte, in milliseconds. */
  readonly timeout: number;
}

/** Each request has a connection of its own. Rejects with `NoAnswer`. */
export async function ask(
  url: URL,
  { method = "GET", body, headers, timeout }: AskOptions,
): Promise<Answer> {
  const { request } = url.protocol === "https:" ? https : http;
  const began = performance.now();
  const after = () => performance.now() - began;
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const sent = request(url, { method, agent: false, headers: { ...headers } }, (response) => {
        let firstAfter = Number.NaN;
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part) => {
          if (text === "") firstAfter = after();
          text += part;
        });
        response.once("error", reject);
        response.once("end", () => {
          clearTimeout(timer);
          const { statusCode: status = 0, headers } = response;
          if (!response.complete) return reject(new Error("the answer was cut"));
          resolve({ status, headers, text, firstAfter, endAfter: after(), valid });
        });
      });
      let valid: Validity | undefined;
      const timer = setTimeout(() => {
        sent.destroy(new Error(`no answer in ${Math.round(timeout / 1000)} s`));
      }, timeout);
      sent.once("socket", (socket) => {
        socket.once("secureConnect", () => {
          if (!isSecure(socket)) return;
          const { valid_from, valid_to } = socket.getPeerCertificate();
          valid = { from: Date.parse(valid_from), until: Date.parse(valid_to) };
        });
      });
      sent.once("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      sent.end(body);
    });
  } catch (error) {
    throw error instanceof Error ? new NoAnswer(error, after()) : error;
  }
}

function isSecure(socket: object): socket is TLSSocket {
  return "getPeerCertificate" in socket;
}

/** Asks a server how a request arrives (R-13.4 of PROTOCOL.md). */
export function diagnose(
  url: URL,
  question: object,
  timeout: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return ask(url, {
    method: "POST",
    body: JSON.stringify(question),
    headers: { "Content-Type": REQUEST_TYPE, [PREFER]: "diagnose", ...headers },
    timeout,
  });
}
