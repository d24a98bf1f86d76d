// place.ts: everything a command reaches: the state folder, the processes that run on it, and the flag file.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KillSwitches } from '@offswitch/core';
import { type FlagFileControl, flagFileControl, type LintFinding, lintFlagFile } from '@offswitch/flag-file';
import {
  type AuditChain,
  type AuditFact,
  Auditor,
  type Breathe,
  type ControlAnswer,
  folderStore,
  folderWriter,
  type Journals,
  type KeptGrant,
  type Receipt,
  type RegisteredSession,
  type Resolution,
  readFolderJournals,
  requestControl,
  resolvedFact,
  type StateStore,
  type StopDetails,
  type StoredStop,
} from '@offswitch/runtime';
import { loadFrom } from './control-of.ts';
import { CommandError, failureOf } from './failure.ts';
import { clean } from './print.ts';
import { isThere, wayIn } from './way-in.ts';

export interface Place {
  /** The state folder, for people. */
  readonly folder: string;
  /** Throws `no_access` where that cannot be told. */
  exists(): boolean;
  /** What each running process says; none runs: none. `process`: that one alone. Where who runs is not known, an error of a process without a name says so. */
  ask(method: string, params?: Readonly<Record<string, unknown>>, process?: string): Promise<readonly ControlAnswer[]>;
  /** Works with no process alive, like all that follows. */
  stops(): Promise<readonly StoredStop[]>;
  mark(key: string, side: 'engaged' | 'released', n: number, details: StopDetails): Promise<void>;
  /** `unread` is told of each that cannot be read, in words. */
  receipts(unread?: (what: string) => void): Promise<readonly Receipt[]>;
  resolve(resolution: Resolution): Promise<boolean>;
  /** Credentials lent to sessions, by reference. */
  grants(): Promise<readonly KeptGrant[]>;
  /**
   * What processes that are gone left of their sessions; with `roots` those of these whole graphs too. Writes nothing, so that a full or
   * read-only disk hides none of them. `breathe`: as in `readFolderJournals`; a Redis answers in pages anyway.
   */
  journals(roots?: readonly string[], breathe?: Breathe): Promise<Journals>;
  /** What the store itself knows of the sessions of these graphs, beside the journals: nothing, in a folder. */
  registered(roots: readonly string[]): Promise<readonly RegisteredSession[]>;
  /** What this command did, for the audit log. Never throws and never waits; a folder that is not there gets none. */
  note(fact: AuditFact): void;
  /** The command is over: writes what was noted, lets go of what is open. What kept it from being written, in words. */
  close(): Promise<string | undefined>;
  auditChains(): Promise<readonly AuditChain[]>;
  /** The bundle of a terminated session, as it was written. */
  bundle(session: string): Promise<string | undefined>;
  /** What the application declared, as its runtime wrote it down. */
  document(): Promise<unknown>;
  control(path: string, series: string | undefined): FlagFileControl;
  /** A module that the application's project has installed. Rejects as an import does. */
  load(specifier: string): Promise<unknown>;
  lint(path: string, switches: KillSwitches | undefined): Promise<readonly LintFinding[]>;
}

/** How long one process may take to answer. Milliseconds. 3 s: a person waits, and a process that hangs must not keep a stop waiting. */
const answerWithinMs = 3000;

export function folderPlace(folder: string): Place {
  const reader = folderStore(folder);
  // Reading needs no opening, and leaves a folder that is not ours as it was. A write opens a store of its own: this
  // process is short-lived and must not believe in a memory that dies with it.
  const writing = async <T>(write: (store: StateStore) => Promise<T>): Promise<T> => {
    const store = folderWriter(folder);
    try {
      await store.open();
      const { unwritable } = store.health;
      if (unwritable !== undefined)
        throw new CommandError(
          'store_failed',
          `${clean(folder)} cannot be written (${unwritable}), so nothing was recorded${wayIn(folder, unwritable)}`,
        );
      return await write(store);
    } finally {
      await store.close();
    }
  };
  const auditor = new Auditor({
    log: () => (existsSync(folder) ? reader.audit : undefined),
    process: reader.processId,
    now: () => Date.now(),
    onTrouble: () => {
      // Told when the command ends.
    },
  });
  return {
    folder,
    exists: () => isThere(folder),
    ask: async (method, params = {}, process) => {
      const options = { timeoutMs: answerWithinMs, ...(process === undefined ? {} : { process }) };
      try {
        return await requestControl(folder, method, params, options);
      } catch (error) {
        const { code } = (error as Error).cause as NodeJS.ErrnoException;
        return [processesUnknown(`${failureOf(error).message}${wayIn(folder, code)}`)];
      }
    },
    stops: async () => (isThere(folder) ? reader.stops() : []),
    mark: async (key, side, n, details) => {
      await writing((store) => store.mark(key, side, n, details));
      const { reason, by, subject } = details;
      auditor.note({
        type: 'mark',
        stop: key,
        side,
        n,
        reason,
        ...(by === undefined ? {} : { by }),
        ...(subject === undefined ? {} : { subject }),
      });
    },
    receipts: async (unread) => (isThere(folder) ? reader.receipts(unread) : []),
    resolve: async (resolution) => {
      const isFirst = await writing((store) => store.resolve(resolution));
      if (isFirst) auditor.note(resolvedFact(resolution));
      return isFirst;
    },
    note: (fact) => auditor.note(fact),
    close: () => auditor.close(),
    auditChains: async () => (isThere(folder) ? ((await reader.audit?.chains()) ?? []) : []),
    bundle: async (session) => (isThere(folder) ? reader.forensics?.readBundle(session) : undefined),
    grants: async () => (isThere(join(folder, 'grants')) ? ((await reader.grants?.list()) ?? []) : []),
    journals: async (_roots, breathe) => (isThere(folder) ? readFolderJournals(folder, breathe) : { journals: [] }),
    registered: async () => [],
    document: () => reader.readDocument('switches'),
    control: (path, series) => flagFileControl(path, series === undefined ? {} : { series }),
    load: (specifier) => loadFrom(process.cwd(), specifier),
    lint: async (path, switches) => lintFlagFile(await readFile(path, 'utf8'), switches),
  };
}

/** Nobody can be asked: that keeps no stop from being made, hides none that was, and is never taken for "nobody runs". */
export function processesUnknown(message: string): ControlAnswer {
  return { process: '', pid: 0, error: { code: 'processes_unknown', message } };
}
