/** What docs/documents.md prints, done from the packed packages: documents on Node, TinyBase with React. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import type { Page } from "playwright-core";
import example from "../../examples/todo/package.json" with { type: "json" };
import { chromium } from "../support/chromium.ts";
import { blocksOf, read, section } from "../support/documents.ts";
import type { Prepared } from "./bindings-suite.ts";
import { device, inChromium, librariesIn, PASSPHRASE } from "./built-app.ts";
import { install, output } from "./install.ts";

const SERVER = "http://localhost:8080";

export function testDocuments(prepared: () => Prepared): void {
  const text = read("docs/documents.md");

  it("bring documents to another device by the program in docs/documents.md", async () => {
    const { app, url } = prepared();
    const one = join(app, "tags");
    mkdirSync(one);
    const [program = ""] = blocksOf(text, "js");
    assert.ok(program.includes(SERVER));
    writeFileSync(join(one, "tags.mjs"), program.replace(SERVER, url));
    const run = (...tags: string[]) => output([process.execPath, "../tags.mjs", ...tags], there);
    let there = join(one, "laptop");
    mkdirSync(there);
    assert.equal(await run("garden", "kitchen"), "garden, kitchen\n");
    const key = join(there, "key.txt");
    there = join(one, "phone");
    mkdirSync(there);
    cpSync(key, join(there, "key.txt"));
    assert.equal(await run("attic"), "attic, garden, kitchen\n");
    there = join(one, "laptop");
    assert.equal(await run(), "attic, garden, kitchen\n");
  });

  it("make an app of what docs/documents.md prints for React and TinyBase", {
    skip: chromium === undefined && "there is no Chromium",
  }, async () => {
    const { client, url, folder } = prepared();
    const [, commands = ""] = /`(npm install [^`]*)`/.exec(section(text, "React")) ?? [];
    const app = await install(join(folder, "react"), [client, ...librariesIn(commands, example)]);
    const editor = read("docs/yjs.md");
    const [page = ""] = blocksOf(editor, "html");
    const [key = ""] = blocksOf(editor, "js");
    const [script = ""] = blocksOf(text, "jsx");
    assert.ok(page.includes("main.js") && script.includes(SERVER));
    writeFileSync(join(app, "index.html"), page.replace("main.js", "main.jsx"));
    writeFileSync(join(app, "key.js"), key);
    writeFileSync(join(app, "main.jsx"), script.replace(SERVER, url));
    await inChromium(app, async (browser, address) => {
      const enter = async (key: string): Promise<Page> => {
        const page = await (await device(browser)).newPage();
        await page.goto(address);
        await page.locator('[name="passphrase"]').fill(PASSPHRASE);
        await page.locator('#key [name="text"]').fill(key);
        await page.locator("button").click();
        await page.getByPlaceholder("What do you need?").waitFor();
        return page;
      };
      const laptop = await enter("");
      await laptop.getByPlaceholder("What do you need?").fill("Milk");
      await laptop.keyboard.press("Enter");
      await laptop.getByText("synced", { exact: true }).waitFor();
      const phone = await enter((await laptop.locator("#text").textContent()) ?? "");
      await phone.getByRole("listitem").filter({ hasText: "Milk" }).waitFor();
    });
  });
}
