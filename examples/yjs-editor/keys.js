/** The keys of this browser: the user's own, and one for each space, which is a note with other people. */
import { createIdentity, importIdentity } from "@sync-server/client/identity";
import { forgetIdentity, loadIdentity, saveIdentity } from "@sync-server/client/indexeddb";

const NAME = "notes";
const [BEGIN, END] = ["BEGIN", "END"].map((word) => `-----${word} SYNC-SERVER KEY-----`);

/** The user of this browser: `undefined` until there is one. */
export async function knownUser() {
  const identity = await loadIdentity(NAME);
  const isKept = localStorage.getItem(`${NAME} kept`) !== null;
  return identity && { identity, text: localStorage.getItem(NAME) ?? "", isKept };
}

/** A new user, or one that another device has: by the text of the key, or by a link with it. */
export async function enter(passphrase, text) {
  const isNew = text.trim() === "";
  const made = isNew
    ? await createIdentity(passphrase)
    : { identity: await importIdentity(text, passphrase), text };
  localStorage.setItem(NAME, made.text);
  if (!isNew) setKept();
  await saveIdentity(NAME, made.identity);
  return { ...made, isKept: !isNew };
}

/** The user has the text of the key outside of this browser. */
export function setKept() {
  localStorage.setItem(`${NAME} kept`, "yes");
}

/** A key for a space. Its passphrase is random: what opens the space is a link with both. */
export async function newSpace() {
  const passphrase = crypto.randomUUID();
  const { identity, text } = await createIdentity(passphrase);
  await saveIdentity(`${NAME} ${identity.fingerprint}`, identity);
  return { id: identity.fingerprint, key: bodyOf(text), passphrase };
}

/** The space that a link has brought. */
export async function joinSpace({ key, passphrase }) {
  const identity = await importIdentity(textOf(key), passphrase);
  await saveIdentity(`${NAME} ${identity.fingerprint}`, identity);
  return { id: identity.fingerprint, key, passphrase };
}

/** The identity of a space, on a device that may not have had it before. */
export async function identityOf(space) {
  const known = await loadIdentity(`${NAME} ${space.id}`);
  if (known !== undefined) return known;
  await joinSpace(space);
  return loadIdentity(`${NAME} ${space.id}`);
}

export function forgetSpace({ id }) {
  return forgetIdentity(`${NAME} ${id}`);
}

/** A link that opens the app with something behind `#`, which browsers send to no server. */
function link(...parts) {
  const address = new URL(location.href);
  address.hash = parts.join(",");
  return address.href;
}

/** Brings the user's key to another device, where the passphrase opens it. */
export function linkToDevice(text) {
  return link("device", bodyOf(text));
}

/** Opens a note to another person. */
export function linkToSpace({ key, passphrase }) {
  return link("note", key, passphrase);
}

/**
 * What a link has brought: the text of the user's key, or a space. It leaves the address, so that it
 * does not stay in the history of the browser.
 */
export function takeLink() {
  const [what, key, passphrase] = location.hash.slice(1).split(",");
  if (what !== "device" && what !== "note") return {};
  history.replaceState(null, "", location.pathname + location.search);
  return what === "device" ? { text: textOf(key) } : { space: { key, passphrase } };
}

/** A key without the lines around it, and without white space. */
function bodyOf(text) {
  return text.slice(text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)).replace(/\s/g, "");
}

function textOf(body) {
  return `${BEGIN}\n${body}\n${END}\n`;
}
