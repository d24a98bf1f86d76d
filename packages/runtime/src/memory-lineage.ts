// memory-lineage.ts: who is known and who runs it, for processes (in tests) that share one memory.

import type { JournalRecord } from './journal.ts';
import type { OwnedClaim } from './left-behind.ts';
import {
  type Adoption,
  endsIn,
  hasEnded,
  type LineageStore,
  type RegisteredSession,
  type Registration,
} from './lineage-store.ts';
import { subjectKey } from './stop-key.ts';
import type { StoreChange } from './store.ts';

/** What the processes of one memory share. */
export interface SharedRegistry {
  readonly sessions: Map<string, RegisteredSession>;
  /** The child of a call, by the session and the key of the call. */
  readonly children: Map<string, string>;
}

export function sharedRegistry(): SharedRegistry {
  return { sessions: new Map(), children: new Map() };
}

export interface RegistryOptions {
  readonly process: string;
  readonly journals: readonly {
    readonly process: string;
    readonly alive: boolean;
    readonly runsSessions: boolean;
    readonly records: readonly JournalRecord[];
  }[];
  /** Later, as from another process. */
  tell(process: string, change: StoreChange): void;
  adopt(): Adoption;
  claims(): readonly OwnedClaim[];
}

const defaultLimit = 1_000;

export function registry(shared: SharedRegistry, options: RegistryOptions): LineageStore {
  const { sessions, children } = shared;
  const written = (asked: readonly string[]) =>
    endsIn(
      options.journals.flatMap(({ records }) => records),
      asked,
    );
  const callOf = ({ path, call }: Registration): string => JSON.stringify([path.at(-2), call]);
  return {
    registersAll: false,
    isCutOff: () => false,
    async register(registration) {
      // What was told before is heard first.
      await Promise.resolve();
      const { session, path, call } = registration;
      const root = sessions.get(path[0]!);
      if (session !== path[0] && !root) return { status: 'refused', code: 'root_unknown' };
      if (root && hasEnded(root.state)) return { status: 'refused', code: 'root_settled' };
      const first = call === undefined ? undefined : children.get(callOf(registration));
      if (first !== undefined && first !== session) return { status: 'exists', session: sessions.get(first)! };
      sessions.set(session, { ...registration, process: options.process, state: sessions.get(session)?.state ?? 'running' });
      if (call !== undefined) children.set(callOf(registration), session);
      return { status: 'registered' };
    },
    note(session, _root, state) {
      const known = sessions.get(session);
      if (!known || hasEnded(known.state)) return;
      sessions.set(session, { ...known, state, process: options.process });
      const parent = known.path.at(-2);
      if (known.call === undefined || parent === undefined) return;
      // The nearest that is registered: what it started in its own process need not be.
      const owner = known.path
        .slice(0, -1)
        .reverse()
        .map((above) => sessions.get(above)?.process)
        .find((process) => process !== undefined);
      if (owner !== undefined) options.tell(owner, { children: [{ parent, call: known.call, child: session, state }] });
    },
    find: async (session) => sessions.get(session),
    ended: async (session) => written([session]).get(session),
    ends: async (_root, asked) => written(asked),
    async claimed(session) {
      const own = options.claims().filter((claim) => claim.session === subjectKey(session));
      const last = own.sort((a, b) => b.epoch - a.epoch)[0];
      return last && { epoch: last.epoch, process: last.owner };
    },
    hasBegun: async (session) => options.journals.some(({ records }) => records.some((record) => record.s === session)),
    async subtree(session, _root, { after, limit = defaultLimit } = {}) {
      const ids = [...sessions.values()]
        .filter((one) => one.path.includes(session) && (after === undefined || one.session > after))
        .map((one) => one.session)
        .sort();
      const page = ids.slice(0, limit).map((id) => sessions.get(id)!);
      return { sessions: page, ...(ids.length > limit ? { next: page.at(-1)!.session } : {}) };
    },
    processes: async () => options.journals.map(({ process, alive }) => ({ id: process, name: process, isAlive: alive })),
    unheard: async () => [],
    locate: async (session) => sessions.get(session),
    async confirm() {
      // Each was told in a microtask that was queued before this one.
      await Promise.resolve();
      const others = options.journals.filter(({ process, alive }) => alive && process !== options.process);
      return {
        confirmed: others.map(({ process }) => process),
        runners: others.filter(({ runsSessions }) => runsSessions).map(({ process }) => process),
        unconfirmed: [],
      };
    },
    adopt: async () => options.adopt(),
  };
}
