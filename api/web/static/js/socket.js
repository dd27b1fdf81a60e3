// The WebSocket: what is wanted is subscribed to, whatever becomes of the connection meanwhile.
//
// Emits the messages of the server by their type (trade, quote, candle, correction, alert, snapshot, gap, ack), and
//   state    {name, detail}: connecting, live, reconnecting or stale
//   resync   what was missed cannot be had from here: read it by REST

import { ServerClock, ownNow } from "./clock.js";
import { Emitter } from "./emitter.js";
import { Wishes, messages, renamed } from "./subscription.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 20_000;
const STEADY_MS = 5_000; // a connection that lived so long starts the waits anew
const PING_MS = 10_000;
const FIRST_PINGS_MS = [0, 300, 900];
const CONNECT_MS = 10_000;

export class LiveSocket extends Emitter {
  clock = new ServerClock();
  counts = { connections: 0, replayed: 0, skipped: 0, resyncs: 0, messages: 0 };
  state = { name: "connecting", detail: "" };
  maxSymbols = Infinity;
  epoch = null;
  seq = 0;
  #wishes = new Wishes();
  #keys; // API keys
  #subscribed = new Set();
  #pace = null;
  #socket = null;
  #ready = false;
  #attempt = 0;
  #openedAt = 0;
  #heardAt = 0;
  #heartbeatMs = 15_000;
  #timer = null;
  #resume = null; // {epoch, seq} that a new connection goes on from
  #resuming = []; // subscribe messages that wait for the replay before them
  #pings = new Map();
  #pingNumber = 0;

  constructor(keys) {
    super();
    this.#keys = keys;
  }

  start() {
    setInterval(() => this.#watch(), 1000);
    setInterval(() => this.#ping(), PING_MS);
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#watch();
    });
    this.#connect();
  }

  /** From now on `owner` gets these keys, and no others; messages may be gathered for `intervalMs`. */
  want(owner, keys, intervalMs) {
    this.#wishes.set(owner, keys, intervalMs);
    this.#settle();
  }

  unwant(owner) {
    this.#wishes.clear(owner);
    this.#settle();
  }

  /** Two spellings of one symbol: the server has subscribed to `to` when it was asked for `from`. */
  rename(from, to) {
    this.#wishes.rename(from, to);
    this.#subscribed = renamed(this.#subscribed, from, to);
  }

  /** Whether what is seen may be outdated: the connection is silent or gone. */
  get isLost() {
    return this.state.name === "reconnecting" || this.state.name === "stale";
  }

  get intervalMs() {
    return this.#wishes.intervalMs;
  }

  /** Begins again at once, with the key that is there now. */
  reconnect() {
    this.#attempt = 0;
    this.#drop("a new key");
    this.#hurry();
  }

  #hurry() {
    if (this.#socket) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  #connect() {
    const address = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/ws`;
    const key = this.#keys.current;
    this.#openedAt = this.#heardAt = performance.now();
    const socket = key ? new WebSocket(address, ["tickstream", `bearer.${key}`]) : new WebSocket(address);
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#receive(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#lost(reason || (code === 1006 ? "the connection broke" : `code ${code}`));
    };
  }

  #lost(why) {
    const lived = performance.now() - this.#openedAt;
    if (this.#ready && lived > STEADY_MS) this.#attempt = 0;
    const refused = !this.#ready;
    this.#socket = null;
    this.#ready = false;
    this.#subscribed.clear();
    this.#pings.clear();
    this.#pace = null;
    // Where a replay was still under way, its beginning is what everything goes on from.
    if (!this.#resuming.length && this.epoch) this.#resume = { epoch: this.epoch, seq: this.seq };
    this.#resuming = [];
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#attempt);
    const wait = longest / 2 + (Math.random() * longest) / 2;
    this.#attempt += 1;
    this.#become("reconnecting", why);
    this.#timer = setTimeout(() => this.#connect(), wait);
    if (refused) this.emit("refused", why); // a handshake's answer is hidden from pages: REST can be asked
  }

  #drop(why) {
    const socket = this.#socket;
    if (!socket) return;
    this.#lost(why);
    socket.close();
  }

  /** Silence: the server sends at least a heartbeat. */
  #watch() {
    if (!this.#socket) return;
    const silence = performance.now() - this.#heardAt;
    if (!this.#ready) {
      if (silence > CONNECT_MS) this.#drop("no answer");
    } else if (silence > 2.5 * this.#heartbeatMs) this.#drop(`nothing for ${Math.round(silence / 1000)} s`);
    else if (silence > 1.2 * this.#heartbeatMs) {
      this.#become("stale", `nothing for ${Math.round(silence / 1000)} s`);
    }
  }

  #receive(text) {
    this.#heardAt = performance.now();
    if (this.state.name === "stale") this.#become("live", "");
    const message = JSON.parse(text);
    if (message.type === "batch") for (const each of message.messages) this.#take(each);
    else this.#take(message);
  }

  #take(message) {
    this.counts.messages += 1;
    const { type, seq } = message;
    if (seq !== undefined && seq > this.seq && type !== "hello" && type !== "ack") this.seq = seq;
    switch (type) {
      case "hello":
        this.#greeted(message);
        break;
      case "pong":
        this.#pong(message);
        break;
      case "resumed":
        this.counts.replayed += message.replayed;
        this.#nextReplay();
        break;
      case "resume_failed":
        this.counts.resyncs += 1;
        this.#resume = null;
        for (const { resume, ...rest } of this.#resuming.splice(0).slice(1)) this.#send(rest);
        this.#settle();
        this.emit("resync", message.message);
        break;
      case "gap":
        for (const number of Object.values(message.skipped)) this.counts.skipped += number;
        this.emit("gap", message);
        break;
      case "error":
        this.emit("problem", message);
        break;
      case "heartbeat":
        break;
      default:
        this.emit(type, message);
    }
  }

  #greeted({ epoch, seq, heartbeat_seconds: heartbeat, max_symbols: maxSymbols }) {
    const anew = this.counts.connections > 0;
    this.#ready = true;
    this.counts.connections += 1;
    this.#heartbeatMs = heartbeat * 1000;
    this.maxSymbols = maxSymbols;
    if (epoch !== this.epoch) this.seq = seq;
    this.clock.renew();
    this.epoch = epoch;
    for (const ms of FIRST_PINGS_MS) setTimeout(() => this.#ping(), ms);
    if (this.#resume && this.#resume.epoch === epoch) this.#replay();
    else {
      // Another process answers: it cannot know what we missed.
      const lostSomething = this.#resume !== null;
      this.#resume = null;
      this.#settle();
      if (lostSomething) {
        this.counts.resyncs += 1;
        this.emit("resync", "the server has been started anew");
      }
    }
    this.#become("live", anew ? "again" : "");
    this.emit("hello");
  }

  /** Everything that is wanted, one message after another: the server replays one at a time. */
  #replay() {
    const keys = this.#wishes.keys;
    this.#subscribed = keys;
    this.#pace = this.#wishes.intervalMs;
    this.#resuming = messages("subscribe", keys).map((each) => ({
      ...each,
      ...this.#manner(),
      resume: this.#resume,
    }));
    if (this.#resuming.length) this.#send(this.#resuming[0]);
    else this.#resume = null;
  }

  #nextReplay() {
    this.#resuming.shift();
    if (this.#resuming.length) this.#send(this.#resuming[0]);
    else {
      this.#resume = null;
      this.#settle();
    }
  }

  /** Subscribes and unsubscribes until the server has what is wanted. */
  #settle() {
    if (!this.#ready || this.#resuming.length) return;
    const wanted = this.#wishes.keys;
    const gone = [...this.#subscribed].filter((key) => !wanted.has(key));
    // One pace for all, so that there is one order and one `seq` to resume from: all are named when it changes.
    const samePace = this.#pace === this.intervalMs;
    const asked = [...wanted].filter((key) => !samePace || !this.#subscribed.has(key));
    for (const each of messages("unsubscribe", gone)) this.#send(each);
    for (const each of messages("subscribe", asked)) this.#send({ ...each, ...this.#manner() });
    this.#subscribed = wanted;
    this.#pace = this.intervalMs;
  }

  #manner() {
    return { interval_ms: this.intervalMs, batch: true };
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #ping() {
    if (!this.#ready) return;
    const id = (this.#pingNumber += 1);
    if (this.#pings.size > 20) this.#pings.clear();
    this.#pings.set(id, ownNow());
    this.#send({ type: "ping", id });
  }

  #pong({ id, time }) {
    const sent = this.#pings.get(id);
    if (sent === undefined) return;
    this.#pings.delete(id);
    this.clock.add(sent, ownNow(), Date.parse(time));
    this.emit("clock");
  }

  #become(name, detail) {
    if (this.state.name === name && this.state.detail === detail) return;
    this.state = { name, detail };
    this.emit("state", this.state);
  }
}
