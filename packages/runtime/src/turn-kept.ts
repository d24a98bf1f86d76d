// turn-kept.ts: the interrupted turn of a terminated session, kept as the calls it made. They are written out as the journal has
// them when somebody takes up the work, which is seldom; a stop of 100,000 calls does not wait for it.

import type { OpenTurn } from './open-turn.ts';
import type { Saved, SavedCall, SavedTurn } from './saved.ts';

/** What is told of a call, live or saved. */
export type KnownCall = Pick<SavedCall, 'id' | 'kind' | 'name' | 'class' | 'idempotencyKey'> & {
  readonly outcome?: SavedCall['outcome'] | undefined;
};

export class KeptTurn implements SavedTurn {
  readonly number: number;
  failed?: string;
  private turn: OpenTurn | undefined;
  private written: SavedCall[] | undefined;

  constructor(turn: OpenTurn, failed: string | undefined) {
    this.number = turn.number;
    this.turn = turn;
    if (failed !== undefined) this.failed = failed;
  }

  get calls(): SavedCall[] {
    if (this.turn) this.calls = this.turn.toSaved();
    return this.written!;
  }

  set calls(calls: SavedCall[]) {
    this.written = calls;
    this.turn = undefined;
  }

  told(): readonly KnownCall[] {
    return this.turn ? this.turn.told() : this.written!;
  }
}

/**
 * The calls of the turn that was interrupted: none once it is completed. Of a session that was terminated while it was run again from an
 * earlier turn, to come to that one, also those of the turn it had come to.
 */
export function toldCalls(saved: Saved): readonly KnownCall[] {
  const last = interrupted(saved);
  const reached = saved.turns.find((one) => one instanceof KeptTurn && one !== last);
  if (!reached) return last ? callsOf(last) : [];
  return last ? [...callsOf(reached), ...callsOf(last)] : callsOf(reached);
}

/** The same of a live session whose open turn is an earlier one: the calls of the turn that it has not come to again. */
export function callsAhead(saved: Saved, open: OpenTurn): readonly KnownCall[] {
  const last = interrupted(saved);
  return last && last.number > open.number ? callsOf(last) : [];
}

function interrupted({ turns, checkpointTurn }: Saved): SavedTurn | undefined {
  const last = turns.at(-1);
  return last && last.number > checkpointTurn ? last : undefined;
}

function callsOf(turn: SavedTurn): readonly KnownCall[] {
  return turn instanceof KeptTurn ? turn.told() : turn.calls;
}
