/** Devices and settings: a column beside the notes or, where there is no room, a sheet above them. */
import { find } from "./dom.ts";

/** As in sheet.css. */
const HAS_ROOM = "(min-width: 50rem)";

/** Whether the entry of the browser's history is that of the open sheet, so that “Back” closes it. */
const isEntryOfSheet = (): boolean => history.state?.sheet === true;

export function offerSheet(): void {
  const dialog = find("sheet", HTMLDialogElement);
  const body = find("sheet-body", HTMLElement);
  const button = find("open-sheet", HTMLButtonElement);
  const side = find("side", HTMLElement);
  const messages = find("messages", HTMLElement);
  const room = matchMedia(HAS_ROOM);

  const show = () => {
    if (room.matches || dialog.open) return;
    // What is outside of an open dialog is neither seen nor read out.
    find("sheet-head", HTMLElement).after(messages);
    dialog.showModal();
  };
  const place = () => {
    button.hidden = room.matches;
    if (room.matches) {
      dialog.close();
      find("notebook", HTMLElement).append(side);
    } else body.append(side);
  };

  button.addEventListener("click", () => {
    // The page stays where it is below the sheet, or goes to what has come of it.
    history.scrollRestoration = "manual";
    history.pushState({ sheet: true }, "");
    show();
  });
  addEventListener("popstate", () => {
    if (isEntryOfSheet()) return show();
    history.scrollRestoration = "auto";
    dialog.close();
  });
  dialog.addEventListener("close", () => {
    find("main", HTMLElement).prepend(messages);
    if (isEntryOfSheet()) history.back();
  });
  find("close-sheet", HTMLButtonElement).addEventListener("click", () => dialog.close());
  // The body fills the dialog: what is left of it is the backdrop.
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) dialog.close();
  });
  room.addEventListener("change", place);
  place();
  if (isEntryOfSheet()) show();
}
