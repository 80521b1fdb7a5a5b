/** What lets a person compare the devices: the state code, their names, and when each was last heard of. */
import { deviceText } from "../device-text.ts";
import type { Notebook } from "../notebook.ts";
import { nameOfBrowser } from "./device-name.ts";
import { create, find, hideError, setText, showError } from "./dom.ts";

export class DevicesView {
  readonly #notebook: Notebook;
  readonly #code = find("state-code", HTMLElement);
  readonly #list = find("devices", HTMLElement);
  readonly #hint = find("devices-hint", HTMLElement);
  readonly #name = find("device-name", HTMLInputElement);

  constructor(notebook: Notebook) {
    this.#notebook = notebook;
    find("compare-details", HTMLElement).addEventListener("toggle", () => this.show());
    find("device-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#rename();
    });
  }

  async show(): Promise<void> {
    this.#showDevices();
    setText(this.#code, await this.#notebook.client.stateCode());
  }

  /** Renews the list: the times pass. */
  #showDevices(): void {
    const { client, devices, newestOwn } = this.#notebook;
    const now = Date.now();
    const newestFirst = client.devices.toSorted((a, b) => (b.heardAt ?? 0) - (a.heardAt ?? 0));
    const items = newestFirst.map((device) => {
      const item = create("li");
      const id = create("code", device.client.slice(0, 8));
      const name = devices.find(device.client);
      const named = name === undefined ? ["Device ", id] : [create("strong", name), " (", id, ")"];
      item.append(...named, `: ${deviceText(device, newestOwn, now)}.`);
      return item;
    });
    this.#list.replaceChildren(...items);
    this.#hint.hidden = items.length === 0;
    // What is being typed stays.
    if (document.activeElement !== this.#name) {
      this.#name.value = devices.find(client.client) ?? nameOfBrowser();
    }
  }

  async #rename(): Promise<void> {
    try {
      hideError();
      await this.#notebook.rename(this.#name.value);
      this.#name.blur();
      this.#showDevices();
    } catch (error) {
      showError(error);
    }
  }
}
