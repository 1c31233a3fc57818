const $ = (id) => document.getElementById(id);
const TICK_MS = 50;
const HASH_MS = 300; // browsers refuse a page that changes its address too often
const ROW_PX = 46; // of a turn; as in the style
const ROWS_AROUND = 10;
const MOST_BLOCKS = 200; // of the events of one turn; a run without turns is one turn

/** Text of events goes into the page through here only: as text, never as markup. */
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text != null) element.textContent = text;
  return element;
}

const data = $("events").textContent;
$("events").textContent = "";
const recording = new Recording(data.split("\n").filter(Boolean).map((line) => JSON.parse(line)));
const { run } = recording;
const playhead = new Playhead();
const view = { at: 0, timer: null, ticked: 0, hash: null, drawn: null, slices: [] };

function draw() {
  const here = run.at[view.at];
  const line = run.events[view.at];
  $("scrubber").max = Math.max(0, recording.last);
  $("scrubber").value = view.at;
  $("play").textContent = playhead.playing ? "pause" : "play";
  $("speed").textContent = `${playhead.speed}x`;
  const facts = [`event ${(view.at + 1).toLocaleString()} of ${run.events.length.toLocaleString()}`];
  if (line && line.ts) facts.push(new Date(line.ts).toLocaleTimeString());
  if (run.lost) facts.push(`${run.lost.toLocaleString()} lost`);
  $("position").textContent = facts.join("  ");
  Object.assign($("run").dataset, {
    at: view.at, events: run.events.length, playing: playhead.playing,
    seq: line ? line.seq ?? line.from_seq : "",
  });
  drawBoard(here);
  drawTurns();
  drawDetail(here);
  drawDensity();
}

function drawHeader() {
  const { game, label, run_id: id } = { ...run.events[0], ...run.meta };
  $("where").textContent = [game || "run", label, id].filter(Boolean).join(" · ");
  document.title = $("where").textContent;
  (run.meta.agents ?? []).forEach((agent, index) => {
    if (index) $("agents").append(make("span", "dim", " vs "));
    $("agents").append(make("span", colourOf(agent.id, run.meta), nameOf(agent.id, run.meta)));
  });
  $("outcome").textContent = run.end ? outcome(run.end, run.meta) : "not over when it was exported";
  $("outcome").className = run.end && run.end.status === "crashed" ? "bad" : "good";
}

function drawBoard(here) {
  const used = run.used(view.at);
  const playing = here && run.turns[here.turn].agent;
  $("players").replaceChildren(...(run.meta.agents ?? []).map((agent) => {
    const row = make("div", colourOf(agent.id, run.meta));
    row.textContent = `${agent.id === playing ? "▸" : " "} ${nameOf(agent.id, run.meta)}`;
    const { tokens = null, cost = null } = used.get(agent.id) ?? {};
    if (tokens != null) row.append(make("span", "dim", `  ${tokens.toLocaleString()} tok`));
    if (cost != null) row.append(make("span", "dim", `  ${dollars(cost)}`));
    return row;
  }));
  $("board").textContent = here && here.board >= 0 ? run.events[here.board].text : "no board yet";
}

/** The turns in sight, and some around them: a run may have a hundred thousand. */
function drawTurns() {
  const panel = $("turns-panel");
  const here = run.at[view.at];
  if (here && view.drawn !== here.turn) {
    view.drawn = here.turn;
    const top = here.turn * ROW_PX;
    if (top < panel.scrollTop) panel.scrollTop = top;
    if (top + ROW_PX > panel.scrollTop + panel.clientHeight) {
      panel.scrollTop = top + ROW_PX - panel.clientHeight;
    }
  }
  const first = Math.max(0, Math.floor(panel.scrollTop / ROW_PX) - ROWS_AROUND);
  const count = Math.ceil(panel.clientHeight / ROW_PX) + 2 * ROWS_AROUND;
  $("turns").style.height = `${run.turns.length * ROW_PX}px`;
  $("turns").replaceChildren(...run.turns.slice(first, first + count).map((turn, offset) => {
    const row = turnRow(turn);
    row.style.top = `${(first + offset) * ROW_PX}px`;
    row.dataset.first = turn.first;
    if (here && first + offset === here.turn) row.setAttribute("aria-current", "true");
    return row;
  }));
}

function turnRow(turn) {
  const { meta } = run;
  const row = make("li");
  const above = make("div");
  const below = make("div", "below");
  row.append(above, below);
  if (turn.gap) {
    const count = turn.gap.to_seq - turn.gap.from_seq + 1;
    const many = count > 0 ? count.toLocaleString() : "an unknown number of";
    above.append(make("span", "what warn", `┄ gap: ${many} events lost (${turn.gap.reason}) ┄`));
    return row;
  }
  above.append(make("span", "number dim", turn.number == null ? "·" : String(turn.number)));
  if (turn.agent) above.append(make("span", colourOf(turn.agent, meta), nameOf(turn.agent, meta)));
  above.append(make("span", "what", turn.did.slice(0, 300)));
  if (turn.refused) above.append(make("span", "bad", "✗ illegal"));
  if (turn.reward) above.append(make("span", "dim", `reward ${turn.reward}`));
  if (turn.errors) above.append(make("span", "bad", `! ${turn.errors}`));
  if (turn.seconds != null) above.append(make("span", "dim", `${turn.seconds.toFixed(1)} s`));
  if (turn.tokens) above.append(make("span", "dim", `${turn.tokens.toLocaleString()} tok`));
  if (turn.cost != null) above.append(make("span", "dim", dollars(turn.cost)));
  below.textContent = (turn.failed || turn.said).slice(0, 300);
  if (turn.failed) below.classList.add("bad");
  return row;
}

function drawDetail(here) {
  const turn = here && run.turns[here.turn];
  if (!turn) return;
  const whose = turn.agent ? ` · ${nameOf(turn.agent, run.meta)}` : "";
  $("detail-title").textContent = turn.number == null ? turn.did || "run" : `turn ${turn.number}${whose}`;
  const blocks = [];
  const first = Math.max(turn.first, Math.min(view.at, turn.last) - MOST_BLOCKS / 2);
  const last = Math.min(turn.last, first + MOST_BLOCKS);
  const left = turn.last - turn.first - (last - first);
  if (left > 0) blocks.push(make("p", "dim", `… ${left.toLocaleString()} more events of this turn`));
  for (let index = first; index <= last; index += 1) {
    const parts = blocksOf(run.events[index], index);
    if (index > view.at) parts.forEach((part) => part.classList.add("later"));
    blocks.push(...parts);
  }
  $("detail").replaceChildren(...(blocks.length ? blocks : [make("p", "dim", "nothing yet")]));
}

/** What one event says, as a title and paragraphs. */
function blocksOf(line, index) {
  const labelled = (title, text, className = "") =>
    text ? [make("h3", "", title), make("p", className, text)] : [];
  switch (line.kind) {
    case "llm_prompt": return promptOf(line, run.events[recording.previous.get(index)]);
    case "llm_response": return [
      ...labelled("reasoning", line.reasoning, "dim"), ...labelled("answer", line.text),
      ...labelled("tool calls", (line.tool_calls ?? []).map(called).join("\n")),
    ];
    case "action": return labelled("action", plain(line.action));
    case "action_result": return labelled("result", [
      line.ok === false ? "✗ illegal" : "✓",
      line.reward == null ? "" : `reward ${line.reward}`, plain(line.detail),
    ].filter(Boolean).join("  "), line.ok === false ? "bad" : "");
    case "error": return [
      ...labelled("error", [line.where, line.message].filter(Boolean).join(": "), "bad"),
      ...(line.traceback ? [make("pre", "traceback", line.traceback)] : []),
    ];
    case "run_start": return labelled("start", [line.game, line.label].filter(Boolean).join(" · "));
    case "run_end": return labelled("outcome", [
      outcome(line, run.meta), line.reason,
      ...Object.entries(line.outcome ?? {}).map(([id, score]) => `${nameOf(id, run.meta)}  ${score}`),
    ].filter(Boolean).join("\n"));
    case "world_mutation": return labelled("world", [
      line.reason, [line.before_summary, line.after_summary].filter(Boolean).join(" → "),
    ].filter(Boolean).join("\n"));
    case "fork": return labelled("fork", [
      `of ${line.parent_run_id} at ${line.parent_seq ?? "?"}`, line.mutation_summary,
    ].filter(Boolean).join("\n"));
    case "metric": return labelled("metric", [line.name, line.value, line.unit].map(plain).join(" "));
    case "log": return labelled(line.level ?? "log", line.text);
    case "gap": return labelled("gap", `from ${line.from_seq} to ${line.to_seq}: ${line.reason}`, "bad");
    case "observation": return index === run.at[view.at].board ? [] : labelled("sees", line.text);
    case "turn_start": return [];
    default: return labelled(plain((line.raw ?? line).kind), JSON.stringify(line.raw ?? line, null, 1));
  }
}

/** The prompt, of which what is new is bright. */
function promptOf(line, before) {
  const title = make("h3", "", "prompt");
  if (line.text != null) {
    const old = before && before.text && line.text.startsWith(before.text) ? before.text.length : 0;
    const text = make("p");
    if (old) text.append(make("span", "old", line.text.slice(0, old)));
    text.append(make("span", "new", line.text.slice(old)));
    return [title, text];
  }
  const messages = line.messages ?? [];
  const fresh = freshFrom(messages, (before && before.messages) ?? []);
  return [title, ...messages.map((message, index) => {
    const role = message && message.role && message.role !== "user" ? `${plain(message.role)}: ` : "";
    const text = make("p", index < fresh ? "old" : "new");
    text.append(make("span", "dim", role), said(message));
    return text;
  })];
}

function dollars(cost) {
  return `$${cost.toFixed(cost < 0.1 ? 4 : 2)}`;
}

/** By slice of the scrubber: how long its events took, and what is marked in it. */
function sliced(count) {
  const { events } = run;
  const slices = Array.from({ length: Math.max(1, Math.min(count, events.length)) }, () => (
    { from: NaN, to: NaN, mark: "" }
  ));
  const marks = { error: "bad", gap: "warn" };
  events.forEach((line, index) => {
    const slice = slices[Math.floor((index * slices.length) / events.length)];
    const time = recording.times[index];
    if (Number.isNaN(slice.from)) slice.from = recording.times[Math.max(0, index - 1)];
    if (!Number.isNaN(time)) slice.to = time;
    if (recording.bookmarks.has(index)) slice.mark = "accent";
    if (marks[line.kind] && slice.mark !== "bad") slice.mark = marks[line.kind];
  });
  const longest = Math.max(1, ...slices.map((each) => each.to - each.from || 0));
  return slices.map(({ from, to, mark }) => (
    { height: Math.sqrt(Math.max(0, to - from || 0) / longest), mark }
  ));
}

function drawDensity() {
  const canvas = $("density");
  if (canvas.width !== canvas.clientWidth || !view.slices.length) {
    canvas.width = canvas.clientWidth;
    view.slices = sliced(Math.floor(canvas.width / 4));
  }
  const { width, height } = canvas;
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const cell = width / view.slices.length;
  const here = recording.last > 0 ? (view.at / recording.last) * (width - 2) : 0;
  pen.clearRect(0, 0, width, height);
  view.slices.forEach((slice, index) => {
    const tall = slice.mark ? height : 2 + Math.round((height - 6) * slice.height);
    pen.fillStyle = style.getPropertyValue(`--${slice.mark || (index * cell <= here ? "dim" : "line")}`);
    pen.fillRect(index * cell, height - tall, Math.max(1, cell - 1), tall);
  });
  pen.fillStyle = style.getPropertyValue("--text");
  pen.fillRect(here, 0, 2, height);
}

/* Moving through it. */

function go(at) {
  view.at = Math.max(0, Math.min(recording.last, at));
  playhead.before = recording.times[view.at];
  clearTimeout(view.hash);
  view.hash = setTimeout(keepPlace, HASH_MS);
  draw();
}

/** Say in the address where one stands, so that it can be handed on. */
function keepPlace() {
  const line = run.events[view.at];
  if (line && !playhead.playing) history.replaceState(null, "", `#seq=${line.seq ?? line.from_seq}`);
}

function toggle() {
  clearInterval(view.timer);
  if (playhead.playing) {
    playhead.playing = false;
    return go(view.at);
  }
  if (view.at >= recording.last) view.at = 0;
  playhead.play(recording.times[view.at]);
  view.ticked = performance.now();
  view.timer = setInterval(() => {
    const now = performance.now();
    const at = playhead.advance(view.at, now - view.ticked, recording.times);
    view.ticked = now;
    if (at >= recording.last) {
      clearInterval(view.timer);
      playhead.playing = false;
    }
    if (at !== view.at || !playhead.playing) {
      view.at = at;
      draw();
      if (!playhead.playing) keepPlace();
    }
  }, TICK_MS);
  return draw();
}

function jump(kind, step) {
  go(recording.nearest(view.at, step, (line) => line.kind === kind));
}

function changeSpeed(step) {
  playhead.change(step);
  draw();
}

/** Go where the address says: `#seq=123`, with `&epoch=…` in one of several streams of a run. */
function goToHash() {
  const found = new URLSearchParams(location.hash.slice(1));
  if (!/^\d+$/.test(found.get("seq") ?? "")) return;
  const epoch = found.has("epoch") ? Number(found.get("epoch")) : null;
  go(recording.indexOf(Number(found.get("seq")), epoch));
}

const KEYS = {
  " ": toggle, ArrowLeft: () => go(view.at - 1), ArrowRight: () => go(view.at + 1),
  "[": () => go(recording.turnFrom(view.at, -1)), "]": () => go(recording.turnFrom(view.at, 1)),
  e: () => jump("error", 1), E: () => jump("error", -1), l: () => jump("gap", 1), L: () => jump("gap", -1),
  "'": () => go(recording.nearest(view.at, 1, (_, index) => recording.bookmarks.has(index))),
  '"': () => go(recording.nearest(view.at, -1, (_, index) => recording.bookmarks.has(index))),
  "+": () => changeSpeed(1), "=": () => changeSpeed(1), "-": () => changeSpeed(-1),
  Home: () => go(0), End: () => go(recording.last), g: () => $("goto").focus(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target === $("goto")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === " " && event.target.matches("button")) return;
  if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});
const BUTTONS = { play: " ", slower: "-", faster: "+", previous: "[", next: "]", back: "ArrowLeft",
                  on: "ArrowRight", error: "e" };
Object.entries(BUTTONS).forEach(([id, key]) => $(id).addEventListener("click", KEYS[key]));
$("goto-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const at = recording.target($("goto").value);
  $("goto").setAttribute("aria-invalid", String(at == null));
  if (at == null) return;
  $("goto").value = "";
  $("goto").blur();
  go(at);
});
$("scrubber").addEventListener("input", (event) => go(Number(event.target.value)));
function scrub(event) {
  if (!event.buttons) return;
  const { left, width } = $("density").getBoundingClientRect();
  go(Math.round(((event.clientX - left) / width) * recording.last));
}
$("density").addEventListener("pointerdown", (event) => {
  event.target.setPointerCapture(event.pointerId);
  scrub(event);
});
$("density").addEventListener("pointermove", scrub);
$("turns").addEventListener("click", (event) => {
  const row = event.target.closest("li");
  if (row) go(Number(row.dataset.first));
});
$("turns-panel").addEventListener("scroll", drawTurns);
matchMedia("(prefers-color-scheme: light)").addEventListener("change", drawDensity);
addEventListener("resize", draw);
addEventListener("hashchange", goToHash);

drawHeader();
draw();
goToHash();
