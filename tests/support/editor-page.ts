/** An editor of CodeMirror in a page of Chromium. */
import type { Page } from "playwright-core";

/** Waits until the editor has a text. By default the page would look at it in each frame, and draw as many. */
export function shows(page: Page, text: string): Promise<unknown> {
  return page.waitForFunction(
    `document.querySelector(".cm-content")?.innerText.includes(${JSON.stringify(text)})`,
    null,
    { polling: 100 },
  );
}

/** Types at the beginning of the editor. */
export async function type(page: Page, text: string): Promise<void> {
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+Home");
  await page.keyboard.type(text);
}
