// outcome.ts: how a run ended, or rests. The truth about a run, whatever its code did with promises (S9).

import type { Stopped } from '@offswitch/core';

export type Outcome<R = unknown> =
  | { readonly status: 'completed'; readonly session: string; readonly result: R }
  | {
      /** At rest with a valid checkpoint, its memory freed. It goes on by itself when what holds it is released. */
      readonly status: 'paused';
      readonly session: string;
      readonly decision: Stopped;
      readonly notice: string;
      /** The last completed turn; 0 when none was completed. */
      readonly checkpointTurn: number;
      /** Ids of calls whose outcome only a person can tell; settle them with `resolve`. */
      readonly unknownCalls: readonly string[];
    }
  | {
      /** For good (S6). */
      readonly status: 'terminated';
      readonly session: string;
      readonly decision: Stopped;
      readonly notice: string;
      /** The id of the stop whose receipt tells what happened. */
      readonly receipt: string;
    }
  | { readonly status: 'failed'; readonly session: string; readonly error: unknown };

/** What a spawn with `ifHeld: 'value'` comes to when only its child is held. The child is no outcome yet: it goes on when it is released. */
export interface PausedChild {
  readonly status: 'paused';
  readonly session: string;
  /** What holds it, or what it waits on. */
  readonly decision: Stopped;
  readonly notice: string;
}
