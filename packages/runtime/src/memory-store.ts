// memory-store.ts: state that lives as long as this process: for tests, and for a folder that cannot be written.
//
// Several stores may share one memory, so that a test can have two processes, and a restart, without a disk.

import { join, unmarked } from '@offswitch/core';
import { type AuditMemory, memoryAudit } from './audit/audit-log.ts';
import type { ScopeLedger } from './budget-ledger.ts';
import { RuntimeError } from './error.ts';
import { type GrantParts, memoryGrants } from './grants/memory-grants.ts';
import { mintId } from './id.ts';
import type { JournalRecord, Resolution } from './journal.ts';
import { leftBehind, type OwnedClaim, withoutOwner } from './left-behind.ts';
import { memoryBudgets } from './memory-budgets.ts';
import { registry, sharedRegistry } from './memory-lineage.ts';
import type { Receipt, ReceiptPart } from './receipt.ts';
import { joinReceipts } from './receipt-join.ts';
import { receiptPieces } from './receipt-text.ts';
import { amongAll } from './receipts-to-go-on.ts';
import { turnOfLoop } from './slices.ts';
import { subjectKey } from './stop-key.ts';
import type { KeptReading, StateStore, StoreChange, StoredStop, StoreOpening } from './store.ts';

export interface MemoryStore extends StateStore {
  /** Another process on the same memory: both live. */
  share(): MemoryStore;
  /** A restart: this store is dead at once, as after a kill -9, and the one returned finds what it left. */
  reopen(): MemoryStore;
}

interface Journal {
  readonly process: string;
  alive: boolean;
  runsSessions: boolean;
  readonly records: JournalRecord[];
}

class Memory {
  readonly stops = new Map<string, StoredStop>();
  readonly resolutions = new Map<string, Resolution>();
  readonly journals: Journal[] = [];
  readonly claims = new Map<string, { readonly session: string; readonly epoch: number; readonly owner: Journal }>();
  /** By id, then by process. */
  readonly receipts = new Map<string, Map<string, { readonly n: number; readonly pieces: readonly string[] }>>();
  readonly registry = sharedRegistry();
  readonly budgets = new Map<string, ScopeLedger>();
  receiptCount = 0;
  readonly audit: AuditMemory = new Map();
  readonly bundles = new Map<string, string>();
  readonly grants: GrantParts = new Map();
  readonly documents = new Map<string, string>();
  readonly listeners = new Map<object, Set<(change: StoreChange) => void>>();
  readings = '[]';
}

/** Health is `ok`: whoever asks for memory by name knows what it keeps. */
export function memoryStore(options: { /** For people. Default `memory`. */ readonly name?: string } = {}): MemoryStore {
  return open(new Memory(), options.name ?? 'memory');
}

function open(memory: Memory, name: string): MemoryStore {
  const journal: Journal = { process: mintId('p'), alive: true, runsSessions: false, records: [] };
  const self = { process: journal.process };
  const listeners = new Set<(change: StoreChange) => void>();

  const living = (): void => {
    if (!journal.alive) throw new RuntimeError('closed', 'this memory store was closed');
  };
  const tellOthers = (change: StoreChange): void => {
    for (const [owner, theirs] of memory.listeners) {
      // Later, as from another process, and never in the middle of the caller's step.
      if (owner !== self) for (const listener of theirs) queueMicrotask(() => theirs.has(listener) && listener(change));
    }
  };
  const die = (): void => {
    if (!journal.alive) return;
    journal.alive = false;
    listeners.clear();
    memory.listeners.delete(self);
    tellOthers({ isOrphaned: true });
  };
  /** Journals of dead processes that this one has been given. */
  const taken = new Set<string>();
  const given = (of: readonly Journal[]): StoreOpening['journals'] =>
    // Through JSON, as a disk would give them back: what cannot be resumed from a folder must not resume here.
    of.map(({ process, alive, records }) => ({ process, alive, records: JSON.parse(JSON.stringify(records)) }));
  const claims = (): OwnedClaim[] =>
    [...memory.claims.values()].map(({ session, epoch, owner: { process, alive } }) => ({
      session,
      epoch,
      owner: process,
      alive,
    }));
  const isAlive = (process: string): boolean => memory.journals.some((one) => one.process === process && one.alive);
  const lineage = registry(memory.registry, {
    process: journal.process,
    journals: memory.journals,
    tell: (process, change) => {
      for (const [owner, theirs] of memory.listeners)
        if ((owner as { process?: string }).process === process)
          for (const listener of theirs) queueMicrotask(() => theirs.has(listener) && listener(change));
    },
    adopt: () => ({
      claims: claims().map(withoutOwner),
      journals: given(leftBehind(memory.journals, taken, claims())),
    }),
    claims,
  });

  const grants = memoryGrants(memory.grants, { id: journal.process, living, isAlive });
  const receipts = async (): Promise<Receipt[]> => {
    const kept = await grants.list();
    const parts = [...memory.receipts.values()].flatMap((one) => [...one.values()]);
    return joinReceipts(
      parts.map(({ pieces }) => JSON.parse(pieces.join('')) as ReceiptPart),
      { isAlive, grants: kept.map(({ record }) => record), stopOf: (key) => memory.stops.get(key) },
    );
  };

  return {
    name,
    processId: journal.process,
    volatile: true,
    health: { state: 'ok' },
    lineage,
    budgets: memoryBudgets(memory.budgets, journal.process, isAlive, living),
    grants,
    audit: memoryAudit(memory.audit, journal.process),
    forensics: {
      async writeBundle(session, text) {
        living();
        memory.bundles.set(session, text);
      },
      readBundle: async (session) => memory.bundles.get(session),
    },
    async open({ runsSessions = false } = {}): Promise<StoreOpening> {
      living();
      journal.runsSessions = runsSessions;
      leftBehind(memory.journals, taken, []);
      memory.journals.push(journal);
      memory.listeners.set(self, listeners);
      return {
        stops: [...memory.stops.values()],
        resolutions: [...memory.resolutions.values()],
        readings: JSON.parse(memory.readings),
        claims: claims().map(withoutOwner),
        journals: given(memory.journals.filter(({ process, records }) => process !== journal.process && records.length > 0)),
      };
    },
    async mark(key, side, n, details) {
      living();
      const before = memory.stops.get(key) ?? { key, marks: unmarked };
      if (n <= before.marks[side]) return;
      const after = { ...before, marks: join(before.marks, { ...unmarked, [side]: n }), [side]: { ...details } };
      memory.stops.set(key, after);
      tellOthers({ stops: [after] });
    },
    async stops() {
      return [...memory.stops.values()];
    },
    append(_root, record) {
      if (!journal.alive) living();
      journal.records.push(record);
    },
    async flush() {
      living();
    },
    claim(session, epoch) {
      living();
      const claim = `${epoch} ${session}`;
      if (memory.claims.has(claim)) return false;
      memory.claims.set(claim, { session: subjectKey(session), epoch, owner: journal });
      tellOthers({ claimed: [{ session: subjectKey(session), epoch }] });
      return true;
    },
    forget() {
      // Nothing here outlives the process, so nothing has to be cleared away.
    },
    async resolve(resolution) {
      living();
      const key = JSON.stringify([resolution.session, resolution.call]);
      if (memory.resolutions.has(key)) return false;
      const kept = JSON.parse(JSON.stringify(resolution)) as Resolution;
      memory.resolutions.set(key, kept);
      tellOthers({ resolutions: [kept] });
      return true;
    },
    async writeReceipt(receipt) {
      living();
      const n = memory.receiptCount++;
      const pieces: string[] = [];
      for (const piece of receiptPieces(receipt)) {
        if (pieces.length > 0) await turnOfLoop();
        pieces.push(piece);
      }
      const parts = memory.receipts.get(receipt.id) ?? new Map();
      memory.receipts.set(receipt.id, parts);
      // What was begun later, or written by a store that has died meanwhile, does not come back.
      if (journal.alive && n >= (parts.get(receipt.process)?.n ?? 0)) parts.set(receipt.process, { n, pieces });
    },
    receipts,
    receiptsToGoOn: async (stops) => amongAll(await receipts(), stops),
    async keepReadings(readings: readonly KeptReading[]) {
      living();
      memory.readings = JSON.stringify(readings);
    },
    async writeDocument(document, value) {
      living();
      memory.documents.set(document, JSON.stringify(value));
    },
    async readDocument(document) {
      const text = memory.documents.get(document);
      return text === undefined ? undefined : JSON.parse(text);
    },
    watch(listener) {
      const own = (change: StoreChange): void => listener(change);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    async close() {
      die();
    },
    share: () => open(memory, name),
    reopen() {
      die();
      return open(memory, name);
    },
  };
}
