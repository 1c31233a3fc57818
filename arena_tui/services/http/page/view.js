const $ = (id) => document.getElementById(id);
const PAGE = 60;
const MOST_EVENTS = 20000; // of a run; earlier ones are for a download
const FRAME_MS = 100;
const LOAD_MS = 500;
const MOST_BLOCKS = 100; // of the events of one turn; a run without turns is one turn
const MOST_TEXT = 20000;

/** Text of events goes into the page through here only: as text, never as markup. */
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text != null) element.textContent = text;
  return element;
}

function show(state, why) {
  const words = { live: "live", over: "over", away: "reconnecting" };
  $("link").className = state;
  $("link").textContent = words[state] ?? state;
  $("link").title = why ?? "";
}

/* The list of runs. */

const list = { runs: new Map(), dirty: false, waiting: null };

async function showList(signal) {
  $("where").textContent = "";
  await loadList(signal);
  const state = (name, why) => {
    show(name, why);
    if (name === "live") loadListSoon(); // what ended meanwhile, or is not stored yet
  };
  await follow("/events", { event: heard, state }, signal);
}

function loadListSoon() {
  clearTimeout(list.waiting);
  list.waiting = setTimeout(() => loadList(shown.signal).catch(() => {}), LOAD_MS);
}

async function loadList(signal) {
  const query = new URLSearchParams({ limit: PAGE, filter: $("filter").value });
  const response = await fetch(`/runs?${query}`, { signal, cache: "no-store" });
  const found = await response.json();
  $("problem").hidden = response.ok;
  $("problem").textContent = response.ok ? "" : found.error;
  if (!response.ok) return;
  const lastOf = (id) => list.runs.get(id)?.last ?? "";
  list.runs = new Map(found.runs.map((run) => [run.run_id, { ...run, last: lastOf(run.run_id) }]));
  $("shown").textContent = found.total > found.runs.length
    ? `${found.runs.length} of ${found.total.toLocaleString()} runs` : `${found.total} runs`;
  drawList();
}

function heard(line) {
  const run = list.runs.get(line.run_id) ?? (line.kind === "run_start" ? begun(line) : null);
  if (!run) return void (line.kind === "run_end" && loadListSoon());
  if (line.turn != null) run.turns = Math.max(run.turns ?? 0, line.turn);
  if (line.kind === "action") run.last = `${nameOf(line.agent_id, run)}  ${plain(line.action)}`;
  if (line.kind === "error") { run.errors += 1; run.last = line.message ?? "error"; }
  if (line.kind === "llm_response" && line.text) run.last = line.text;
  if (line.kind === "llm_response" && line.cost_usd != null) run.cost_usd += line.cost_usd;
  if (line.kind === "gap") run.lost += Math.max(0, line.to_seq - line.from_seq + 1);
  if (line.kind === "run_end") {
    run.status = line.status ?? "finished";
    run.last = outcome(line, run);
  }
  if (!list.dirty) {
    list.dirty = true;
    setTimeout(drawList, FRAME_MS);
  }
}

function begun(line) {
  if ($("filter").value) return null;
  const run = { run_id: line.run_id, game: line.game ?? "", agents: line.agents ?? [],
                label: line.label, status: "running", turns: 0, errors: 0, lost: 0,
                cost_usd: null, last: "" };
  list.runs = new Map([[line.run_id, run], ...list.runs].slice(0, PAGE));
  return run;
}

function drawList() {
  list.dirty = false;
  $("cards").replaceChildren(...[...list.runs.values()].map(card));
  if (!list.runs.size) $("cards").append(make("li", "dim", "no runs"));
}

function card(run) {
  const link = make("a", "card");
  link.href = `#/run/${encodeURIComponent(run.run_id)}`;
  const top = make("div", "top");
  top.append(make("b", "", run.game || run.label || "run"));
  const states = { running: "good", finished: "dim", crashed: "bad", silent: "warn" };
  top.append(make("span", states[run.status] ?? "dim", run.status));
  const players = make("div");
  run.agents.forEach((agent, index) => {
    if (index) players.append(make("span", "dim", " vs "));
    players.append(make("span", colourOf(agent.id, run), agent.name || agent.id));
  });
  const facts = [`turn ${run.turns ?? 0}`, run.run_id.slice(-4).toLowerCase()];
  if (run.cost_usd != null) facts.push(`$${run.cost_usd.toFixed(3)}`);
  const bottom = make("div", "dim facts", facts.join("  "));
  if (run.errors) bottom.append(make("span", "bad", `  ! ${run.errors} err`));
  if (run.lost) bottom.append(make("span", "warn", `  ${run.lost.toLocaleString()} lost`));
  const over = run.status === "finished" && run.outcome && outcome(run, run);
  link.append(top, players, make("div", "last", (run.last || over || "").slice(0, 300)), bottom);
  const item = make("li");
  item.append(link);
  return item;
}

/* One run. */

const view = { run: new Run(), before: 0, at: -1, now: true, playing: null, dirty: false };

async function showRun(id, signal) {
  Object.assign(view, { run: new Run(), before: 0, at: -1, now: true });
  stop();
  $("where").textContent = id;
  $("download").href = `/runs/${path(id)}/events.jsonl`;
  draw();
  const response = await fetch(`/runs/${path(id)}`, { signal, cache: "no-store" });
  if (!response.ok) throw new Error((await response.json()).error);
  const { last_seq: last } = await response.json();
  const from = Math.max(1, last - MOST_EVENTS + 1);
  view.before = from - 1;
  await follow(`/runs/${path(id)}/events?from_seq=${from}`, {
    event: (line) => { view.run.add(line); redraw(); },
    state: show,
  }, signal);
}

function path(id) {
  return id.split("/").map(encodeURIComponent).join("/");
}

function redraw() {
  if (view.dirty) return;
  view.dirty = true;
  setTimeout(draw, FRAME_MS);
}

function draw() {
  view.dirty = false;
  const { run } = view;
  const last = run.events.length - 1;
  if (view.now) view.at = last;
  view.at = Math.min(Math.max(view.at, 0), last);
  $("scrubber").max = Math.max(0, last);
  $("scrubber").value = Math.max(0, view.at);
  $("now").setAttribute("aria-pressed", String(view.now));
  const here = run.at[view.at];
  const line = run.events[view.at];
  const facts = [`event ${(view.at + 1).toLocaleString()} of ${(last + 1).toLocaleString()}`];
  if (line && line.ts) facts.push(new Date(line.ts).toLocaleTimeString());
  if (run.lost) facts.push(`${run.lost.toLocaleString()} lost`);
  if (view.before) facts.push(`${view.before.toLocaleString()} earlier ones not shown`);
  $("position").textContent = facts.join("  ");
  Object.assign($("run").dataset, {
    events: run.events.length, repeats: run.repeats, lost: run.lost, over: String(!!run.end),
  });
  if (run.meta.game) $("where").textContent = `${run.meta.game}  ${run.meta.run_id}`;
  drawBoard(here);
  drawTurns(here);
  drawDetail(here);
  drawDensity();
}

function drawBoard(here) {
  const { run } = view;
  const used = run.used(view.at);
  const playing = here && run.turns[here.turn].agent;
  $("players").replaceChildren(...(run.meta.agents ?? []).map((agent) => {
    const row = make("div", colourOf(agent.id, run.meta));
    row.textContent = `${agent.id === playing ? "▸" : " "} ${agent.name || agent.id}`;
    const { tokens = null, cost = null } = used.get(agent.id) ?? {};
    if (tokens != null) row.append(make("span", "dim", `  ${tokens.toLocaleString()} tok`));
    if (cost != null) row.append(make("span", "dim", `  $${cost.toFixed(3)}`));
    return row;
  }));
  $("board").textContent = here && here.board >= 0 ? run.events[here.board].text : "no board yet";
}

function drawTurns(here) {
  const { run } = view;
  const rows = $("turns");
  while (rows.children.length > run.turns.length) rows.lastChild.remove();
  const from = Math.max(0, rows.children.length - 1);
  run.turns.slice(from).forEach((turn, offset) => {
    const row = turnRow(turn);
    const index = from + offset;
    if (rows.children[index]) rows.children[index].replaceWith(row);
    else rows.append(row);
  });
  const current = rows.querySelector("[aria-current]");
  const wanted = here ? rows.children[here.turn] : null;
  if (current && current !== wanted) current.removeAttribute("aria-current");
  if (wanted && !wanted.hasAttribute("aria-current")) {
    wanted.setAttribute("aria-current", "true");
    wanted.scrollIntoView({ block: "nearest" });
  }
}

function turnRow(turn) {
  const { meta } = view.run;
  const row = make("li", turn.gap ? "gap" : "");
  row.dataset.last = turn.last;
  if (turn.gap) {
    const count = turn.gap.to_seq - turn.gap.from_seq + 1;
    const many = count > 0 ? count.toLocaleString() : "an unknown number of";
    row.append(make("span", "what", `┄ gap: ${many} events lost (${turn.gap.reason}) ┄`));
    return row;
  }
  row.append(make("span", "dim", turn.number == null ? "·" : String(turn.number)));
  const what = make("span", "what");
  if (turn.agent) what.append(make("span", colourOf(turn.agent, meta), nameOf(turn.agent, meta)), "  ");
  what.append((turn.did || turn.said.split("\n")[0]).slice(0, 300));
  row.append(what);
  if (turn.refused) row.append(make("span", "bad", "refused"));
  if (turn.errors) row.append(make("span", "bad", `! ${turn.errors}`));
  if (turn.tokens) row.append(make("span", "dim", `${turn.tokens.toLocaleString()} tok`));
  if (turn.seconds != null) row.append(make("span", "dim", `${turn.seconds.toFixed(1)} s`));
  return row;
}

function drawDetail(here) {
  const { run } = view;
  const turn = here && run.turns[here.turn];
  const whose = turn && turn.agent ? ` · ${nameOf(turn.agent, run.meta)}` : "";
  $("detail-title").textContent =
    !turn ? "" : turn.number == null ? turn.did : `turn ${turn.number}${whose}`;
  const blocks = [];
  const block = (title, text, className) => {
    if (text) blocks.push(make("h3", "", title), make("p", className ?? "", shortened(text)));
  };
  const first = turn ? Math.max(turn.first, view.at - MOST_BLOCKS + 1) : 0;
  if (turn && first > turn.first) block("earlier", `${(first - turn.first).toLocaleString()} events of this turn`, "dim");
  for (let index = first; turn && index <= view.at; index += 1) {
    const line = run.events[index];
    if (line.kind === "llm_prompt") block("prompt", line.text ?? lastMessage(line.messages));
    else if (line.kind === "llm_response") {
      block("reasoning", line.reasoning, "dim");
      block("answer", line.text);
      block("tool calls", (line.tool_calls ?? []).map((call) => `${call.name} ${plain(call.arguments)}`).join("\n"));
    } else if (line.kind === "action") block("action", plain(line.action));
    else if (line.kind === "action_result") {
      block("result", [line.ok === false ? "refused" : "", plain(line.detail),
                       line.reward == null ? "" : `reward ${line.reward}`].filter(Boolean).join("  "),
            line.ok === false ? "bad" : "");
    } else if (line.kind === "error") block("error", `${line.message ?? ""}\n${line.traceback ?? ""}`.trim(), "bad");
    else if (line.kind === "run_end") block("outcome", [outcome(line, run.meta), line.reason].filter(Boolean).join("\n"));
    else if (line.kind === "world_mutation") {
      const change = [line.before_summary, line.after_summary].filter(Boolean).join(" → ");
      block("world", [line.reason, change].filter(Boolean).join("\n"));
    } else if (line.kind === "fork") block("fork", `of ${line.parent_run_id} at ${line.parent_seq ?? "?"}\n${line.mutation_summary ?? ""}`.trim());
    else if (line.kind === "metric") block("metric", `${line.name ?? ""} ${line.value ?? "–"} ${line.unit ?? ""}`);
    else if (line.kind === "log") block(line.level ?? "log", line.text);
    else if (!["turn_start", "observation", "run_start"].includes(line.kind)) block(line.kind, JSON.stringify(line.raw ?? line, null, 1));
  }
  if (!blocks.length) blocks.push(make("p", "dim", "nothing yet"));
  $("detail").replaceChildren(...blocks);
}

function shortened(text) {
  if (text.length <= MOST_TEXT) return text;
  return `${text.slice(0, MOST_TEXT)}\n… ${(text.length - MOST_TEXT).toLocaleString()} more characters: see all events`;
}

function lastMessage(messages) {
  const last = (messages ?? [])[messages ? messages.length - 1 : 0];
  return last == null ? "" : plain(last.content ?? last);
}

/** Above the scrubber: how long each stretch of events took, with errors and gaps. */
function drawDensity() {
  const canvas = $("density");
  const width = (canvas.width = canvas.clientWidth);
  const { events } = view.run;
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const slices = Math.max(1, Math.min(Math.floor(width / 4), events.length));
  const stretches = Array.from({ length: slices }, (_, slice) => {
    const first = Math.floor((slice * events.length) / slices);
    return events.slice(first, Math.floor(((slice + 1) * events.length) / slices) + 1);
  });
  const took = stretches.map((lines) => {
    const times = lines.filter((line) => line.ts).map((line) => Date.parse(line.ts));
    return times.length > 1 ? Math.max(0, times[times.length - 1] - times[0]) : 0;
  });
  const longest = Math.max(1, ...took);
  stretches.forEach((lines, slice) => {
    const kinds = new Set(lines.map((line) => line.kind));
    const mark = kinds.has("error") ? "--bad" : kinds.has("gap") ? "--warn" : "";
    pen.fillStyle = style.getPropertyValue(mark || "--dim");
    const height = mark ? 18 : 1 + Math.round(15 * Math.sqrt(took[slice] / longest));
    pen.fillRect((slice * width) / slices, 18 - height, Math.max(1, width / slices - 1), height);
  });
}

/* Moving through it. */

function go(at) {
  view.now = at >= view.run.events.length - 1;
  view.at = at;
  draw();
}

function step(turns) {
  const here = view.run.at[view.at];
  if (!here) return;
  const turn = view.run.turns[here.turn + turns];
  if (turn) go(turn.last);
}

function stop() {
  clearInterval(view.playing);
  view.playing = null;
  $("play").textContent = "play";
}

function play() {
  if (view.playing) return stop();
  if (view.at >= view.run.events.length - 1) go(0);
  $("play").textContent = "pause";
  view.playing = setInterval(() => {
    if (view.at >= view.run.events.length - 1) return stop();
    step(1);
  }, 700);
}

$("scrubber").addEventListener("input", (event) => go(Number(event.target.value)));
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("now").addEventListener("click", () => go(Infinity));
$("play").addEventListener("click", play);
$("turns").addEventListener("click", (event) => {
  const row = event.target.closest("li");
  if (row) go(Number(row.dataset.last));
});
document.addEventListener("keydown", (event) => {
  if ($("run").hidden || event.target.matches("input[type=search], button, a")) return;
  const keys = {
    ArrowLeft: () => go(view.at - 1), ArrowRight: () => go(view.at + 1),
    "[": () => step(-1), "]": () => step(1), " ": play, End: () => go(Infinity), Home: () => go(0),
    Escape: () => { location.hash = "#/"; },
  };
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});
$("filter-form").addEventListener("submit", (event) => event.preventDefault());
$("filter").addEventListener("input", loadListSoon);
addEventListener("resize", redraw);

/* Which of the two is shown. */

let shown = new AbortController();

function navigate() {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  const found = location.hash.match(/^#\/run\/(.+)$/);
  $("list").hidden = !!found;
  $("run").hidden = !found;
  show("connecting");
  const work = found ? showRun(idOf(found[1]), signal) : showList(signal);
  work.catch((error) => {
    if (!signal.aborted) show("away", error.message);
    if (!signal.aborted) $("where").textContent = error.message;
  });
}

function idOf(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no run has such an id, which the server says
  }
}

addEventListener("hashchange", navigate);
navigate();
