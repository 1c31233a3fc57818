/** What one run looks like at any of its events. Knows no elements of the page. */
class Run {
  constructor() {
    this.meta = { game: "", agents: [] };
    this.events = [];
    this.turns = [];
    this.at = []; // by event: its turn, and the newest board up to it
    this.reach = { epoch: 0, seq: 0 };
    this.repeats = 0;
    this.lost = 0;
    this.end = null;
  }

  /** Add the next event or gap; one that it has is counted and left out. */
  add(line) {
    const gap = line.kind === "gap";
    const seq = gap ? line.to_seq : line.seq;
    const { epoch, seq: last } = this.reach;
    const unknown = gap && line.to_seq < line.from_seq;
    if (!unknown && (line.epoch < epoch || (line.epoch === epoch && seq <= last))) {
      this.repeats += 1;
      return;
    }
    if (gap) this.lost += Math.max(0, line.to_seq - line.from_seq + 1);
    this.reach = { epoch: line.epoch, seq };
    const index = this.events.push(line) - 1;
    if (line.kind === "run_start") this.meta = line;
    this.end = line.kind === "run_end" ? line : null;
    const before = this.at[index - 1];
    const board = line.kind === "observation" && line.text ? index : before ? before.board : -1;
    this.at.push({ turn: this.turnOf(line, index), board });
  }

  turnOf(line, index) {
    const newest = this.turns[this.turns.length - 1];
    // A second turn_start of the same number tells players of one round apart.
    const again = line.kind === "turn_start" && (line.turn == null || (newest && newest.told));
    const begins = ["gap", "run_start", "run_end"].includes(line.kind) || !newest || newest.gap ||
      again || (line.turn != null && line.turn !== newest.number);
    if (begins) {
      this.turns.push({
        number: line.kind === "run_end" ? null : line.turn ?? null, first: index, last: index, gap: line.kind === "gap" ? line : null,
        agent: null, did: "", said: "", seconds: null, tokens: 0, cost: null, reward: null,
        errors: 0, failed: "", refused: false, told: false,
      });
    }
    const turn = this.turns[this.turns.length - 1];
    turn.last = index;
    if (line.kind === "turn_start") {
      turn.agent = line.player ?? line.agent_id ?? turn.agent;
      turn.told = true;
    }
    if (line.kind === "action") {
      turn.agent = line.agent_id ?? turn.agent;
      turn.did += (turn.did ? ", " : "") + plain(line.action);
    }
    if (line.kind === "action_result") {
      if (line.ok === false) turn.refused = true;
      if (line.reward != null) turn.reward = (turn.reward ?? 0) + line.reward;
    }
    if (line.kind === "llm_response") {
      turn.agent = line.agent_id ?? turn.agent;
      turn.said = line.text ?? turn.said;
      turn.tokens += (line.input_tokens ?? 0) + (line.output_tokens ?? 0);
      if (line.latency_s != null) turn.seconds = (turn.seconds ?? 0) + line.latency_s;
      if (line.cost_usd != null) turn.cost = (turn.cost ?? 0) + line.cost_usd;
    }
    if (line.kind === "error") {
      turn.errors += 1;
      turn.failed = line.message ?? "";
    }
    if (line.kind === "run_start") turn.did = "start";
    if (line.kind === "run_end") turn.did = outcome(line, this.meta);
    return this.turns.length - 1;
  }

  /** Tokens and US dollars of each agent up to an event; null while unknown. */
  used(position) {
    const used = new Map();
    for (const line of this.events.slice(0, position + 1)) {
      if (line.kind !== "llm_response" || !line.agent_id) continue;
      const sum = used.get(line.agent_id) ?? { tokens: null, cost: null };
      const tokens = (line.input_tokens ?? 0) + (line.output_tokens ?? 0);
      if (line.input_tokens != null || line.output_tokens != null) sum.tokens += tokens;
      if (line.cost_usd != null) sum.cost += line.cost_usd;
      used.set(line.agent_id, sum);
    }
    return used;
  }
}

/** A value as one reads it. */
function plain(value) {
  return value == null ? "" : typeof value === "string" ? value : JSON.stringify(value);
}

/** How a run came out: `x won`, `draw`, or its status. */
function outcome(end, meta) {
  const scores = Object.entries(end.outcome ?? {});
  const status = end.status ?? "finished";
  if (status !== "finished") return status + (end.reason ? `: ${end.reason}` : "");
  if (scores.length < 2) return "finished";
  const best = Math.max(...scores.map(([, score]) => score));
  const won = scores.filter(([, score]) => score === best).map(([id]) => nameOf(id, meta));
  return won.length === scores.length ? "draw" : `${won.join(", ")} won`;
}

function nameOf(id, meta) {
  const agent = (meta.agents ?? []).find((each) => each.id === id);
  return agent && agent.name ? agent.name : id;
}

function colourOf(id, meta) {
  const index = (meta.agents ?? []).findIndex((each) => each.id === id);
  return index < 0 ? "dim" : `p${index % 4}`;
}
