// mortal.ts: a process that kills itself at a given step of a stop: nobody else could hit that very step.

import { parseStopKey, type StateStore } from '@offswitch/runtime';
import { type Moment, machineMs, type News } from './switches.ts';

export interface Mortal {
  readonly store: StateStore;
  /** From here on: when this stop comes to that moment, this process is gone. */
  dieAt(moment: Moment, session: string): void;
  /** The stop of this session has come to this moment. */
  come(moment: Moment, session: string | undefined): void;
}

/** The store as it is, looked at where a stop goes through it. */
export function mortal(store: StateStore, tell: (news: News, then?: () => void) => void): Mortal {
  let fate: { readonly moment: Moment; readonly session: string } | undefined;
  const come = (moment: Moment, session: string | undefined): void => {
    if (fate !== undefined && fate.moment === moment && fate.session === session) process.kill(process.pid, 'SIGKILL');
  };
  const mark: StateStore['mark'] = async (key, side, n, details) => {
    const stop = parseStopKey(key);
    const session = details.subject;
    if (side !== 'engaged' || session === undefined || stop?.kind !== 'act' || stop.tier !== 'instance')
      return store.mark(key, side, n, details);
    come('before it is marked', session);
    const marked = store.mark(key, side, n, details);
    setImmediate(() => come('while it is marked', session));
    await marked;
    const at = machineMs();
    await new Promise<void>((resolve) =>
      tell({ type: 'stage', stop: { action: 'terminate', session }, stage: 'latched', at }, resolve),
    );
    come('latched', session);
  };
  const writeReceipt: StateStore['writeReceipt'] = async (part) => {
    await store.writeReceipt(part);
    if (part.stages.fenced !== undefined) come('in the receipt', part.stop.subject.sessionId);
  };
  const own: Partial<StateStore> = { mark, writeReceipt };
  return {
    store: new Proxy(store, {
      get(target, name: keyof StateStore) {
        const value = own[name] ?? target[name];
        return typeof value === 'function' ? value.bind(target) : value;
      },
    }),
    dieAt: (moment, session) => {
      fate = { moment, session };
    },
    come,
  };
}
