/** The operator's page in a browser, without JavaScript. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { MemoryDriver } from "../../storage/memory.ts";
import { chromium, FLAGS } from "../support/chromium.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { onlyOn } from "../support/one-runtime.ts";

const TOKEN = "a-token-of-the-operator";

/** In the page: the colours of some texts, and of what is behind each. */
const INK_AND_PAPER = `["body", "dt", ".note", ".warn strong", "a"].map((selector) => {
  const element = document.querySelector(selector);
  let ground = element;
  while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
  return [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor];
})`;

const { skip, note } = onlyOn("Node", "playwright-core is made for it");
const isMissing = chromium === undefined;
const why = isMissing && !skip ? " (skipped: there is no Chromium)" : note;

describe(`the status page in Chromium${why}`, { skip: skip || isMissing }, () => {
  let server: Serving;
  let browser: Browser;
  before(async () => {
    server = await serveHere({ STATUS_TOKEN: TOKEN }, new MemoryDriver());
    const { chromium: driver } = await import("playwright-core");
    browser = await driver.launch({ executablePath: chromium ?? "", args: [...FLAGS] });
  });
  after(async () => {
    await browser.close();
    await server.close();
  });

  /** Opens the page with the token, as behind a proxy that is not believed: with warnings. */
  const open = async (options: BrowserContextOptions) => {
    const context = await browser.newContext({
      httpCredentials: { username: "operator", password: TOKEN },
      extraHTTPHeaders: { "X-Forwarded-For": "192.0.2.1" },
      ...options,
    });
    const page = await context.newPage();
    const messages: string[] = [];
    page.on("console", (message) => messages.push(message.text()));
    const requests: string[] = [];
    page.on("request", (request) => requests.push(new URL(request.url()).pathname));
    const response = await page.goto(new URL("/status", server.url).href);
    assert.equal(response?.status(), 200);
    return { context, page, messages, requests };
  };

  it("is styled under its own policy, and loads nothing else", async () => {
    const { context, page, messages, requests } = await open({ javaScriptEnabled: false });
    assert.deepEqual([messages, requests], [[], ["/status"]]);
    assert.match(await page.innerText("body"), /A proxy says who connects, and is not believed\./);
    await context.close();
  });

  it("fits on a phone", async () => {
    const { context, page } = await open({ viewport: { width: 320, height: 640 } });
    const widths = await page.evaluate<number[]>(
      "[document.documentElement.scrollWidth, innerWidth]",
    );
    assert.deepEqual(widths, [320, 320]);
    await context.close();
  });

  it("has text that can be read on its ground, light and dark", async () => {
    const grounds: string[] = [];
    for (const colorScheme of ["light", "dark"] as const) {
      const { context, page } = await open({ colorScheme });
      const pairs = await page.evaluate<[ink: string, paper: string][]>(INK_AND_PAPER);
      for (const [ink = "", paper = ""] of pairs) {
        // WCAG 2.2, 1.4.3.
        assert.ok(contrast(ink, paper) >= 4.5, `${ink} on ${paper}, ${colorScheme}`);
      }
      grounds.push(pairs[0]?.[1] ?? "");
      await context.close();
    }
    assert.notEqual(grounds[0], grounds[1]);
  });

  it("is used by the keyboard: its link has the focus first, shows it, and asks again", async () => {
    const { context, page, requests } = await open({});
    await page.keyboard.press("Tab");
    const outline = () =>
      page.evaluate<string[]>(
        "[document.activeElement.textContent, getComputedStyle(document.activeElement).outlineStyle]",
      );
    assert.deepEqual(await outline(), ["Look again", "solid"]);
    await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
    assert.deepEqual(requests, ["/status", "/status"]);
    await context.close();
  });
});

/** The contrast of two colours as `rgb(…)`, by WCAG 2.2. */
function contrast(one: string, other: string): number {
  const luminance = (color: string) => {
    const parts = [...color.matchAll(/\d+/g)].slice(0, 3).map(([part]) => {
      const share = Number(part) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    const [red = 0, green = 0, blue = 0] = parts;
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}
