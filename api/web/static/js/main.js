// The page, wired in one place.

import { Api } from "./api.js";
import { byId, setAttribute, setText } from "./dom.js";
import { Keys } from "./keys.js";
import { go, parse, symbolAddress } from "./router.js";
import { shortcuts } from "./shortcuts.js";
import { LiveSocket } from "./socket.js";
import { SymbolSearch } from "./symbol_search.js";
import { Theme } from "./theme.js";
import { AlertsView } from "./views/alerts.js";
import { connectionBadge } from "./views/connection_badge.js";
import { LatencyView } from "./views/latency.js";
import { MarketView } from "./views/market.js";
import { INTERVALS, SymbolView } from "./views/symbol.js";

const theme = new Theme();
const keys = new Keys();
const api = new Api(keys);
const socket = new LiveSocket(keys);
const search = new SymbolSearch();
const latency = new LatencyView(socket, theme);
const views = {
  market: new MarketView(api, socket, takeSymbols),
  symbol: new SymbolView(api, socket, theme, (name) => latency.measure(name)),
  alerts: new AlertsView(api, socket),
  latency,
};
let shown = null;

function takeSymbols(names) {
  search.symbols = names;
  if (!names.includes(latency.symbol)) latency.measure(names[0]);
}

/** Every symbol, for the search box, whatever view the page begins with. */
async function loadSymbols() {
  try {
    const { symbols } = await api.getPatiently("/symbols");
    takeSymbols(symbols.map((each) => each.symbol));
  } catch (error) {
    if (error.status !== 401) tell(`The names of the symbols cannot be read: ${error.message}`); // that has a notice
  }
}

/** What is wrong, until something else is opened. */
function tell(text) {
  const notice = byId("notice");
  notice.hidden = !text;
  setText(notice, text);
}

function route() {
  const place = parse(location.hash);
  tell("");
  const view = views[place.view];
  if (shown && shown !== view) shown.hide();
  const moved = shown !== null && shown !== view;
  shown = view;
  for (const name of Object.keys(views)) byId(`view-${name}`).hidden = name !== place.view;
  for (const link of document.querySelectorAll("nav a")) {
    setAttribute(link, "aria-current", link.dataset.view === place.view ? "page" : null);
  }
  if (place.view === "symbol") latency.measure(place.symbol);
  view.show(place);
  if (moved) byId("main").focus({ preventScroll: true });
  writeTitle();
}

function writeTitle() {
  const title = `${shown.title} · Tickstream`;
  if (document.title !== title) document.title = title;
}

function writeClock() {
  setText(byId("clock"), `${new Date(socket.clock.now()).toISOString().slice(0, 19).replace("T", " ")} UTC`);
  writeTitle();
}

function step(by) {
  if (shown !== views.symbol || !search.symbols.length) return false;
  const { symbols } = search;
  const at = symbols.indexOf(views.symbol.symbol);
  const next = symbols[(at + by + symbols.length) % symbols.length];
  go(symbolAddress(next, views.symbol.interval));
  setText(byId("announce"), next); // the focus stays where it is, and nothing else would be heard
  return true;
}

function moveRow(by) {
  if (shown !== views.market) return false;
  views.market.move(by);
  return true;
}

function chooseInterval(key) {
  if (shown !== views.symbol) return false;
  views.symbol.chooseInterval(INTERVALS[Number(key) - 1]);
  return true;
}

const help = () => byId("help-dialog").showModal();

shortcuts([
  [["/"], "/", "search a symbol", () => search.focus()],
  [["1", "2", "3", "4", "5", "6"], "1 … 6", `interval: ${INTERVALS.join(", ")}`, chooseInterval],
  [["ArrowLeft"], "←", "the symbol before", () => step(-1)],
  [["ArrowRight"], "→", "the next symbol", () => step(1)],
  [["ArrowDown", "j"], "↓ j", "the next row of the market", () => moveRow(1)],
  [["ArrowUp", "k"], "↑ k", "the row before", () => moveRow(-1)],
  [[","], ",", "older bars of the chart", () => shown === views.symbol && views.symbol.scroll(-1)],
  [["."], ".", "newer ones", () => shown === views.symbol && views.symbol.scroll(1)],
  [["n"], "n", "the chart back to now", () => shown === views.symbol && views.symbol.toNow()],
  [["m"], "m", "market", () => go("#/")],
  [["Escape"], "Esc", "closes what is open, else the market", () => views.symbol.closeMenu() || go("#/")],
  [["a"], "a", "alerts", () => go("#/alerts")],
  [["l"], "l", "latency", () => go("#/latency")],
  [["t"], "t", "dark, light, or as the system", () => theme.toggle()],
  [["?"], "?", "this list", help],
]);
byId("help").addEventListener("click", help);
connectionBadge(socket);

// A page cannot see why a handshake was refused; REST says whether a key is missing.
socket.on("refused", async () => {
  const before = keys.current;
  try {
    await api.get("/symbols");
  } catch {
    return; // not there yet: the next attempt will tell
  }
  if (keys.current !== before) socket.reconnect();
});
// Of a symbol that is none the view says so, and where one is too slow the next connection goes on.
socket.on("problem", ({ code, message }) => {
  if (!["unknown_symbol", "invalid_symbol", "too_slow"].includes(code)) tell(message);
});
byId("key-again").addEventListener("click", async () => {
  if (!(await keys.ask({ wanted: true }))) return;
  socket.reconnect();
  shown.hide();
  route();
  loadSymbols();
});

addEventListener("hashchange", route);
route();
socket.start();
loadSymbols();
setInterval(writeClock, 1000);
