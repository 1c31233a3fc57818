"use strict";

/** Follow an event stream across every interruption: each event once, in order.
 *
 * `on.event(line)` gets each event or gap; `on.state(state, why)` is told "live", "away" or "over".
 * Returns once the stream is over, or `signal` is aborted; throws if it was refused at first.
 */
async function follow(path, on, signal) {
  let lastId = "";
  let retry = 2000;
  let attempt = 0;
  while (!signal.aborted) {
    let why = "the connection ended";
    try {
      const headers = lastId ? { "Last-Event-ID": lastId } : {};
      const response = await fetch(path, { headers, signal, cache: "no-store" });
      if (response.status === 204) return on.state("over");
      if (!response.ok) {
        const refused = new Error((await response.json()).error);
        refused.final = !lastId && response.status < 500;
        throw refused;
      }
      attempt = 0;
      on.state("live");
      for await (const frame of frames(response.body)) {
        if (frame.retry) retry = frame.retry;
        if (frame.event === "end") return on.state("over");
        if (frame.data) on.event(JSON.parse(frame.data));
        if (frame.id) lastId = frame.id;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.final) throw error;
      why = error.message;
    }
    on.state("away", why);
    await pause(Math.min(15000, retry * 2 ** attempt) * (0.75 + Math.random() / 2), signal);
    attempt += 1;
  }
}

/** The frames of a body, as the HTML standard has them; one that is cut off is none. */
async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
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

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
