// told.ts: the receipt of a stop as it is known now. A long one is made in slices of the event loop, session by session and call
// by call.

import { residueOfGrant, toldGrant } from './grants/receipt-grant.ts';
import type { Member } from './graph.ts';
import { isOwn, type Order } from './order.ts';
import type { ReceiptCall, ReceiptPart, ReceiptSession } from './receipt.ts';
import { elsewhere, endedElsewhere, endedThere, neverBegun, notHeard } from './receipt-join.ts';
import type { Slice } from './slices.ts';
import { callsAhead, type KnownCall, toldCalls } from './turn-kept.ts';
import type { HeardAgain } from './unheard.ts';
import type { World } from './world.ts';

/** A receipt of more sessions and calls than this is made and written in slices. */
const longerThan = 200;

export function isLong({ covered }: Order): boolean {
  let size = covered.size;
  if (size > longerThan) return true;
  for (const { live, saved } of covered.values()) {
    size += live?.calls?.size ?? toldCalls(saved).length;
    if (size > longerThan) return true;
  }
  return false;
}

export function receiptAtOnce(world: World, order: Order): ReceiptPart {
  const steps = makeReceipt(world, order);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

export async function receiptInSlices(world: World, order: Order, slice: Slice): Promise<ReceiptPart> {
  const steps = makeReceipt(world, order);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (slice.isOver && !world.isClosed) await slice.next();
  }
}

/** The stages are those of the beginning: what a session came to while the rest was looked at is news to none of them. */
function* makeReceipt(world: World, order: Order): Generator<void, ReceiptPart> {
  const stages = { ...order.stages };
  const sessions: ReceiptSession[] = [];
  const unknown: string[] = [];
  for (const member of order.covered.values()) {
    sessions.push(yield* makeSession(world, order, member, unknown));
    yield;
  }
  const { unheard, heardAgain } = order;
  for (const one of heardAgain.values()) if (!order.covered.has(one.session.session)) sessions.push(heardAgainOf(order, one));
  for (const one of unheard?.sessions ?? []) if (!order.covered.has(one.session)) sessions.push(unheardOf(one, notHeard));
  if (unheard?.isMore)
    unknown.push(`more than ${unheard.sessions.length} sessions of processes that are not heard from; the others are not named`);
  for (const lent of world.grants.told(order)) order.grants.set(lent.record.id, toldGrant(lent));
  const grants = [...order.grants.values()];
  const lasting = grants.map(residueOfGrant).filter((one) => one !== undefined);
  return {
    id: order.id,
    stop: order.stop,
    ...(order.formerly.size > 0 ? { formerly: [...order.formerly] } : {}),
    stages,
    sessions,
    grants,
    residue: [...new Set([...unknown, ...lasting])],
    process: world.store.processId,
    at: world.clock.now(),
    others: order.others,
    missing: { ...order.missing },
    ...(order.released === undefined ? {} : { released: order.released }),
    ...(world.audit.head ? { audit: [world.audit.head] } : {}),
  };
}

/** The calls first: what is said of the session is then no older than what is said of them. */
function* makeSession(world: World, order: Order, member: Member, unknown: string[]): Generator<void, ReceiptSession> {
  const isThere = world.isElsewhere(member);
  const { record } = member.saved;
  const isRunning = member.live !== undefined || isThere;
  const hasEnded = order.ended.has(member);
  const calls: ReceiptCall[] = [];
  const hasNotBegun = order.neverBegun.has(member);
  // Of what has ended in another process only an older turn is known here.
  const isEndedThere = isThere && (hasEnded || hasNotBegun || order.endedElsewhere.has(member));
  const open = isEndedThere ? undefined : member.live?.open;
  // What a session that is run again has not come to yet is not under way, whoever has it.
  const ahead = open ? callsAhead(member.saved, open) : [];
  const known = isEndedThere ? [] : open ? [...open.told(), ...ahead] : toldCalls(member.saved);
  for (const call of known) {
    const outcome = outcomeOf(call, isRunning && !ahead.includes(call));
    if (outcome === 'unknown') unknown.push(unknownOutcome(record.s, call));
    calls.push({ id: call.id, kind: call.kind, name: call.name, outcome, idempotencyKey: call.idempotencyKey });
    if (calls.length % 16 === 0) yield;
  }
  const { saved, live } = member;
  const state: ReceiptSession['state'] = hasEnded
    ? 'already-ended'
    : isEndedThere
      ? 'stopped'
      : saved.settled
        ? saved.settled.status === 'terminated'
          ? 'stopped'
          : 'already-ended'
        : !isThere && (live === undefined || (order.stop.action === 'pause' && live.isAtRest))
          ? 'paused'
          : 'unconfirmed';
  const forensics = state === 'stopped' ? world.forensics.of(member) : undefined;
  return {
    session: record.s,
    path: record.path,
    agent: record.agent,
    workflow: record.workflow,
    ...(record.user === undefined ? {} : { user: record.user }),
    state,
    ...(isEndedThere ? { why: hasNotBegun ? neverBegun : state === 'stopped' ? endedElsewhere : endedThere } : {}),
    ...(state === 'unconfirmed' ? { why: isThere ? elsewhere : whyNot(member) } : {}),
    checkpointTurn: saved.checkpointTurn,
    ...(forensics ? { forensics } : {}),
    calls,
  };
}

function heardAgainOf(order: Order, { session, end }: HeardAgain): ReceiptSession {
  if (!end) return unheardOf(session, elsewhere);
  if (end === 'never-begun') return { ...unheardOf(session, neverBegun), state: 'stopped' };
  const isStopped = end.status === 'terminated' && isOwn(order, end.stopId);
  return { ...unheardOf(session, isStopped ? endedElsewhere : endedThere), state: isStopped ? 'stopped' : 'already-ended' };
}

function unheardOf({ session, path, agent, workflow, user }: HeardAgain['session'], why: string): ReceiptSession {
  return {
    session,
    path,
    agent,
    workflow,
    ...(user === undefined ? {} : { user }),
    state: 'unconfirmed',
    why,
    checkpointTurn: 0,
    calls: [],
  };
}

/** Residue of a call whose effect nobody can tell of. */
export function unknownOutcome(session: string, { id, name }: Pick<ReceiptCall, 'id' | 'name'>): string {
  return `${session} ${id} ${name}: outcome unknown`;
}

/** A call that nobody runs any more and that has no end: of an effect only a person can tell. */
function outcomeOf(call: KnownCall, isRunning: boolean): ReceiptCall['outcome'] {
  if (call.outcome !== undefined) return call.outcome;
  if (isRunning) return 'in-flight';
  return call.kind === 'tool' && call.class === 'effect' ? 'unknown' : 'aborted';
}

/** Calls in flight that are named; of the others there is only the number. */
const namedCalls = 20;

function whyNot({ live }: Member): string {
  const names: string[] = [];
  let count = 0;
  for (const call of live?.calls ?? []) {
    if (!call.isSent || call.outcome !== undefined) continue;
    if (++count <= namedCalls) names.push(`${call.id} ${call.name}`);
  }
  if (count === 0) return 'its turn has not ended';
  return `in flight: ${names.join(', ')}${count > namedCalls ? ` and ${count - namedCalls} more` : ''}`;
}
