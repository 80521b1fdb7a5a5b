/** What lets a person compare the devices: the state code, and when each was last heard of. */
import type { SyncClient } from "../../../client/index.ts";
import { deviceText } from "../device-text.ts";
import { create, find, setText } from "./dom.ts";
import type { NotesList } from "./notes-list.ts";

export class DevicesView {
  readonly #client: SyncClient;
  readonly #notes: NotesList;
  readonly #code = find("state-code", HTMLElement);
  readonly #list = find("devices", HTMLElement);
  readonly #hint = find("devices-hint", HTMLElement);

  constructor(client: SyncClient, notes: NotesList) {
    this.#client = client;
    this.#notes = notes;
    find("compare-details", HTMLElement).addEventListener("toggle", () => this.show());
  }

  async show(): Promise<void> {
    this.#showDevices();
    setText(this.#code, await this.#client.stateCode());
  }

  /** Renews the list: the times pass. */
  #showDevices(): void {
    const { client, devices } = this.#client;
    const newest = this.#notes.newestOwn(client);
    const now = Date.now();
    const newestFirst = devices.toSorted((a, b) => (b.heardAt ?? 0) - (a.heardAt ?? 0));
    const items = newestFirst.map((device) => {
      const item = create("li");
      const name = create("code", device.client.slice(0, 8));
      item.append("Device ", name, `: ${deviceText(device, newest, now)}.`);
      return item;
    });
    this.#list.replaceChildren(...items);
    this.#hint.hidden = items.length === 0;
  }
}
