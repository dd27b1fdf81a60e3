// Whether what is seen is live, in a word and a colour; elsewhere on the page it is said, too, when it is not.

import { byId, setText } from "../dom.js";

const WORDS = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", stale: "Stale" };

export function connectionBadge(socket) {
  const badge = byId("connection");
  const write = ({ name, detail }) => {
    badge.dataset.state = name;
    document.body.dataset.connection = name;
    badge.title = detail;
    setText(badge.querySelector("span"), WORDS[name]);
  };
  socket.on("state", write);
  write(socket.state);
}
