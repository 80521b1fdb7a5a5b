/** The keys of this browser: the user's own, and one for each shared list. */
import { createIdentity, importIdentity } from "@sync-server/client/identity";
import { loadIdentity, saveIdentity } from "@sync-server/client/indexeddb";

const NAME = "todo";
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

/** A new key for a list. Its passphrase is random: what opens the list is a link with both. */
export async function newList(title) {
  const passphrase = crypto.randomUUID();
  const { identity, text } = await createIdentity(passphrase);
  await saveIdentity(`${NAME} ${identity.fingerprint}`, identity);
  return { id: identity.fingerprint, title, passphrase, key: bodyOf(text) };
}

/** The list that a link has brought. */
export async function sharedList({ key, passphrase, title }) {
  const identity = await importIdentity(textOf(key), passphrase);
  await saveIdentity(`${NAME} ${identity.fingerprint}`, identity);
  return { id: identity.fingerprint, title, key, passphrase };
}

/** The identity of a list, on a device that may not have had it before. */
export async function identityOf(list) {
  const known = await loadIdentity(`${NAME} ${list.id}`);
  if (known !== undefined) return known;
  await sharedList(list);
  return loadIdentity(`${NAME} ${list.id}`);
}

/** A link that opens the app with something behind `#`, which browsers send to no server. */
function link(what, ...parts) {
  const address = new URL(location.href);
  address.hash = [what, ...parts.map(encodeURIComponent)].join(",");
  return address.href;
}

/** Brings the user's key to another device, where the passphrase opens it. */
export function linkToDevice(text) {
  return link("device", bodyOf(text));
}

/** Opens a list to another person. */
export function linkToList({ key, passphrase, title }) {
  return link("list", key, passphrase, title);
}

/**
 * What a link has brought: the text of the user's key, or a list. It leaves the address, so that it
 * does not stay in the history of the browser.
 */
export function takeLink() {
  const [what, key, passphrase, title = ""] = location.hash.slice(1).split(",");
  if (what !== "device" && what !== "list") return {};
  history.replaceState(null, "", location.pathname + location.search);
  if (what === "device") return { text: textOf(key) };
  return { list: { key, passphrase, title: decodeURIComponent(title) } };
}

/** A key without the lines around it, and without white space. */
function bodyOf(text) {
  return text.slice(text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)).replace(/\s/g, "");
}

function textOf(body) {
  return `${BEGIN}\n${body}\n${END}\n`;
}
