import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { FolderSyncs } from "../../storage/folder-syncs.ts";
import { temporaryFolder } from "../support/folder.ts";

const folder = temporaryFolder();
after(() => folder.remove());

describe("syncs of a folder", () => {
  let path: string;
  let syncs: FolderSyncs;
  let number = 0;
  beforeEach(() => {
    path = join(folder.path, String(number++));
    syncs = new FolderSyncs();
    mkdirSync(path);
  });
  const gone = { code: "ENOENT" };
  const nothing = async () => undefined;
  // A sync that begins while the folder is away fails; one that has begun is not disturbed.
  const away = () => `${path}-away`;
  const takeAway = async () => renameSync(path, away());

  /** A change that ends when it is told to. */
  function change() {
    let end = (): void => assert.fail("a promise calls its executor at once");
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    return { end, covered: syncs.cover(path, () => ended) };
  }

  it("return what the change returns, and fail as it does", async () => {
    assert.equal(await syncs.cover(path, async () => 7), 7);
    const failed = new Error("failed");
    await assert.rejects(
      syncs.cover(path, () => Promise.reject(failed)),
      failed,
    );
    await syncs.cover(path, nothing);
  });

  it("begin after the change, also while another is running that may have begun too early", async () => {
    const running = syncs.cover(path, nothing);
    // The sync of the first begins before the second change ends.
    const later = syncs.cover(path, () => nothing().then(nothing).then(takeAway));
    await assert.rejects(later, gone);
    await running;
  });

  it("cover many changes at once", async () => {
    await Promise.all(Array.from({ length: 20 }, () => syncs.cover(path, nothing)));
    await syncs.cover(path, nothing);
  });

  it("fail for all changes that a failed one may have covered, and for no later ones", async () => {
    const [before, other] = [change(), change()];
    before.end();
    await before.covered;
    await assert.rejects(syncs.cover(path, takeAway), gone);
    // From here on each sync would succeed.
    renameSync(away(), path);
    await syncs.cover(path, nothing);
    other.end();
    await assert.rejects(other.covered, gone);
    await syncs.cover(path, nothing);
  });

  it("fail where the change went into another folder than the one that is held open", async () => {
    const replace = async () => {
      mkdirSync(away());
      rmdirSync(path);
      renameSync(away(), path);
    };
    await assert.rejects(syncs.cover(path, replace), gone);
    await syncs.cover(path, nothing);
  });

  it("of one folder have nothing to do with those of another", async () => {
    const elsewhere = join(folder.path, "elsewhere");
    await assert.rejects(syncs.cover(elsewhere, nothing), gone);
    const held = change();
    mkdirSync(elsewhere);
    await assert.rejects(
      syncs.cover(elsewhere, async () => rmdirSync(elsewhere)),
      gone,
    );
    held.end();
    await held.covered;
  });
});
