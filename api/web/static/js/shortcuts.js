// The keyboard: one table of keys, which is also what the help shows.

import { byId, el } from "./dom.js";

/** `keys`: [[key, …], how they are written, what they do, action]. The action gets the key; false: not for us. */
export function shortcuts(keys) {
  const actions = new Map(keys.flatMap(([names, , , action]) => names.map((name) => [name, action])));
  byId("help-keys").replaceChildren(
    ...keys.map(([, written, what]) =>
      el("tr", {}, el("th", { scope: "row" }, ...written.split(" ").map((key) => el("kbd", { text: key }))), el("td", { text: what })),
    ),
  );
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (isTyping(event.target, event.key)) return;
    const action = actions.get(event.key);
    if (action && action(event.key) !== false) event.preventDefault();
  });
}

/** Whether a key means something to what has the focus. */
function isTyping(target, key) {
  if (target.matches("input[type=text], input[type=password], select, textarea")) return true;
  if (target.matches("input")) return key.startsWith("Arrow") || key === " ";
  if (!target.matches(".scroll")) return false;
  if (key === "ArrowLeft" || key === "ArrowRight") return target.scrollWidth > target.clientWidth;
  return key.startsWith("Arrow") && target.scrollHeight > target.clientHeight;
}
