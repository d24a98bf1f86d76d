// snapshot.ts: what is kept of a value that somebody else may still change. A checkpoint is what the turn returned, not what
// became of the object since (S7).

import { RuntimeError } from './error.ts';

/**
 * A copy as JSON gives it back, so that going on in this process and after a crash is the same. Texts, numbers and the like are their
 * own copy. Throws `not_serialisable`; `what` names the value for people.
 */
export function snapshot<T>(what: string, value: T): T {
  if (typeof value === 'function' || typeof value === 'symbol')
    throw new RuntimeError('not_serialisable', `${what} is a ${typeof value}, which would be lost in a crash; pass plain data`);
  if (typeof value !== 'object' && typeof value !== 'bigint') return value;
  if (value === null) return value;
  try {
    return JSON.parse(JSON.stringify(value)) as T;
  } catch (error) {
    throw new RuntimeError(
      'not_serialisable',
      `${what} cannot be written as JSON (${error instanceof Error ? error.message : String(error)}); pass plain data`,
      { cause: error },
    );
  }
}
