// journal.ts: opening a call and writing its end down, in the forms in which a resumed run can take them back.

import { type OpenCall, type OpenSpec, RuntimeError, type Turn, type Usage } from '@offswitch/runtime';
import { encode } from './codec.ts';
import { fromRecord } from './failure.ts';

/** Opens the call in the same synchronous step. A failure in the journal is thrown as it was the first time. */
export async function openCall(turn: Turn, spec: OpenSpec): Promise<OpenCall> {
  try {
    return await turn.open(spec);
  } catch (error) {
    throw RuntimeError.is(error) || !(error instanceof Error) ? error : fromRecord(error);
  }
}

/** Writes the end down. Throws `not_serialisable` for a value that cannot be kept, after recording that the call happened. */
export function complete(open: OpenCall, name: string, value: unknown, usage?: Usage): void {
  let kept: unknown;
  try {
    kept = encode(value);
  } catch (error) {
    open.complete(undefined, usage);
    throw new RuntimeError('not_serialisable', `what ${name} returned cannot be written as JSON; return plain data`, {
      cause: error,
    });
  }
  open.complete(kept, usage);
}
