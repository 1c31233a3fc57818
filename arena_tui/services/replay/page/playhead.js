"use strict";

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64];
const SILENCE_MAX_MS = 2000; // the longest pause kept in playing; longer ones are cut to this

/** A recorded run with what is sought in it. Knows no elements of the page.
 *
 * `times` are ms since 1970, NaN of what has none; `previous` has, by prompt, the index of the same
 * agent's prompt before; `bookmarks` are indices of events.
 */
class Recording {
  constructor(lines) {
    this.run = new Run();
    this.previous = new Map();
    this.bookmarks = new Set();
    const prompts = new Map();
    const marks = [];
    for (const line of lines) {
      if (line.kind === "bookmark") {
        marks.push(line);
        continue;
      }
      this.run.add(line);
      const index = this.run.events.length - 1;
      if (line.kind === "llm_prompt") {
        if (prompts.has(line.agent_id)) this.previous.set(index, prompts.get(line.agent_id));
        prompts.set(line.agent_id, index);
      }
    }
    this.times = Float64Array.from(this.run.events, (line) => Date.parse(line.ts));
    marks.forEach((mark) => this.bookmarks.add(this.indexOf(mark.at_seq, mark.epoch)));
  }

  get last() {
    return this.run.events.length - 1;
  }

  /** Index of an event, or of the gap it was lost in, or of the next after it; without an epoch, in
   * the newest that goes so far. */
  indexOf(seq, epoch = null) {
    const { events } = this.run;
    const reaches = (line) => (line.seq ?? Math.max(line.from_seq, line.to_seq)) >= seq;
    if (epoch == null) {
      const reaching = events.filter(reaches);
      if (!reaching.length) return this.last;
      epoch = reaching[reaching.length - 1].epoch;
    }
    const found = events.findIndex((line) => line.epoch === epoch && reaches(line));
    return found < 0 ? this.last : found;
  }

  /** Index of the nearest event before (-1) or after (1) that passes; the same where there is none. */
  nearest(at, step, passes) {
    for (let index = at + step; index >= 0 && index <= this.last; index += step) {
      if (passes(this.run.events[index], index)) return index;
    }
    return at;
  }

  /** Where a turn begins before or after. */
  turnFrom(at, step) {
    const { turns, at: places } = this.run;
    if (!places.length) return at;
    const { turn } = places[at];
    if (step < 0 && at > turns[turn].first) return turns[turn].first;
    return turns[turn + step] ? turns[turn + step].first : at;
  }

  /** What somebody wrote to go somewhere: `120`, `t17`, `turn 17`, `50 %`; null if it is none. */
  target(words) {
    const found = words.trim().toLowerCase().match(/^(t|turn\s)?\s*([0-9][0-9,.]*)\s*(%)?$/);
    if (!found || (found[1] && found[3])) return null;
    const number = Number(found[2].replaceAll(",", ""));
    if (!Number.isFinite(number)) return null;
    if (found[3]) return Math.min(this.last, Math.round((number / 100) * this.last));
    if (!found[1]) return this.indexOf(number);
    const turn = this.run.turns.find((each) => each.number != null && each.number >= number);
    return turn ? turn.first : this.last;
  }
}

/** Plays by the times of events: each comes as long after the one before as it did in the run,
 * within bounds. */
class Playhead {
  constructor() {
    this.playing = false;
    this.speed = 1;
    this.waited = 0;
    this.before = NaN;
  }

  play(time) {
    this.playing = true;
    this.waited = 0;
    this.before = time;
  }

  change(step) {
    const index = SPEEDS.indexOf(this.speed) + step;
    this.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, index))];
  }

  /** The index reached so many ms after the last call. */
  advance(at, passed, times) {
    const played = passed * this.speed;
    this.waited = Math.min(this.waited + played, SILENCE_MAX_MS + played);
    while (at < times.length - 1) {
      const time = times[at + 1];
      if (!Number.isNaN(time)) {
        const before = Number.isNaN(this.before) ? time : this.before;
        const pause = Math.max(0, Math.min(SILENCE_MAX_MS, time - before));
        if (pause > this.waited) break;
        this.waited -= pause;
        this.before = time;
      }
      at += 1;
    }
    return at;
  }
}

/** How many messages of a prompt were in the agent's prompt before: agents send all each turn. */
function freshFrom(messages, before) {
  let count = 0;
  while (count < messages.length && count < before.length &&
         JSON.stringify(messages[count]) === JSON.stringify(before[count])) count += 1;
  return count;
}

/** What stands in one message, or in one part of it, as text. */
function said(part) {
  if (Array.isArray(part)) return part.map(said).filter(Boolean).join("\n");
  if (part == null || typeof part !== "object") return plain(part);
  if ("content" in part) {
    return [said(part.content), ...(part.tool_calls ?? []).map(called)].filter(Boolean).join("\n");
  }
  return plain(part.text ?? part.thinking ?? part.reasoning ?? part.output ?? part);
}

/** `→ move({"dir":"east"})`. */
function called(call) {
  const of = call && typeof call.function === "object" && call.function ? call.function : call;
  return `→ ${plain(of?.name)}(${plain(of?.arguments ?? of?.input ?? of?.args)})`;
}
