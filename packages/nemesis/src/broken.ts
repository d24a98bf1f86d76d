// broken.ts: stores that break the protocol in one place, so that it is seen that the judge convicts whoever does (`--broken`). A judge that
// nothing can make red proves nothing.

import type { StateStore } from '@offswitch/runtime';

export interface Broken {
  /** What it does to a fleet in which the fault must come to light. */
  readonly act: string;
  /** What the judge has to say of it. */
  readonly convicts: RegExp;
  breakIt(store: StateStore): void;
}

export const broken: Readonly<Record<string, Broken>> = {
  'early-acknowledgement': {
    act: 'cut a worker off, and stop meanwhile',
    convicts: /^I1:/,
    breakIt({ lineage }) {
      lineage.confirm = async () => ({ confirmed: [], runners: [], unconfirmed: [] });
    },
  },
  'no-lease': {
    act: 'cut a worker off, and stop meanwhile',
    convicts: /^(I1|I9):/,
    breakIt(store) {
      store.lineage.isCutOff = () => false;
      Object.defineProperty(store, 'health', { get: () => ({ state: 'ok' }) });
    },
  },
  deaf: {
    act: 'terminate',
    convicts: /^(I1|S6):/,
    breakIt(store) {
      const watch = store.watch.bind(store);
      store.watch = (listener) => watch(({ stops: _, ...change }) => listener(change));
      store.stops = async () => [];
    },
  },
};
