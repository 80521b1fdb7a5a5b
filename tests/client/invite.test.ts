/** A client that has an invite, at a real server with a list of its users. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { type Receive, ServerRejected, SyncClient, textOf } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import type { Identity } from "../../client/types.ts";
import { temporaryFolder } from "../support/folder.ts";
import { withServer } from "../support/http.ts";
import { listWithInvite } from "../support/invites.ts";
import { newIdentity } from "../support/private-keys.ts";
import { newClient } from "../support/users.ts";

const folder = temporaryFolder();
after(() => folder.remove());

describe("a client with an invite", () => {
  let path: string;
  let code: string;
  beforeEach(() => {
    path = join(folder.path, newClient());
    code = listWithInvite(path);
  });

  /** Opens a client, and notes the invites that it sends. */
  async function open(
    url: string,
    identity: Identity,
    invite?: string,
    receive: Receive = () => undefined,
  ) {
    const sent: (string | null)[] = [];
    const client = await SyncClient.open({
      ...{ url, identity, receive, store: new MemoryStore(), pollInterval: Infinity },
      ...(invite === undefined ? {} : { invite }),
      fetch: (request, init) => {
        sent.push(request.headers.get("sync-invite"));
        return fetch(request, init);
      },
    });
    return { client, sent };
  }

  const refusedAs = (expected: string) => (error: unknown) => {
    assert.ok(error instanceof ServerRejected);
    assert.equal(error.code, expected);
    return true;
  };

  it("is let in, sends the invite no more, and other devices of its user need none", async () => {
    await withServer({ USERS: path, SIGNATURES: "required" }, async ({ url }) => {
      const identity = await newIdentity();
      const stranger = await open(url, identity);
      await assert.rejects(stranger.client.sync(), refusedAs("user-not-allowed"));
      await stranger.client.close();

      const { client, sent } = await open(url, identity, code);
      await client.append("the first");
      await client.sync();
      await client.append("the second");
      await client.sync();
      await client.close();
      assert.ok(sent.length >= 2);
      assert.equal(sent[0], code);
      assert.ok(sent.slice(1).every((invite) => invite === null));

      const texts: string[] = [];
      const phone = await open(url, identity, undefined, (entries) => {
        for (const { data } of entries) texts.push(textOf(data));
      });
      await phone.client.sync();
      await phone.client.close();
      assert.deepEqual(texts, ["the first", "the second"]);
    });
  });

  it("reports why its invite is refused, and sends it with every request until it is accepted", async () => {
    await withServer({ USERS: path }, async ({ url }) => {
      const { client, sent } = await open(url, await newIdentity(), "not-yet-there");
      await client.append("kept");
      for (let i = 0; i < 2; i++) await assert.rejects(client.sync(), refusedAs("invite-refused"));
      const { status } = client;
      assert.ok(status.state === "refused" && status.code === "not-allowed");
      assert.match(status.why, /^the server says: The invite is refused: there is none/);
      assert.ok(sent.length >= 2 && sent.every((invite) => invite === "not-yet-there"));
      assert.equal(status.pending, 1);
      await client.close();
    });
  });

  it("sends it to a server without a list as well, which ignores it", async () => {
    await withServer({}, async ({ url }) => {
      const { client, sent } = await open(url, await newIdentity(), code);
      await client.sync();
      await client.sync();
      await client.close();
      assert.deepEqual([sent[0], sent.at(-1)], [code, null]);
    });
  });

  it("does not open with what no header can have, or no invite has", async () => {
    const identity = await newIdentity();
    for (const invite of ["", "two words", "zwölf", "line\nfeed"]) {
      await assert.rejects(open("http://localhost:8080", identity, invite), TypeError, invite);
    }
  });
});
