// The API key, where the server asks for one: kept for this tab only.

import { byId, setText } from "./dom.js";
import { ofTab } from "./storage.js";

const PLACE = "tickstream.key";

export class Keys {
  #asking = null;
  #declined = false;

  get current() {
    return ofTab.get(PLACE);
  }

  /** Asks the user, one dialog however many requests were refused. The key, or null where they cancel: from then on
   * they are asked only when they want to be. */
  async ask({ wanted = false } = {}) {
    if (this.#declined && !wanted) return null;
    this.#asking ??= this.#show().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  #show() {
    const dialog = byId("key-dialog");
    const input = byId("key");
    const why = this.current
      ? "The server does not take the key that this tab has: it may have been replaced."
      : "This server answers those who have a key. Whoever runs it can create one.";
    setText(byId("key-why"), why);
    input.value = "";
    return new Promise((resolve) => {
      byId("key-cancel").onclick = () => dialog.close("");
      dialog.onclose = () => {
        const key = dialog.returnValue === "ok" ? input.value.trim() : "";
        if (key) ofTab.set(PLACE, key);
        this.#declined = !key;
        byId("key-notice").hidden = !this.#declined;
        resolve(key || null);
      };
      dialog.returnValue = "";
      dialog.showModal();
    });
  }
}
