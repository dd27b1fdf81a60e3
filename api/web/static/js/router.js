// Addresses: #/  #/symbol/AAPL?interval=5m  #/alerts?severity=high  #/latency

export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view = "", name = ""] = path.split("/");
  const parameters = new URLSearchParams(query);
  if (view === "symbol" && name) return { view, symbol: decoded(name).toUpperCase(), parameters };
  if (view === "alerts" || view === "latency") return { view, parameters };
  return { view: "market", parameters };
}

/** Of what is no text the signs themselves: the view says that there is no such symbol. */
function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

export const symbolAddress = (symbol, interval = null) =>
  `#/symbol/${encodeURIComponent(symbol)}${interval ? `?interval=${interval}` : ""}`;

export function alertsAddress(parameters) {
  const query = new URLSearchParams(parameters).toString();
  return query ? `#/alerts?${query}` : "#/alerts";
}

export function go(address) {
  location.hash = address;
}

/** The same view at another address: no step for the back button. */
export function stay(address) {
  history.replaceState(null, "", address);
}
