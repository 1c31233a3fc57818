"use strict";

const SILENT_MS = 45000; // the server says something every 15 s: after so long it is out of reach
const RETRY_MAX_MS = 10000;

/** Follow an event stream across every interruption: each event once, in order.
 *
 * `on.event(line)` gets each event or gap; `on.state(state, why)` is told "live", "away" or "over".
 * Only a gap of the server's own is of kind "gap", and the fields of a known kind are as they should
 * be: any other event is handed over as of kind "other", with the line in `raw`.
 * Returns once the stream is over, or `signal` is aborted; throws if it was refused at first.
 */
async function follow(path, on, signal) {
  let lastId = "";
  let retry = 2000;
  let attempt = 0;
  while (!signal.aborted) {
    let why = "the connection ended";
    const connection = new AbortController();
    const cut = () => connection.abort();
    // What a frozen tab was sent may never arrive; a network that is back is worth a try at once.
    const news = new Map([[signal, "abort"], [document, "resume"], [window, "online"]]);
    news.forEach((name, target) => target.addEventListener(name, cut));
    try {
      const headers = lastId ? { "Last-Event-ID": lastId } : {};
      const options = { headers, signal: connection.signal, cache: "no-store" };
      const response = await fetch(path, options);
      if (response.status === 204) return on.state("over");
      if (!response.ok) {
        const refused = new Error((await response.json()).error);
        refused.final = !lastId && response.status < 500;
        throw refused;
      }
      attempt = 0;
      on.state("live");
      for await (const frame of frames(response.body, connection)) {
        if (frame.retry) retry = frame.retry;
        if (frame.event === "end") return on.state("over");
        if (frame.data) on.event(lineOf(frame));
        if (frame.id) lastId = frame.id;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.final) throw error;
      why = error.message;
    } finally {
      connection.abort();
      news.forEach((name, target) => target.removeEventListener(name, cut));
    }
    on.state("away", why);
    const longest = Math.min(RETRY_MAX_MS, retry * 1.5 ** attempt);
    await pause(longest * (0.75 + Math.random() / 4), news);
    attempt += 1;
  }
}

/** The line of a frame, by whose name the server tells what it is. */
function lineOf(frame) {
  const line = JSON.parse(frame.data);
  if (frame.event !== "other") return line;
  const { run_id, epoch, seq, ts, turn, agent_id } = line;
  return { run_id, epoch, seq, ts, turn, agent_id, kind: "other", raw: line };
}

/** The frames of a body, as the HTML standard has them; one that is cut off is none. */
async function* frames(body, connection) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const watch = setTimeout(() => connection.abort(), SILENT_MS);
    const { value, done } = await reader.read().finally(() => clearTimeout(watch));
    if (done) return;
    text += value;
    let at;
    while ((at = text.indexOf("\n\n")) >= 0) {
      const frame = {};
      for (const line of text.slice(0, at).split("\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) frame[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
      }
      if (frame.retry) frame.retry = Number(frame.retry);
      yield frame;
      text = text.slice(at + 2);
    }
  }
}

/** Wait so long, or until one of the events comes. */
function pause(ms, events) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      events.forEach((name, target) => target.removeEventListener(name, done));
      resolve();
    }
    events.forEach((name, target) => target.addEventListener(name, done));
  });
}
