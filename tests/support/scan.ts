/** Reads QR codes, as a camera does. */
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

const jsqr = createRequire(import.meta.url).resolve("jsqr");

/** What a code in a picture says. A page beside the given one reads it. */
export async function scan(page: Page, png: Buffer): Promise<string> {
  const other = await page.context().newPage();
  try {
    await other.addScriptTag({ path: jsqr });
    const read = `(async () => {
      const bytes = Uint8Array.from(atob("${png.toString("base64")}"), (c) => c.charCodeAt(0));
      const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      const { width, height } = image;
      const context = new OffscreenCanvas(width, height).getContext("2d");
      context.drawImage(image, 0, 0);
      return jsQR(context.getImageData(0, 0, width, height).data, width, height)?.data;
    })()`;
    return await other.evaluate<string>(read);
  } finally {
    await other.close();
  }
}
