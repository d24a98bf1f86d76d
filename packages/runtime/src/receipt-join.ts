// receipt-join.ts: one receipt out of what each process knows. A stage is true when it is true everywhere (S10).

import { isEngaged } from '@offswitch/core';
import { type GrantRecord, isOver as isGrantOver } from './grants/grant-record.ts';
import { isGrantResidue, isUnderWay, joinTold, type ReceiptGrant, residueOfGrant, toldGrant } from './grants/receipt-grant.ts';
import { olderReceiptId, receiptId } from './order.ts';
import type { Receipt, ReceiptPart, ReceiptSession, Stage } from './receipt.ts';
import type { Slice } from './slices.ts';
import { parseStopKey } from './stop-key.ts';
import type { StoredStop } from './store.ts';

/** True in one process is true: the one durable write; the word of every process, which one of them has gathered. */
const ofOne = ['recorded', 'fenced'] as const satisfies Stage[];
/** True when each process says so of its own sessions. */
const ofAll = ['drained', 'revoked', 'done'] as const satisfies Stage[];

/** What the store knows beside the parts. */
export interface Standing {
  /** A process that is gone has nothing more to say, and what it left unsaid is named. */
  isAlive(process: string): boolean;
  /** It is not alive as far as anybody knows, and has sessions that nobody has taken over: what it has not said may yet be otherwise. Default: none is. */
  isUnheard?(process: string): boolean;
  /**
   * All that is written down of credentials: what a part says of one may be out of date, and of one whose process has died, or was frozen and is
   * back, nobody may have said anything yet. Default: none.
   */
  readonly grants?: readonly GrantRecord[];
  /** A stop as the store has it now: it may have been released while nobody ran who could say so in its receipt. Default: none is known. */
  stopOf?(key: string): StoredStop | undefined;
}

/** The receipts that these parts make, newest first. What goes on in another receipt is part of that one. */
export function joinReceipts(parts: readonly ReceiptPart[], standing: Standing): Receipt[] {
  return [...joinEach(parts, standing)].sort(newestFirst);
}

/** The same in slices: there may be thousands. */
export async function joinInSlices(parts: readonly ReceiptPart[], standing: Standing, slice: Slice): Promise<Receipt[]> {
  const joined: Receipt[] = [];
  for (const one of joinEach(parts, standing)) {
    joined.push(one);
    if (slice.isOver) await slice.next();
  }
  return joined.sort(newestFirst);
}

function* joinEach(parts: readonly ReceiptPart[], standing: Standing): Generator<Receipt> {
  const lent = lentOf(standing.grants ?? []);
  const goesOnIn = new Map(parts.flatMap(({ id, formerly = [] }) => formerly.map((one) => [one, id] as const)));
  const byId = new Map<string, { readonly own: ReceiptPart[]; readonly former: ReceiptPart[] }>();
  for (const part of parts) {
    const id = goesOnIn.get(part.id) ?? part.id;
    const group = byId.get(id) ?? { own: [], former: [] };
    byId.set(id, group);
    (id === part.id ? group.own : group.former).push(part);
  }
  for (const { own, former } of byId.values())
    yield joinParts(former.length === 0 ? own : continued(own, former), standing, lent);
}

/**
 * A process that goes on with a receipt says all of it again, and is believed, but for what it could not know any more: whom the stop had
 * ended before. One that was gone by then has said its last word in the former.
 */
function continued(own: readonly ReceiptPart[], former: readonly ReceiptPart[]): ReceiptPart[] {
  const { id, stop } = own.toSorted((a, b) => a.at - b.at).at(-1)!;
  const parts = new Map<string, ReceiptPart>();
  for (const { released: _, ...part } of former.toSorted((a, b) => a.at - b.at)) parts.set(part.process, { ...part, id, stop });
  for (const part of own) {
    const sessions = new Map((parts.get(part.process)?.sessions ?? []).map((one) => [one.session, one]));
    for (const one of part.sessions)
      if (one.state !== 'already-ended' || sessions.get(one.session)?.state !== 'stopped') sessions.set(one.session, one);
    parts.set(part.process, { ...part, sessions: [...sessions.values()] });
  }
  return [...parts.values()];
}

/** By when the stop was made; ties by id, so that a list looks the same twice. */
function newestFirst(a: Receipt, b: Receipt): number {
  return b.stop.since - a.stop.since || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

interface LentGrants {
  readonly byId: ReadonlyMap<string, GrantRecord>;
  /** Those that are not over, by each session of their paths. */
  readonly living: ReadonlyMap<string, readonly GrantRecord[]>;
}

function lentOf(grants: readonly GrantRecord[]): LentGrants {
  const living = new Map<string, GrantRecord[]>();
  for (const one of grants)
    for (const session of isGrantOver(one) ? [] : one.path) {
      const own = living.get(session);
      if (own) own.push(one);
      else living.set(session, [one]);
    }
  return { byId: new Map(grants.map((one) => [one.id, one])), living };
}

function joinParts(
  parts: readonly ReceiptPart[],
  { isAlive, isUnheard = () => false, stopOf = () => undefined }: Standing,
  lent: LentGrants,
): Receipt {
  const newest = parts.toSorted((a, b) => a.at - b.at);
  const last = newest.at(-1)!;
  const stages: Partial<Record<Stage, number>> = {};
  for (const stage of ofOne) {
    const times = parts.flatMap((part) => part.stages[stage] ?? []);
    if (times.length > 0) stages[stage] = Math.min(...times);
  }
  const fences = newest.flatMap(({ process, stages: { fenced } }) => (fenced === undefined ? [] : [{ process, at: fenced }]));
  const stored = stopOf(last.stop.id);
  const isEngagedNow = stored !== undefined && isEngaged(stored.marks);
  const isInForce = isEngagedNow && isReceiptNow(last.id, stored);
  const told = parts.flatMap((part) => part.released ?? []);
  // Nobody ran who could say so. Engaged now, it may be this one under a name that its receipt is to have in a moment.
  const released = told.length > 0 || isEngagedNow || !stored?.released ? told : [stored.released.at];
  const said = new Map(parts.map((part) => [part.process, part]));
  const asked = new Set([...said.keys(), ...parts.flatMap((part) => part.others)]);
  const bundles = new Map<string, ReceiptSession['forensics']>();
  const sessions = new Map<string, { readonly one: ReceiptSession; readonly process: string }>();
  // The newest word on a session counts, and that of its own process before that of others.
  for (const { process, sessions: its } of newest)
    for (const one of its) {
      // Of what an earlier process marked, that one alone knows.
      if (one.forensics && (isKept(one.forensics) || !isKept(bundles.get(one.session)))) bundles.set(one.session, one.forensics);
      const before = sessions.get(one.session);
      if (!before || weight(one) >= weight(before.one)) sessions.set(one.session, { one, process });
    }
  const known = new Set(parts.flatMap((part) => part.grants.map(({ id }) => id)));
  // Who was let go may have been lent others since.
  const untold = isInForce ? livingUnder(last, [...sessions.keys()], lent).filter(({ id }) => !known.has(id)) : [];
  const kept = [...[...known].flatMap((id) => lent.byId.get(id) ?? []), ...untold];
  const grants = joinTold([...newest.map((part) => part.grants), kept.map((record) => toldGrant({ record }))]);
  /** One that is told of as lent is its process's to take back, as long as that lives. */
  const isLeft = ({ id, state }: ReceiptGrant): boolean => {
    const record = lent.byId.get(id);
    return state === 'active' && record !== undefined && !isAlive(record.process);
  };
  const isAnyOpen = untold.length > 0 || grants.some((one) => isUnderWay(one) || (isInForce && isLeft(one)));
  const isSilent = (process: string): boolean =>
    !isAlive(process) &&
    (!said.has(process) || [...sessions.values()].some((said) => said.process === process && said.one.state === 'unconfirmed'));
  const mayStillSay = (process: string): boolean => isAlive(process) || (isUnheard(process) && isSilent(process));
  for (const stage of ofAll) {
    if (stages.fenced === undefined) break;
    // What a process that is gone was taking back, or had lent, lives until another one has taken it back.
    if (stage !== 'drained' && isAnyOpen) break;
    const isOpen = [...asked].some((process) => said.get(process)?.stages[stage] === undefined && mayStillSay(process));
    const times = parts.flatMap((part) => part.stages[stage] ?? []);
    if (!isOpen && times.length > 0) stages[stage] = Math.max(...times);
  }
  const missing = (stage: (typeof ofOne)[number]): readonly string[] =>
    stages[stage] === undefined ? newest.flatMap((part) => part.missing[stage] ?? []) : [];
  const heads = newest.flatMap((part) => part.audit ?? []);
  const formerly = [...new Set(parts.flatMap((part) => part.formerly ?? []))];
  return {
    id: last.id,
    stop: last.stop,
    ...(formerly.length > 0 ? { formerly } : {}),
    stages,
    ...(fences.length > 0 ? { fences } : {}),
    sessions: [...sessions.values()].map(({ one, process }) => ({
      ...one,
      ...(isHearsay(one) ? {} : { process }),
      ...bundleOf(one, bundles.get(one.session)),
    })),
    grants,
    residue: [
      ...new Set([
        ...ofOne.flatMap((stage) => missing(stage)),
        ...newest.flatMap((part) => part.residue).filter((line) => !isGrantResidue(line)),
        ...grants.map(residueOfGrant).filter((line) => line !== undefined),
        ...[...asked].filter(isSilent).map((process) => (isUnheard(process) ? lost(process) : gone(process))),
      ]),
    ],
    ...(released.length > 0 ? { released: Math.max(...released) } : {}),
    ...(heads.length > 0 ? { audit: heads } : {}),
  };
}

/** Those of sessions that it covers, and of everybody below the one it is against. */
function livingUnder({ stop }: ReceiptPart, sessions: readonly string[], { living }: LentGrants): readonly GrantRecord[] {
  if (living.size === 0) return [];
  const { sessionId } = stop.subject;
  return [
    ...sessions.flatMap((one) => living.get(one)?.filter(({ session }) => session === one) ?? []),
    // With everybody below it, whom nobody may know any more.
    ...(sessionId === undefined ? [] : (living.get(sessionId) ?? [])),
  ];
}

/** Is this the receipt of the stop as it is engaged now? */
function isReceiptNow(id: string, { key: name, marks }: StoredStop): boolean {
  const key = parseStopKey(name);
  if (!key) return false;
  const entry = { key, name, marks };
  return receiptId(entry) === id || olderReceiptId(entry) === id;
}

/** What a process says of another's session. */
export const elsewhere = 'another process runs it';
/** What a process says of one whose own process is not heard from. */
export const notHeard = 'its process is not heard from, so whether it still runs is not known';

function isKept(forensics: ReceiptSession['forensics']): boolean {
  return forensics !== undefined && 'digest' in forensics;
}

function bundleOf({ state }: ReceiptSession, forensics: ReceiptSession['forensics']): Pick<ReceiptSession, 'forensics'> {
  return state === 'stopped' && forensics ? { forensics } : {};
}

/** What a process says of another's session that its records say was ended by this very stop. */
export const endedElsewhere = 'another process ended it under this stop; what became of its calls is in its records';

/** The same of one that had come to its end otherwise. */
export const endedThere = 'another process had it, and its records say that it has ended';

/** The same of one that nobody can begin any more. */
export const neverBegun = 'it had not begun: nothing of it was written down';

/** Nobody who has said anything of it knows what became of it. */
function isUnknown({ why }: Pick<ReceiptSession, 'why'>): boolean {
  return why === elsewhere || why === notHeard;
}

/**
 * Done, and of everybody it covers it is known what became of them: nothing is left to be learned. Whom its own process had not seen end when it
 * died, the records may know of.
 */
export function isOver({ stages, sessions }: Receipt): boolean {
  return stages.done !== undefined && !sessions.some(({ state }) => state === 'unconfirmed');
}

/** What is not known, how its own process has it that may have died since, that its records say it has ended, and its own process's word on that. */
function weight(session: ReceiptSession): number {
  const { state } = session;
  if (isUnknown(session)) return 0;
  if (state === 'unconfirmed' || state === 'paused') return 1;
  return isHearsay(session) ? 2 : 3;
}

function isHearsay(session: ReceiptSession): boolean {
  const { why } = session;
  return isUnknown(session) || why === endedElsewhere || why === endedThere || why === neverBegun;
}

/** Its lease has run out: it refuses what is new, and what it had begun may go on. */
function lost(process: string): string {
  return `Process ${process} is not heard from; what it had begun may go on until it is, or until another process takes it over.`;
}

/** It confirmed, and was gone before it said what became of its sessions. */
function gone(process: string): string {
  return `Process ${process} is gone; what it ran rests until another process takes it up.`;
}
