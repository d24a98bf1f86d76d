// release.ts: release as an act: an authorised person, a reason, naming the stop (S3). Refused while a live reading of the
// same switch still says engaged: then it is the switch that must be flipped.

import { type Breaker, isEngaged, type Stop } from '@offswitch/core';
import { reportAt } from './breakers.ts';
import { declaredCap } from './caps.ts';
import { commandFor } from './command-hint.ts';
import { RuntimeError } from './error.ts';
import type { Kernel } from './kernel.ts';
import { describeStop, type StopEntry } from './stop-entry.ts';
import { isConversationKey, subjectKey } from './stop-key.ts';
import type { StopChange, StopSet } from './stop-set.ts';
import type { World } from './world.ts';

export interface ReleaseOrder {
  /** One stop, by id. */
  readonly stop?: string;
  /** Or every trip of one breaker. */
  readonly breaker?: Breaker;
  /** With `breaker`: of one workflow. */
  readonly workflow?: string;
  readonly reason: string;
  readonly by: string;
  /** With a breaker: how much more is allowed from here, in its unit. Default: its threshold once more. */
  readonly allowance?: number;
}

export async function releaseByAct(world: World, order: ReleaseOrder): Promise<readonly Stop[]> {
  if (typeof order.reason !== 'string' || order.reason.trim() === '')
    throw new RuntimeError('invalid_option', 'a release needs a reason');
  if (typeof order.by !== 'string' || order.by === '')
    throw new RuntimeError('invalid_option', 'a release needs to say who asks (by)');
  if (order.allowance !== undefined && !(Number.isSafeInteger(order.allowance) && order.allowance > 0))
    throw new RuntimeError('invalid_option', 'allowance must be a positive integer');
  const { stops } = world.kernel;
  const entries = order.stop === undefined ? tripsOf(world, order) : [named(world, order.stop)];
  const released: Stop[] = [];
  for (const entry of entries) {
    refuseRelease(world.kernel, entry);
    const stop = describeStop(entry);
    const { breaker } = entry.key.kind === 'act' ? entry.key : { breaker: undefined };
    const allowance = breaker === undefined ? undefined : allow(world, stop, breaker, order.allowance);
    const { latched } = stops.release(entry, {
      reason: order.reason,
      by: order.by,
      at: world.clock.now(),
      ...(entry.details?.subject === undefined ? {} : { subject: entry.details.subject }),
      ...(allowance === undefined ? {} : { allowance }),
    });
    await latched;
    released.push(stop);
  }
  world.reconsider();
  return released;
}

function named(world: World, id: string): StopEntry {
  const entry = world.kernel.stops.find(id);
  if (!entry || !isEngaged(entry.marks)) {
    throw new RuntimeError(
      'unknown_stop',
      `no stop ${JSON.stringify(String(id).slice(0, 120))} is in force; see: ${commandFor(world.store)} status`,
    );
  }
  return entry;
}

function tripsOf(world: World, order: ReleaseOrder): StopEntry[] {
  if (order.breaker === undefined || !(order.breaker in reportAt))
    throw new RuntimeError('invalid_option', `name a stop, or a breaker: ${Object.keys(reportAt).join(', ')}`);
  return [...world.kernel.stops.all()].filter((entry) => {
    if (!isEngaged(entry.marks) || entry.key.kind !== 'act' || entry.key.breaker !== order.breaker) return false;
    const session = entry.details?.subject ?? entry.key.subject;
    if (entry.key.tier === 'feature') return order.workflow === undefined || order.workflow === session;
    return order.workflow === undefined || world.graphOf.get(session)?.get(session)?.saved.record.workflow === order.workflow;
  });
}

/** Throws `release_refused`: a terminate is for good, and a live reading that says engaged is stronger than an act. */
export function refuseRelease(kernel: Kernel, entry: StopEntry): void {
  const { key } = entry;
  const action = key.kind === 'act' ? key.action : key.tier === 'instance' ? 'terminate' : 'pause';
  // That of a conversation also keeps new runs from starting, and that much can be let go.
  if (action === 'terminate' && !isConversationKey(key.subject))
    throw new RuntimeError('release_refused', `${entry.name} is a terminate, which is for good; going on is a new run`);
  if (key.kind === 'act') return;
  const { switches } = kernel.options;
  const id = entry.details?.subject ?? '';
  const flag = key.tier === 'feature' ? (switches.isWorkflow(id) ? switches.feature(id) : undefined) : switches[key.tier];
  const last = flag && kernel.switchboard.lastReading(flag, id);
  if (last?.state === 'engaged' && last.origin === 'live') {
    throw new RuntimeError(
      'release_refused',
      `${flag!.key} still reads engaged at ${kernel.options.source.name}; release it there (${commandFor(kernel.options.store)} release ${key.tier}${id ? ` ${id}` : ''})`,
    );
  }
}

/** A release names the new allowance. A run of failures or repetitions starts anew, and needs none to go on. */
function allow(world: World, stop: Stop, breaker: Breaker, asked: number | undefined): number | undefined {
  if (asked !== undefined || breaker === 'tool-failures' || breaker === 'repeats') return asked;
  const { sessionId: session = '', userId, workflow: capped } = stop.subject;
  if (userId !== undefined) return declaredCap(world.options.caps, 'user', userId);
  if (capped !== undefined) return declaredCap(world.options.caps, 'feature', capped);
  // Of one that is not here, its own process knows by what to go on: a release that names nothing allows its threshold there.
  const workflow = world.graphOf.get(session)?.get(session)?.saved.record.workflow;
  return workflow === undefined ? undefined : world.charges.thresholdOf(workflow, breaker);
}

/** What a released breaker had counted starts anew, whichever process was told of the release. */
export function forgiveReleased(world: World, { entry, engaged }: StopChange): void {
  const { key } = entry;
  if (engaged || key.kind !== 'act' || key.breaker === undefined || key.tier !== 'instance') return;
  const session = entry.details?.subject ?? key.subject;
  world.graphOf.get(session)?.get(session)?.saved.counters?.forgive(key.breaker);
}

/** When this breaker of this session was last released. Epoch milliseconds; `-Infinity`: never. */
export function forgivenAt(stops: StopSet, session: string, breaker: Breaker): number {
  let at = Number.NEGATIVE_INFINITY;
  for (const { marks, releasedDetails } of stops.trips(subjectKey(session), breaker))
    if (!isEngaged(marks)) at = Math.max(at, releasedDetails?.at ?? 0);
  return at;
}
