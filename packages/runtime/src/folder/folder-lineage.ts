// folder-lineage.ts: graphs that span the processes of one machine: what crosses is a small file each, the rest is in the journals.
//
//   graphs/<session>.json   a root that was carried, or a session that came from another process
//   graphs/call.<hash>      the child of a call, by exclusive creation

import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { RuntimeError } from '../error.ts';
import type { JournalRecord } from '../journal.ts';
import {
  type Adoption,
  type ChildNews,
  type Confirmation,
  endsIn,
  hasEnded,
  type LineageStore,
  type Registered,
  type RegisteredSession,
  type RegisteredState,
  type Registration,
  type SettledRecord,
  type StoreProcess,
  type UnheardProcess,
} from '../lineage-store.ts';
import { foldJournals } from '../saved.ts';
import { subjectKey } from '../stop-key.ts';
import type { AtomicFiles } from './atomic-file.ts';
import { requestControl } from './control-request.ts';
import { listProcesses } from './processes.ts';
import { readFolderJournals } from './read-journals.ts';

/** How long another process may take to confirm a stop. Milliseconds, default 2000: one that is well answers in a few. */
const confirmWithinMs = 2_000;
const defaultLimit = 1_000;

/** How news of a child reaches the process of its parent: as a request to its socket. */
export const childNewsMethod = 'child-news';

export interface FolderLineageOptions {
  /** The state folder. */
  readonly folder: string;
  readonly processId: string;
  readonly atomic: AtomicFiles;
  /** The names in a folder of it. */
  names(folder: string): readonly string[];
  /** Reads the stops that are new, and tells of them. */
  look(): void;
  /** Is this stop engaged at that mark, or above it, by a file in the folder? From memory. */
  isWritten(key: string, engaged: number): boolean;
  /** The highest claim of this session. */
  claimed(session: string): Awaited<ReturnType<LineageStore['claimed']>>;
  /** Journals and claims of processes that died since they were last asked for. */
  adopt(): Promise<Adoption>;
  /** To this process's own listeners. */
  tell(news: readonly ChildNews[]): void;
  failed(why: string): void;
}

export class FolderLineage implements LineageStore {
  readonly registersAll = false;
  private readonly options: FolderLineageOptions;
  /** What is on its way to the disk, by session. */
  private readonly noting = new Map<string, Promise<RegisteredSession | undefined>>();
  /** And from there to the parent's process. */
  private readonly telling = new Map<string, Promise<void>>();

  constructor(options: FolderLineageOptions) {
    this.options = options;
  }

  isCutOff(): boolean {
    return false;
  }

  async register(registration: Registration): Promise<Registered> {
    const { session, path, call } = registration;
    const root = this.read(path[0]!);
    const refused = session !== path[0] && !root ? 'root_unknown' : root && hasEnded(root.state) ? 'root_settled' : undefined;
    if (refused) {
      this.options.look();
      return { status: 'refused', code: refused };
    }
    const { atomic, processId } = this.options;
    if (call !== undefined) {
      const file = join(this.options.folder, 'graphs', callName(path.at(-2)!, call));
      if (!(await atomic.create(file, { session, process: processId } satisfies Child))) {
        const first = atomic.read(file) as Child | undefined;
        // Its own file may not be written yet, or never be, when who made it first has died.
        if (first && first.session !== session)
          return { status: 'exists', session: this.read(first.session) ?? { ...registration, ...first, state: 'running' } };
      }
    }
    const state = this.read(session)?.state ?? 'running';
    await atomic.write(this.file(session), { ...registration, process: processId, state } satisfies RegisteredSession);
    this.options.look();
    return { status: 'registered' };
  }

  note(session: string, _root: string, state: RegisteredState): void {
    // One after the other: a parent that hears of the rest last would wait for ever.
    const noted = inTurn(this.noting, session, () => this.noted(session, state));
    inTurn(this.telling, session, async () => {
      const one = await noted;
      if (one) await this.tellParent(one);
    });
  }

  /** Resolves when everything noted so far is on the disk; whoever is to hear of it may be slow, and is not waited for. */
  async flush(): Promise<void> {
    await Promise.all(this.noting.values());
  }

  /** Answers what is to be told of. */
  private async noted(session: string, state: RegisteredState): Promise<RegisteredSession | undefined> {
    const known = this.read(session);
    if (!known || hasEnded(known.state)) return undefined;
    const { processId, atomic, failed } = this.options;
    // A rest is told each time: whoever waits for it may have begun to since.
    if (known.state === state && known.process === processId && state !== 'resting') return undefined;
    const one = { ...known, state, process: processId };
    try {
      await atomic.write(this.file(session), one);
      return one;
    } catch (error) {
      failed(notNoted(session, error));
      return undefined;
    }
  }

  /** The process of the nearest session above that is known here runs the parent. */
  private async tellParent({ session, path, call, state }: RegisteredSession): Promise<void> {
    if (call === undefined || path.length < 2) return;
    const parent = path.at(-2)!;
    const news: ChildNews[] = [{ parent, call, child: session, state }];
    const { folder, processId, tell, failed } = this.options;
    const owner = path
      .slice(0, -1)
      .reverse()
      .map((above) => this.read(above)?.process)
      .find((process) => process !== undefined);
    if (owner === processId) tell(news);
    else if (owner !== undefined) {
      try {
        await requestControl(folder, childNewsMethod, { news }, { process: owner, timeoutMs: confirmWithinMs });
      } catch (error) {
        failed(notNoted(session, error));
      }
    }
  }

  async find(session: string): Promise<RegisteredSession | undefined> {
    return this.read(session);
  }

  async ended(session: string): Promise<SettledRecord | undefined> {
    return (await this.ends(session, [session])).get(session);
  }

  async ends(_root: string, sessions: readonly string[]): Promise<ReadonlyMap<string, SettledRecord>> {
    return endsIn(await this.journaled(), sessions);
  }

  async claimed(session: string): ReturnType<LineageStore['claimed']> {
    return this.options.claimed(session);
  }

  async hasBegun(session: string): Promise<boolean> {
    return (await this.journaled()).some((record) => record.s === session);
  }

  /** One reading serves all who ask at the same time. */
  private journaled(): Promise<readonly JournalRecord[]> {
    this.reading ??= this.readJournals().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }
  private reading: Promise<readonly JournalRecord[]> | undefined;

  private async readJournals(): Promise<readonly JournalRecord[]> {
    const { journals, damage } = await readFolderJournals(this.options.folder);
    // What cannot be read is not nothing.
    if (damage !== undefined) throw new RuntimeError('store_failed', damage);
    return journals.flatMap(({ records }) => records);
  }

  async subtree(
    session: string,
    _root: string,
    { after, limit = defaultLimit }: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<{ readonly sessions: readonly RegisteredSession[]; readonly next?: string }> {
    const { journals } = await readFolderJournals(this.options.folder);
    const writer = new Map<string, string>();
    for (const { process, records } of journals) for (const { s } of records) writer.set(s, process);
    const folded = foldJournals(journals);
    const isAsked = (one: { readonly session: string; readonly path: readonly string[] }): boolean =>
      one.path.includes(session) && (after === undefined || one.session > after);
    const written = [...folded.values()].map(({ saved }): RegisteredSession => {
      const { s, path, agent, workflow, user, conversation, detached } = saved.record;
      const known = this.read(s);
      return {
        session: s,
        path,
        agent,
        workflow,
        ...(user === undefined ? {} : { user }),
        ...(conversation === undefined ? {} : { conversation }),
        ...(known?.call === undefined ? {} : { call: known.call }),
        ...(detached?.left === undefined ? {} : { left: detached.left }),
        isLocalRoot: known?.isLocalRoot ?? path.length === 1,
        process: writer.get(s) ?? '',
        state: saved.settled?.status ?? known?.state ?? 'running',
      };
    });
    // Registered, and no word of it written yet, or any more.
    const keys = new Set([...folded.keys()].map(subjectKey));
    const only = this.registered((key) => !keys.has(key));
    const found = [...written, ...only].filter(isAsked).sort((a, b) => (a.session < b.session ? -1 : 1));
    const sessions = found.slice(0, limit);
    return { sessions, ...(found.length > limit ? { next: sessions.at(-1)!.session } : {}) };
  }

  async processes(): Promise<readonly StoreProcess[]> {
    const living = await listProcesses(this.options.folder);
    return living.map(({ process, pid }) => ({ id: process, name: `${hostname()} ${pid}`, isAlive: true }));
  }

  /** A socket is closed with its process. */
  async unheard(): Promise<readonly UnheardProcess[]> {
    return [];
  }

  locate(session: string): Promise<RegisteredSession | undefined> {
    return this.find(session);
  }

  async confirm(key: string, engaged: number): Promise<Confirmation> {
    const { folder, processId, isWritten, look } = this.options;
    // They read the folder, so what is not in it before they are asked they do not learn.
    if (!isWritten(key, engaged)) look();
    const canKnow = isWritten(key, engaged);
    const answers = await requestControl(folder, 'reread', {}, { timeoutMs: confirmWithinMs, except: processId });
    const confirmed = canKnow ? answers.filter((one) => 'result' in one) : [];
    return {
      confirmed: confirmed.map((one) => one.process),
      runners: confirmed
        .filter(({ result }) => (result as { readonly runsSessions?: boolean } | null)?.runsSessions === true)
        .map((one) => one.process),
      unconfirmed: answers.flatMap((one) =>
        'error' in one
          ? [`Process ${one.process} has not confirmed: [${one.error.code}] ${one.error.message}`]
          : canKnow
            ? []
            : [`Process ${one.process} cannot know of the stop, which is not in the folder yet`],
      ),
    };
  }

  adopt(): Promise<Adoption> {
    return this.options.adopt();
  }

  private file(session: string): string {
    return join(this.options.folder, 'graphs', `${subjectKey(session)}.json`);
  }

  /** Those whose names are wanted. */
  private registered(isWanted: (key: string) => boolean): RegisteredSession[] {
    const folder = join(this.options.folder, 'graphs');
    return this.options.names(folder).flatMap((name) => {
      if (!name.endsWith('.json') || !isWanted(name.slice(0, -'.json'.length))) return [];
      const one = this.options.atomic.read(join(folder, name));
      return isRegistered(one) ? [one] : [];
    });
  }

  private read(session: string): RegisteredSession | undefined {
    const value = this.options.atomic.read(this.file(session));
    return isRegistered(value) ? value : undefined;
  }
}

function notNoted(session: string, error: unknown): string {
  return `what became of ${session} could not be told to other processes: ${String(error)}`;
}

/** After what was asked for the same name before. */
function inTurn<T>(running: Map<string, Promise<T>>, name: string, work: () => Promise<T>): Promise<T> {
  const turn = (running.get(name) ?? Promise.resolve()).then(work);
  running.set(name, turn);
  void turn.then(() => {
    if (running.get(name) === turn) running.delete(name);
  });
  return turn;
}

/** Whose child a call has, and who made it. */
type Child = Pick<RegisteredSession, 'session' | 'process'>;

function callName(parent: string, call: string): string {
  return `call.${createHash('sha256')
    .update(JSON.stringify([parent, call]))
    .digest('hex')
    .slice(0, 40)}`;
}

function isRegistered(value: unknown): value is RegisteredSession {
  if (typeof value !== 'object' || value === null) return false;
  const { session, path, process, state, left = [] } = value as Partial<Record<keyof RegisteredSession, unknown>>;
  return [session, process, state].every((one) => typeof one === 'string') && [path, left].every(Array.isArray);
}
