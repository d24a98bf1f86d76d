// judge.ts: what must hold of a run, whatever was done to it. It believes the oracle, and what processes told only where that could convict them.

import type { Fleet } from './fleet.ts';
import type { Arrival, Oracle, Token } from './oracle.ts';
import { type Fenced, leaseMs, leftAfter, type Scene } from './scene.ts';

/** An end is told within so long. Milliseconds. */
const toldWithinMs = 2_000;

export function judge(scene: Scene, { arrivals, tokens }: Oracle): string[] {
  return [
    ...repeated(scene.fleet, arrivals),
    ...begunUnderStop(scene, arrivals),
    ...begunUnderPause(scene, arrivals),
    ...begunWithoutData(scene, arrivals),
    ...slowFences(scene),
    ...workedOn(scene, [...tokens.values()]),
    ...wrongEnds(scene),
  ];
}

/** I4: once the receipt of a stop says that access is revoked no credential under it works, and none is issued; nor one of a process that says so of its own. */
function workedOn({ fleet }: Scene, tokens: readonly Token[]): string[] {
  return fleet.stages.flatMap(({ stop: { action, session }, stage, at, by, isJoined }) => {
    if (stage !== 'revoked' || action !== 'terminate' || session === undefined) return [];
    return tokens
      .filter(({ path, worker }) => path.includes(session) && (isJoined || worker === by))
      .filter(({ revokedAt = Number.POSITIVE_INFINITY }) => revokedAt > at)
      .map(
        ({ id, path, issuedAt }) =>
          `I4: the credential ${id} of ${path.at(-1)} ${issuedAt > at ? 'was issued after' : 'worked when'} ${isJoined ? 'the receipt at ' : ''}${by} said that those under ${session} are revoked`,
      );
  });
}

/** I8: asked before anybody allows more. */
export function judgeSpending({ capMicros }: Scene, { arrivals }: Oracle): string[] {
  const spent = new Map<string, number>();
  for (const { user, costMicros = 0 } of arrivals) spent.set(user, (spent.get(user) ?? 0) + costMicros);
  return [...spent].flatMap(([user, micros]) => (micros > capMicros ? [`I8: ${user} spent ${micros} of ${capMicros}`] : []));
}

/** I4: where everything has ended no credential works any more, also of a process that was killed. */
export function judgeTokens({ tokens }: Oracle): Promise<readonly string[]> {
  return leftAfter(carriedOnWithinMs, async () =>
    [...tokens.values()]
      .filter(({ revokedAt }) => revokedAt === undefined)
      .map(({ id, path }) => `I4: the credential ${id} of ${path.at(-1)}, which has ended, still works`),
  );
}

/** What is left of a lease at least where its renewals come through. Milliseconds. */
const leaseLeftMs = (leaseMs * 2) / 3;

/** I9: no effect arrives twice. */
function repeated(fleet: Fleet, arrivals: readonly Arrival[]): string[] {
  const seen = new Map<string, Arrival[]>();
  for (const one of arrivals) if (one.kind === 'effect') seen.set(one.key, [...(seen.get(one.key) ?? []), one]);
  return [...seen].flatMap(([key, all]) => {
    // Held up with the call on its way, taken for dead, and let go: what it sends then nobody can take back (docs/nemesis.md).
    const counted = all.filter((one) => !wasHeldUp(fleet, one));
    const from = counted.map(
      (one) => `${one.worker} (${one.at.toFixed(0)} by the machine, ${(one.at - one.startedAt).toFixed(0)} ms on the way)`,
    );
    return counted.length > 1 ? [`I9: the effect ${key} arrived ${counted.length} times, from ${from.join(', ')}`] : [];
  });
}

/** I1: once anybody says that a stop is fenced, no call begins under it in any process. */
function begunUnderStop({ fenced, fleet }: Scene, arrivals: readonly Arrival[]): string[] {
  const said: Fenced[] = [...fenced];
  for (const { stop, stage, at, by } of fleet.stages)
    if (stage === 'fenced' && stop.action === 'terminate' && stop.session !== undefined)
      said.push({ session: stop.session, at, by });
  return said.flatMap((stop) =>
    arrivals
      .filter((one) => one.path.includes(stop.session) && one.startedAt > stop.at)
      .map(
        (one) =>
          `I1: ${one.path.at(-1)} at ${one.worker} began a call ${(one.startedAt - stop.at).toFixed(1)} ms after ${stop.by} was told that ${stop.session} is fenced`,
      ),
  );
}

/**
 * I1: once anybody says that a pause is fenced, no turn begins under it until it is released. Only the first pause of each subject is
 * judged: what a process says of one that is over already cannot be told from what it says of the next.
 */
function begunUnderPause({ pauses, fleet }: Scene, arrivals: readonly Arrival[]): string[] {
  const faults: string[] = [];
  for (const [index, { user, from, to }] of pauses.entries()) {
    if (pauses.findIndex((one) => one.user === user) !== index) continue;
    const said = fleet.stages.filter(
      ({ stop, stage, at }) =>
        stage === 'fenced' && stop.action === 'pause' && stop.session === undefined && stop.user === user && at > from && at < to,
    );
    const first = said.toSorted((a, b) => a.at - b.at)[0];
    if (!first) continue;
    for (const one of arrivals)
      if ((user === undefined || one.user === user) && one.turnAt > first.at && one.turnAt < to)
        faults.push(
          `I1: ${one.path.at(-1)} at ${one.worker} began a turn ${(one.turnAt - first.at).toFixed(1)} ms after ${first.by} said that the pause of ${user ?? 'everything'} is fenced`,
        );
  }
  return faults;
}

/** I13: a store that has lost its data lets nobody go on for longer than a lease. */
function begunWithoutData({ redis }: Scene, arrivals: readonly Arrival[]): string[] {
  const emptiedAt = redis?.emptiedAt;
  if (emptiedAt === undefined) return [];
  return arrivals
    .filter((one) => one.startedAt > emptiedAt + leaseMs)
    .map(
      (one) =>
        `I13: ${one.path.at(-1)} at ${one.worker} began a call ${(one.startedAt - emptiedAt).toFixed(0)} ms after the store had lost its data`,
    );
}

/**
 * What a fence over Redis takes beyond the lease that it may have to wait for: a tenth of that, for clocks that do not go alike and for the asking, and what
 * a machine of two processors takes for it while a fleet starts on it. Milliseconds.
 */
const fenceSlackMs = leaseMs / 10 + 2_500;
/** After the store was away everybody connects again, a second later at the latest. Milliseconds. */
const connectWithinMs = 1_500;

/** I11: a stop that is durable is fenced within a lease, whoever is frozen, cut off or dead; but for when nobody could be asked. */
function slowFences({ fleet, redis, outages }: Scene): string[] {
  if (!redis) return [];
  const first = (stage: 'latched' | 'fenced'): ReadonlyMap<string, number> => {
    const found = new Map<string, number>();
    for (const { stop, stage: said, at } of fleet.stages.toSorted((a, b) => a.at - b.at))
      if (said === stage && stop.action === 'terminate' && stop.session !== undefined && !found.has(stop.session))
        found.set(stop.session, at);
    return found;
  };
  const fenced = first('fenced');
  return [...first('latched')].flatMap(([session, latchedAt]) => {
    const at = fenced.get(session);
    if (at === undefined || outages.some(({ from, to }) => from < at && to + connectWithinMs > latchedAt)) return [];
    const tookMs = at - latchedAt;
    return tookMs > leaseMs + fenceSlackMs
      ? [`I11: the stop of ${session} was fenced ${tookMs.toFixed(0)} ms after it was durable, with leases of ${leaseMs} ms`]
      : [];
  });
}

/** S6, I7: who was terminated does not complete, and nobody else is terminated; nothing fails. */
function wrongEnds({ fenced, doomed, fleet }: Scene): string[] {
  const faults: string[] = [];
  const inForce = [...fenced];
  for (const { stop, at, by } of fleet.stages)
    if (stop.action === 'terminate' && stop.session !== undefined) inForce.push({ session: stop.session, at, by });
  for (const [session, ends] of fleet.ends)
    for (const { status, path, worker, at } of ends) {
      // It may have completed in the moment before, and somebody else be told first.
      const stop = inForce.find((one) => path.includes(one.session) && at > one.at + toldWithinMs);
      if (status === 'completed' && stop)
        faults.push(
          `S6: ${session} completed at ${worker} ${(at - stop.at).toFixed(0)} ms after the stop of ${stop.session} was in force at ${stop.by}`,
        );
      if (status === 'terminated' && !path.some((id) => doomed.has(id)))
        faults.push(`I7: ${session} was terminated at ${worker}, and nobody asked for that`);
      if (status === 'failed') faults.push(`${session} failed at ${worker}: ${fleet.failures.get(session) ?? 'nobody said why'}`);
    }
  return faults;
}

/** How long a stop that was left half-done gets to be carried on once everything has healed: as long as that. Milliseconds. */
const carriedOnWithinMs = 20_000;

/** I5, S10: a stop that was durable when its process died is carried on by another, to its end, and the receipt says so. */
export function judgeReceipts({ fleet, fenced }: Scene): Promise<readonly string[]> {
  const latched = new Set([
    ...fenced.map(({ session }) => session),
    ...fleet.stages.flatMap(({ stop }) => (stop.action === 'terminate' && stop.session !== undefined ? [stop.session] : [])),
  ]);
  return leftAfter(carriedOnWithinMs, async () => {
    const worker = fleet.living[0];
    const receipts = worker === undefined ? undefined : await fleet.receipts(worker);
    return [...latched].flatMap((session) => {
      const own = receipts?.filter((one) => one.session === session) ?? [];
      if (own.length === 0) return [`I5: nobody has a receipt of the stop of ${session}, which was durable`];
      return own.flatMap(({ stages, unconfirmed, residue }) => {
        if (!stages.includes('done'))
          return [`I5: the stop of ${session} was never carried on beyond: ${stages.join(', ')} (${residue.join('; ')})`];
        return unconfirmed.map(
          (one) => `S10: the stop of ${session} is done, and its receipt does not know what became of ${one}`,
        );
      });
    });
  });
}

/** In the middle of the call: by the nemesis, or by a machine that had so much else to do that the lease may have run out meanwhile: a process renews it every third. */
function wasHeldUp(fleet: Fleet, { worker, startedAt, enteredAt = startedAt, at }: Arrival): boolean {
  const freezes = fleet.workers.find((one) => one.name === worker)?.freezes ?? [];
  return at - startedAt > leaseLeftMs || freezes.some((froze) => enteredAt <= froze && froze <= at);
}
