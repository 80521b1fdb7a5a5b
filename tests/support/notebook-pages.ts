/** The web page of the notebook in headless Chromium, on the real server. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { encryptKey } from "../../client/identity/key-text.ts";
import { toBase64url } from "../../protocol/base64.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { bundled, chromium, FLAGS } from "./chromium.ts";
import { deriveInFewRounds, FEW_ROUNDS } from "./few-rounds.ts";
import { type Serving, serveHere } from "./http.ts";
import { buildPage } from "./page.ts";
import { newPrivateKey } from "./private-keys.ts";

export const PASSPHRASE = "correct horse battery staple";
/** A name for the server under which a browser lets a page do less than on localhost. */
const PLAIN_HOST = "notebook.test";
/** Has a page that can create keys create them of 2048 bits, which takes a third of the CPU of 3072, the default. */
const SHORT_KEYS = `if (globalThis.isSecureContext) {
  const generateKey = SubtleCrypto.prototype.generateKey;
  SubtleCrypto.prototype.generateKey = function (algorithm, ...rest) {
    const short = algorithm.modulusLength === undefined ? {} : { modulusLength: 2048 };
    return generateKey.call(this, { ...algorithm, ...short }, ...rest);
  };
}`;
/** Key generation and PBKDF2 take long on a busy machine. */
const TIMEOUT_MS = 60_000;

/** One runtime is enough to drive the browser, and playwright-core is made for Node. */
const elsewhere = process.versions.bun !== undefined || process.versions.deno !== undefined;

/** Why the page cannot be tested here, if it cannot. */
const untested = elsewhere
  ? "it runs on Node only, as the page does not depend on the runtime of the test"
  : chromium === undefined
    ? "there is no Chromium: install Debian's chromium-headless-shell, or set TEST_CHROMIUM"
    : undefined;

/** Declares tests of the page, each of which begins with a new notebook; skipped where they cannot run. */
export function describeNotebook(
  name: string,
  declareTests: (pages: () => NotebookPages) => void,
): void {
  describe(name, () => {
    if (untested !== undefined) {
      it(`is not tested: ${untested}`, { skip: true });
      return;
    }
    let pages: NotebookPages | undefined;
    const started = () => {
      assert.ok(pages !== undefined, "the browser has started");
      return pages;
    };
    const { start, end } = shared.declare();
    let deriveInAll: (() => void) | undefined;
    before(async () => {
      deriveInAll = deriveInFewRounds();
      pages = await start();
    });
    after(async () => {
      deriveInAll?.();
      await end();
    });
    beforeEach(() => started().reset());
    declareTests(started);
  });
}

/** The pages of a process: of several files, the first one starts the browser, and the last one ends it. */
class SharedPages {
  #pages: Promise<NotebookPages> | undefined;
  #users = 0;

  /** To be called before any of the tests runs. */
  declare() {
    this.#users++;
    return {
      start: () => {
        this.#pages ??= NotebookPages.start();
        return this.#pages;
      },
      end: async () => {
        if (--this.#users > 0) return;
        const pages = await this.#pages;
        this.#pages = undefined;
        await pages?.close();
      },
    };
  }
}

const shared = new SharedPages();

/** A text of a key, without what it says of the notebook. */
export function keyIn(text: string): string {
  const [key = ""] = text.split("-----BEGIN SYNC-SERVER HEADS");
  return key;
}

function serve(storage: MemoryDriver): Promise<Serving> {
  return serveHere({ LISTING_TTL: "0" }, storage);
}

export class NotebookPages {
  readonly browser: Browser;
  #storage = new MemoryDriver();
  #server: Serving;
  /** The key of the notebooks, as text that says nothing of a notebook. */
  readonly key: string;
  /** Stores the key, in a page that does not look for one. */
  readonly #storeKey: string;
  /** Uncaught errors of pages, and what the Content Security Policy blocked. */
  readonly errors: string[] = [];

  private constructor(server: Serving, browser: Browser, key: string, storeKey: string) {
    this.#server = server;
    this.browser = browser;
    this.key = key;
    this.#storeKey = storeKey;
  }

  static async start(): Promise<NotebookPages> {
    await buildPage();
    const server = await serve(new MemoryDriver());
    // Loaded only where the tests run, which takes as long as many of them.
    const { chromium: driver } = await import("playwright-core");
    const args = [...FLAGS, `--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`];
    const browser = await driver.launch({ executablePath: chromium ?? "", args });
    const pkcs8 = await newPrivateKey();
    const key = await encryptKey(pkcs8, PASSPHRASE);
    const given = [toBase64url(pkcs8), key].map((text) => JSON.stringify(text));
    const script = await bundled("notebook-key-page.ts");
    return new NotebookPages(server, browser, key, `${script}\nstoreKey(${given.join(", ")});`);
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.#server.close();
  }

  /**
   * Begins a test, with an empty notebook: on a new server, as all have one key. Pages of the test
   * before would go on asking theirs.
   */
  async reset(): Promise<void> {
    await Promise.all(this.browser.contexts().map((context) => context.close()));
    await this.#server.close();
    this.#storage = new MemoryDriver();
    this.#server = await serve(this.#storage);
    this.errors.length = 0;
  }

  /** What the server of the test stores. */
  get storage(): MemoryDriver {
    return this.#storage;
  }

  /** The address of the server as a secure context, which localhost is over plain HTTP too. */
  get url(): string {
    return this.#server.url;
  }

  /** The same server, over plain HTTP under a name. */
  get plainUrl(): string {
    const url = new URL(this.url);
    url.hostname = PLAIN_HOST;
    return url.href;
  }

  /**
   * A new browser profile, which is another device.
   *
   * @param isCheap whether pages create shorter keys than by default, and derive keys in fewer rounds
   */
  async device(options: BrowserContextOptions = {}, isCheap = true): Promise<BrowserContext> {
    const context = await this.browser.newContext(options);
    context.setDefaultTimeout(TIMEOUT_MS);
    if (isCheap) for (const script of [SHORT_KEYS, FEW_ROUNDS]) await context.addInitScript(script);
    return context;
  }

  async open(context: BrowserContext, url = this.url): Promise<Page> {
    const page = await context.newPage();
    page.on("pageerror", (error) => this.errors.push(error.message));
    page.on("console", (message) => {
      if (/Content Security|Refused to/.test(message.text())) this.errors.push(message.text());
    });
    await page.goto(url);
    return page;
  }

  /**
   * Opens the page on a new device that has the key. What a passphrase takes is tested where one is
   * typed. The browser does not keep the page for use offline, which takes a fifth of the CPU of opening it.
   */
  async openNew(): Promise<Page> {
    return this.openIn(await this.device({ serviceWorkers: "block" }));
  }

  /** The same in a profile that is new. */
  async openIn(context: BrowserContext, url = this.url): Promise<Page> {
    const page = await this.open(context, new URL("icon.svg", url).href);
    await page.evaluate(this.#storeKey);
    await page.goto(url);
    await page.locator("#note").waitFor();
    return page;
  }

  async importKey(page: Page, passphrase: string, key = this.key): Promise<void> {
    await this.showForm(page, "import");
    const form = page.locator("#import");
    await form.getByLabel("Key").fill(key);
    await form.getByLabel("Passphrase").fill(passphrase);
    await form.getByRole("button", { name: "Open the notebook" }).click();
  }

  /** Shows the form for a new key or for one that there is. */
  async showForm(page: Page, form: "create" | "import"): Promise<void> {
    await page.locator("#create:visible, #import:visible").waitFor();
    if (await page.locator(`#${form}`).isVisible()) return;
    const other = form === "import" ? "I have a key already" : "I have no key yet";
    await page.getByRole("button", { name: other }).click();
  }

  /** Creates a notebook; returns at the step that has the key saved. */
  async create(page: Page, passphrase = PASSPHRASE): Promise<void> {
    await this.showForm(page, "create");
    await page.locator("#create-passphrase").fill(passphrase);
    await page.getByRole("button", { name: "Create a notebook" }).click();
    await page.getByRole("heading", { name: "Save your key" }).waitFor();
  }

  /** Saves a new key, and goes on to the notebook. */
  async keepKey(page: Page): Promise<void> {
    await page.getByRole("button", { name: "Download" }).click();
    await page.getByRole("button", { name: "I have saved the key" }).click();
    await page.locator("#note").waitFor();
  }

  /** Returns once the note is shown: until then the state is that of what was written before. */
  async write(page: Page, text: string): Promise<void> {
    await page.locator("#note").fill(text);
    await page.getByRole("button", { name: "Add note" }).click();
    await page.locator("#notes > li", { hasText: text }).first().waitFor();
  }

  /** Has the page show what the server stores. */
  async showStored(page: Page): Promise<void> {
    await page.getByText("What the server stores", { exact: true }).click();
    await page.locator("#stored > li").first().waitFor();
  }

  /** Waits until the page shows exactly these notes, newest first. */
  async shows(page: Page, notes: readonly string[]): Promise<void> {
    const items = page.locator("#notes > li > p");
    const deadline = Date.now() + TIMEOUT_MS;
    let shown: string[] = [];
    const same = () => JSON.stringify(shown) === JSON.stringify(notes);
    while (!same() && Date.now() < deadline) {
      await page.waitForTimeout(100);
      shown = await items.allTextContents();
    }
    assert.deepEqual(shown, notes);
  }

  /** Waits for a state of the client. */
  async state(page: Page, name: string): Promise<void> {
    await page.locator(`#status[data-state="${name}"]`).waitFor();
  }
}
