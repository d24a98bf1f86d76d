// broken.ts: stores and brokers that break the protocol in one place, so that it is seen that the judge convicts whoever does (`--broken`). A judge that
// nothing can make red proves nothing.

import type { CredentialBroker, StateStore } from '@offswitch/runtime';

export interface Broken {
  /** What it does to a fleet in which the fault must come to light. */
  readonly act: string;
  /** What the judge has to say of it. */
  readonly convicts: RegExp;
  readonly breakStore?: (store: StateStore) => void;
  readonly breakBroker?: (broker: CredentialBroker) => void;
}

export const broken: Readonly<Record<string, Broken>> = {
  'early-acknowledgement': {
    act: 'cut a worker off, and stop meanwhile',
    convicts: /^I1:/,
    breakStore({ lineage }) {
      lineage.confirm = async () => ({ confirmed: [], runners: [], unconfirmed: [] });
    },
  },
  'no-lease': {
    act: 'freeze a worker past its lease',
    convicts: /^(I1|I9):/,
    breakStore(store) {
      store.lineage.isCutOff = () => false;
      Object.defineProperty(store, 'health', { get: () => ({ state: 'ok' }) });
    },
  },
  deaf: {
    act: 'freeze a worker, and stop meanwhile',
    convicts: /^(I1|S6):/,
    breakStore(store) {
      const watch = store.watch.bind(store);
      store.watch = (listener) => watch(({ stops: _, ...change }) => listener(change));
      store.stops = async () => [];
    },
  },
  'shared-epochs': {
    act: 'kill all at once, and start ten',
    convicts: /^(I6|I9):/,
    breakStore(store) {
      store.claim = () => true;
    },
  },
  'keeps-credentials': {
    act: 'terminate',
    convicts: /^I4:/,
    breakBroker(broker) {
      broker.revoke = async () => ({ state: 'revoked', residualMs: 0 });
      broker.verify = async () => 'inactive';
    },
  },
};
