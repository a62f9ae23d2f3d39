import { element } from "./elements.js";

/** Saves a file that the hub keeps: it is brought with the session's token, so no link alone would do. */
export async function download(session, { url, filename }) {
  const response = await session.request(url.replace(/^\/chat_sessions\/[^/]+/, ""));
  const address = URL.createObjectURL(await response.blob());
  element("a", { href: address, download: filename }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
