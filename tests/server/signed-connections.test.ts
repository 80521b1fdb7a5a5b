/** Signed requests over real connections, to this process and to a server process. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { serveHere } from "../support/http.ts";
import { startServer } from "../support/process.ts";
import { overSocket, parsed } from "../support/requests.ts";
import { newSigningUser, type SigningUser, signedHeaders, syncBody } from "../support/signing.ts";

let user: SigningUser;
before(async () => {
  user = await newSigningUser();
});

describe("a signed request over a real connection", () => {
  /** A request as bytes, with the Host as the client spells it. */
  async function bytesOf(authority: string, host = authority): Promise<string> {
    const body = syncBody(user);
    const headers = await signedHeaders(user, { url: `http://${authority}/sync`, body });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    return `POST /sync HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${lines.join("")}Content-Length: ${body.length}\r\n\r\n${body}`;
  }

  it("is verified for the Host in any case, and a refusal has one Date", async () => {
    const server = await serveHere({ SIGNATURES: "required" });
    try {
      for (const host of ["sync.example", "Sync.Example", "sync.example:80", "sync.example:443"]) {
        const answer = await overSocket(server.port, await bytesOf("sync.example", host));
        assert.equal(parsed(answer).status, 200, answer);
      }
      const refused = await overSocket(server.port, await bytesOf("a.example", "b.example"));
      const { status, headers, text } = parsed(refused);
      assert.equal(status, 401);
      assert.equal(JSON.parse(text).check, "signature");
      const dates = refused.split("\r\n").filter((line) => /^date:/i.test(line));
      assert.equal(dates.length, 1);
      assert.ok(Math.abs(Date.parse(headers.get("date") ?? "") - Date.now()) < 60_000);
    } finally {
      await server.close();
    }
  });

  it("is accepted by a server process, which then refuses unsigned ones", async () => {
    const folder = temporaryFolder();
    let server = await startServer({ STORAGE: folder.path });
    try {
      const post = async (signed: boolean) => {
        const url = new URL("/sync", server.url).href;
        const body = syncBody(user);
        const unsigned = { "Content-Type": "application/json" };
        const headers = signed ? await signedHeaders(user, { url, body }) : unsigned;
        return (await fetch(url, { method: "POST", headers, body })).status;
      };
      assert.deepEqual([await post(false), await post(true), await post(false)], [200, 200, 401]);
      await server.end("SIGKILL");
      server = await startServer({ STORAGE: folder.path });
      assert.deepEqual([await post(false), await post(true)], [401, 200]);
    } finally {
      await server.end("SIGKILL");
      folder.remove();
    }
  });
});
