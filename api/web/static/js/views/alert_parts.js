// How an alert is written.

import { el } from "../dom.js";
import * as format from "../format.js";
import { symbolAddress } from "../router.js";

export const SYSTEM = "*";

export const typeName = (type) => type.replaceAll("_", " ");

export const severityTag = ({ severity }) => el("span", { class: "tag", "data-severity": severity, text: severity });

export function symbolLink({ symbol, interval }) {
  if (symbol === SYSTEM) return el("span", { class: "hint", text: "system" });
  return el("a", { href: symbolAddress(symbol, interval), text: symbol });
}

/** An alert in a list: for the side of the symbol view. */
export function alertItem(alert) {
  return el(
    "li",
    { "data-status": alert.status, "data-alert": alert.alert_id },
    severityTag(alert),
    " ",
    symbolLink(alert),
    el("span", { class: "hint", text: ` ${format.moment(Date.parse(alert.event_time))} UTC ${alert.status === "raised" ? "" : alert.status}` }),
    el("p", { text: alert.message }),
  );
}
