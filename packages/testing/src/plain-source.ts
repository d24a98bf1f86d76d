// plain-source.ts: a vendor's SDK as a source in the plainest way there is, which is how applications use it: the flag is evaluated with
// "not stopped" as the fallback, and the SDK is believed. No adapter of ours; what the adapters are measured against.

import type { Reading, SourceHealth, Subject, SwitchFlag, SwitchSource } from '@offswitch/core';

export interface PlainSdk {
  /** Starts the SDK as its guide says; a rejection is what the application would log and go on from. */
  start(): Promise<void>;
  /** Does the SDK say that it is ready? */
  isReady(): boolean;
  /** The flag's value for the subject, with the caller's fallback. */
  evaluate(flag: SwitchFlag, subject: Subject, fallback: boolean): boolean | Promise<boolean>;
  /** Calls back when the SDK says that flags have changed. */
  onChange?(listener: () => void): void;
  stop(): Promise<void> | void;
}

/** What the SDK says is taken at its word: every answer is live, and there are no positions. */
export function plainSource(name: string, sdk: PlainSdk): SwitchSource {
  const listeners = new Set<() => void>();
  let isClosed = false;
  const health = (): SourceHealth => {
    const state = isClosed ? 'closed' : sdk.isReady() ? 'fresh' : 'starting';
    return { state, since: 0, ...(state === 'starting' ? { why: 'the SDK is not ready' } : {}) };
  };
  const read = async (flag: SwitchFlag, subject: Subject): Promise<Reading> => {
    const value = await sdk.evaluate(flag, subject, !flag.engagedWhen);
    return {
      state: value === flag.engagedWhen ? 'engaged' : 'released',
      origin: 'live',
      position: { series: name },
    };
  };
  return {
    name,
    async open() {
      sdk.onChange?.(() => {
        for (const listener of listeners) listener();
      });
      await sdk.start().catch(() => {});
    },
    read,
    get health() {
      return health();
    },
    subscribe(listener) {
      const own = (): void => listener({});
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      listeners.clear();
      await sdk.stop();
    },
  };
}
