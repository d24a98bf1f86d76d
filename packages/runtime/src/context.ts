// context.ts: which session, and which of its calls, the running code belongs to. One AsyncLocalStorage for the whole
// toolkit: a run started inside a session is a child of it, without anybody passing anything (S2).

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Call } from './call.ts';
import type { LiveSession } from './session.ts';

export interface Context {
  readonly session: LiveSession;
  /** The governed call whose body this is. */
  readonly call?: Call;
}

const storage = new AsyncLocalStorage<Context>();

export function currentContext(): Context | undefined {
  return storage.getStore();
}

export function runInContext<A extends unknown[], R>(context: Context, body: (...args: A) => R, ...args: A): R {
  return storage.run(context, body, ...args);
}

/** Runs something of ours outside of every session, so that what it starts belongs to nobody. */
export function runOutside<R>(body: () => R): R {
  return storage.exit(body);
}
