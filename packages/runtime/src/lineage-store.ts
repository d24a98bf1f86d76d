// lineage-store.ts: the part of the store by which several processes run one graph: who is known, who runs it, who has heard
// of a stop, who is gone.
//
// A stop is never pushed to descendants: each process holds every stop and derives, so what is registered here serves the
// questions "may this begin under that root" and "who is where", never the decision (R1, R3 of docs/architecture.md).

import type { JournalRecord, Left } from './journal.ts';
import type { StoreOpening } from './store.ts';

/** One session as other processes must know it. */
export interface Registration {
  readonly session: string;
  /** Root first, itself last. */
  readonly path: readonly string[];
  readonly agent: string;
  readonly workflow: string;
  readonly user?: string;
  readonly conversation?: string;
  /** It came from another process, by this call of its parent: a call has one child, whichever process is asked for it. */
  readonly call?: string;
  /** Of a detached root: their switches reach it, and whatever is under it in any process (S2). */
  readonly left?: Left;
  /** Begins what a process keeps and takes over as a whole: a root, or a session that came from another process. */
  readonly isLocalRoot: boolean;
  /**
   * A gate asks for it, and a loop of somebody's own runs it: nobody can take it over when its process is gone, but the loop may go on in
   * another process, whose it is when that registers it again. A local root. Not told again to who asks.
   */
  readonly isLoop?: true;
}

/** `resting`: at rest under a pause or a hold, with everything below it in its process. */
export type RegisteredState = 'running' | 'resting' | 'completed' | 'terminated' | 'failed';

/** Whether it is the last word of a session: nothing begins or goes on in it any more. */
export function hasEnded(state: RegisteredState): boolean {
  return state === 'completed' || state === 'terminated' || state === 'failed';
}

export interface RegisteredSession extends Registration {
  /** Who runs it, or ran it last. */
  readonly process: string;
  readonly state: RegisteredState;
}

export type Registered =
  | { readonly status: 'registered' }
  /** The call of its parent has a child already: it is that one that is meant. */
  | { readonly status: 'exists'; readonly session: RegisteredSession }
  /** Nobody knows its root, or the root has settled: nothing may begin under it (S6). */
  | { readonly status: 'refused'; readonly code: 'root_unknown' | 'root_settled' };

/** One process that shares the store. */
export interface StoreProcess {
  readonly id: string;
  /** For people: host and pid. */
  readonly name: string;
  readonly isAlive: boolean;
}

/** A process that is not heard from, and what it ran that nobody has taken over. Whether it is gone nobody can tell. */
export interface UnheardProcess {
  readonly process: string;
  readonly localRoots: readonly { readonly session: string; readonly root: string }[];
}

/** What came of asking every other live process to take a stop in. */
export interface Confirmation {
  /** Processes that refuse under it now. */
  readonly confirmed: readonly string[];
  /** Those of them that live and run sessions, so that the receipt waits for what they have to say (`open`). */
  readonly runners: readonly string[];
  /** One line for people for each that may not refuse yet. */
  readonly unconfirmed: readonly string[];
}

export type SettledRecord = Extract<JournalRecord, { t: 'settled' }>;

/** What a process that is gone left, now this one's to resume. */
export type Adoption = Pick<StoreOpening, 'claims' | 'journals'> & {
  /** What of it cannot be read as it is, in words for people, where anything is. It is kept for this process, and given when it can be. */
  readonly unread?: readonly string[];
};

/** How a session in another process does that a call of this one waits for. */
export interface ChildNews {
  readonly parent: string;
  readonly call: string;
  readonly child: string;
  readonly state: RegisteredState;
}

export interface LineageStore {
  /**
   * False: what a process runs is found in its journal, so only what crosses processes is registered: a root once it is carried, and
   * what came from another process. True: every session is, before it begins.
   */
  readonly registersAll: boolean;
  /**
   * True while this process may not start a turn or a call, because others may count it as gone: its lease has run out. Asked
   * before each, from memory. Health says `failed` for as long. Always false where processes need no lease, because they see each other.
   */
  isCutOff(): boolean;
  /**
   * Makes a session known before it runs any code. Refused under a root that nobody knows or that has settled. Resolves, refused or not, when
   * every stop that was durable before has been told to the listeners of `watch`: it is born stopped where it is stopped (I2), and where a stop
   * has ended its root, that is why it does not begin.
   * Idempotent. Rejects with `store_failed` while the store cannot be reached.
   */
  register(registration: Registration): Promise<Registered>;
  /** Says what became of a session; a session that came from another process is told of there. Durable with the next flush. An end is the last word. */
  note(session: string, root: string, state: RegisteredState): void;
  find(session: string, root: string): Promise<RegisteredSession | undefined>;
  /** How a session ended, whoever ran it; for a caller who asks again. `undefined` where it has not, or its records were cleared away. */
  ended(session: string, root: string): Promise<SettledRecord | undefined>;
  /** The same for many of one graph, in one reading: by session, for those that have ended. */
  ends(root: string, sessions: readonly string[]): Promise<ReadonlyMap<string, SettledRecord>>;
  /** The highest epoch that a process has claimed of it, and which did: it may have died before it wrote a word. `undefined` where none has. */
  claimed(session: string, root: string): Promise<{ readonly epoch: number; readonly process: string } | undefined>;
  /** Was anything ever written down of it? A process may register a session and die before the first word: then it did nothing. */
  hasBegun(session: string, root: string): Promise<boolean>;
  /** A session and what is under it, in every process, in pages of at most `limit` (default 1,000); `next` begins the next page. */
  subtree(
    session: string,
    root: string,
    page?: { readonly after?: string; readonly limit?: number },
  ): Promise<{ readonly sessions: readonly RegisteredSession[]; readonly next?: string }>;
  processes(): Promise<readonly StoreProcess[]>;
  /** Processes that run sessions and whose lease has run out, while it is not known that they have ended. None where that is always known. */
  unheard(): Promise<readonly UnheardProcess[]>;
  /** The same as `find` for who does not know the root: among the graphs that have not ended. Costs as much as there are of them. */
  locate(session: string): Promise<RegisteredSession | undefined>;
  /**
   * Resolves when every other live process has taken in this mark and told its listeners, or is known to refuse everything because
   * its lease ran out; after a bounded time in any case, and then says who may not refuse yet (I1, I11).
   */
  confirm(key: string, engaged: number): Promise<Confirmation>;
  /** Takes over what processes that are gone ran, where its local root is one of these agents. Each goes to one process alone. */
  adopt(agents: readonly string[]): Promise<Adoption>;
}

/** The ends of these sessions, among records of any. */
export function endsIn(records: readonly JournalRecord[], sessions: readonly string[]): ReadonlyMap<string, SettledRecord> {
  const bySession = new Map<string, JournalRecord[]>(sessions.map((session) => [session, []]));
  for (const record of records) bySession.get(record.s)?.push(record);
  const ends = new Map<string, SettledRecord>();
  for (const [session, its] of bySession) {
    const end = settledIn(its);
    if (end) ends.set(session, end);
  }
  return ends;
}

/** The end among the records of one session. What a process wrote that had lost it to a higher epoch counts for nothing (I6). */
function settledIn(records: readonly JournalRecord[]): SettledRecord | undefined {
  const epoch = records.reduce((highest, record) => Math.max(highest, record.e), 0);
  return records.findLast((record): record is SettledRecord => record.t === 'settled' && record.e === epoch);
}
