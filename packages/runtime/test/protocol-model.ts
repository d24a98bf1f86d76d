// protocol-model.ts: the stop across processes as a model: a few variables, every order of every step. What the runtime and the stores do
// is held by their own tests; this holds that doing so is enough, and that leaving any of it out is not.

export interface Protocol {
  /** The child is put on record in the same step in which is looked whether it is stopped (register-or-born-stopped). */
  readonly registersAtomically: boolean;
  /** A session is judged by the path to its root, and not by a mark that somebody put on it. */
  readonly judgesByPath: boolean;
  /** The stop is latched before anybody looks for whom it finds. */
  readonly latchesFirst: boolean;
  /** The stop is acknowledged when every process has confirmed it, and not when it is on record. */
  readonly waitsForAll: boolean;
  /** A process that cannot be reached counts as one that refuses once its lease is out. */
  readonly countsOutLeases: boolean;
  /** A process looks at its lease before each call. */
  readonly checksLease: boolean;
  /** What a process counts its lease from: before it asked for it, or when it was answered. */
  readonly leaseFrom: 'asked' | 'answered';
  /** A process that was counted out hears everything that it missed before it is given another lease. */
  readonly hearsBeforeLease: boolean;
  /** The guard and the call are one step, with nothing in between. */
  readonly guardsAndCallsAtOnce: boolean;
}

export const asBuilt: Protocol = {
  registersAtomically: true,
  judgesByPath: true,
  latchesFirst: true,
  waitsForAll: true,
  countsOutLeases: true,
  checksLease: true,
  leaseFrom: 'asked',
  hearsBeforeLease: true,
  guardsAndCallsAtOnce: true,
};

/** Ticks. Two, so that a renewal may be on its way while a lease runs out. */
const leaseTicks = 2;
const lastTick = 6;

interface State {
  readonly now: number;
  /** Whoever stops has looked who is on record. */
  readonly hasLooked: boolean;
  readonly isLatched: boolean;
  readonly isAcknowledged: boolean;
  /** The other process has heard of the stop. */
  readonly knows: boolean;
  readonly hasConfirmed: boolean;
  readonly isCut: boolean;
  /** Until when the store, and the process itself, take it for alive. */
  readonly storeLease: number;
  readonly ownLease: number;
  /** When a renewal that is on its way was asked for. */
  readonly renewing: number | undefined;
  readonly parent: 'guards' | 'is about to call' | undefined;
  readonly child: 'none' | 'looked' | 'runs';
  readonly isChildMarked: boolean;
  readonly childKnown: boolean;
  /** A call began after the stop was acknowledged. */
  readonly isBroken: boolean;
}

const start: State = {
  now: 0,
  hasLooked: false,
  isLatched: false,
  isAcknowledged: false,
  knows: false,
  hasConfirmed: false,
  isCut: false,
  storeLease: leaseTicks,
  ownLease: leaseTicks,
  renewing: undefined,
  parent: undefined,
  child: 'none',
  isChildMarked: false,
  childKnown: false,
  isBroken: false,
};

function* steps(of: Protocol, at: State): Generator<readonly [name: string, next: State]> {
  if (at.now < lastTick) yield ['time passes', { ...at, now: at.now + 1 }];
  if (!at.isCut) yield ['the connection is cut', { ...at, isCut: true }];
  // The store, and whoever stops.
  // A stop that marks what it finds marks who is on record then.
  if (!of.latchesFirst && !at.hasLooked)
    yield ['it is looked who is on record', { ...at, hasLooked: true, isChildMarked: at.childKnown }];
  if (!at.isLatched && (of.latchesFirst || at.hasLooked))
    yield ['the stop is latched', { ...at, isLatched: true, isChildMarked: of.latchesFirst ? at.childKnown : at.isChildMarked }];
  if (at.isLatched && !at.isAcknowledged && mayAcknowledge(of, at))
    yield ['the stop is acknowledged', { ...at, isAcknowledged: true }];
  // The other process.
  if (at.isLatched && !at.isCut && !at.knows) yield ['it hears of the stop', { ...at, knows: true }];
  if (at.knows && !at.isCut && !at.hasConfirmed) yield ['it confirms', { ...at, hasConfirmed: true }];
  if (!at.isCut && at.renewing === undefined && at.now + leaseTicks < lastTick) {
    // (So that the last lease can run out before the model ends.)
    const hears = of.hearsBeforeLease && at.now > at.storeLease;
    const knows = at.knows || (hears && at.isLatched);
    yield ['its renewal arrives', { ...at, knows, renewing: at.now, storeLease: at.now + leaseTicks }];
  }
  if (at.renewing !== undefined)
    yield [
      'its renewal is answered',
      { ...at, renewing: undefined, ownLease: (of.leaseFrom === 'asked' ? at.renewing : at.now) + leaseTicks },
    ];
  const hasLease = !of.checksLease || at.now <= at.ownLease;
  const isParentStopped = at.knows;
  if (of.guardsAndCallsAtOnce) {
    if (hasLease && !isParentStopped) yield ['the parent calls', call(at)];
  } else {
    if (at.parent === undefined && hasLease && !isParentStopped)
      yield ['the parent passes its guard', { ...at, parent: 'is about to call' }];
    if (at.parent === 'is about to call') yield ['the parent calls', call({ ...at, parent: undefined })];
  }
  // A child, which asks the store when it begins.
  if (at.child === 'none' && !at.isCut && hasLease && !isParentStopped) {
    if (of.registersAtomically) {
      // It runs no code before it is answered, and with the answer comes every stop there is.
      yield ['a child registers', at.isLatched ? { ...at, knows: true } : { ...at, child: 'runs', childKnown: true }];
    } else if (!at.isLatched) yield ['a child looks whether it is stopped', { ...at, child: 'looked' }];
  }
  if (at.child === 'looked') yield ['the child is put on record', { ...at, child: 'runs', childKnown: true }];
  if (at.child === 'runs' && hasLease) {
    const isStopped = of.judgesByPath ? at.knows : at.isChildMarked && at.knows;
    if (!isStopped) yield ['the child calls', call(at)];
  }
}

function call(at: State): State {
  return at.isAcknowledged ? { ...at, isBroken: true } : at;
}

function mayAcknowledge(of: Protocol, at: State): boolean {
  if (!of.waitsForAll) return true;
  return at.hasConfirmed || (of.countsOutLeases && at.now > at.storeLease);
}

export interface Explored {
  readonly states: number;
  /** The shortest way to a call after the acknowledgement. */
  readonly broken: readonly string[] | undefined;
  /** Is there a way to the acknowledgement from everywhere, also with the connection cut? */
  readonly isAlwaysAcknowledged: boolean;
}

/** Every state that can be reached, breadth first. */
export function explore(of: Protocol): Explored {
  const seen = new Map<string, { readonly state: State; readonly from: string | undefined; readonly by: string }>();
  const first = JSON.stringify(start);
  seen.set(first, { state: start, from: undefined, by: '' });
  const queue = [first];
  const back = new Map<string, string[]>();
  let broken: string | undefined;
  for (let key = queue.shift(); key !== undefined; key = queue.shift()) {
    const { state } = seen.get(key)!;
    if (state.isBroken) {
      broken ??= key;
      continue;
    }
    for (const [by, next] of steps(of, state)) {
      const to = JSON.stringify(next);
      back.set(to, [...(back.get(to) ?? []), key]);
      if (seen.has(to)) continue;
      seen.set(to, { state: next, from: key, by });
      queue.push(to);
    }
  }
  return {
    states: seen.size,
    broken: broken === undefined ? undefined : wayTo(seen, broken),
    isAlwaysAcknowledged: alwaysAcknowledged(seen, back),
  };
}

function wayTo(seen: ReadonlyMap<string, { readonly from: string | undefined; readonly by: string }>, to: string): string[] {
  const way: string[] = [];
  for (let at: string | undefined = to; at !== undefined; at = seen.get(at)!.from) way.unshift(seen.get(at)!.by);
  return way.slice(1);
}

function alwaysAcknowledged(
  seen: ReadonlyMap<string, { readonly state: State }>,
  back: ReadonlyMap<string, readonly string[]>,
): boolean {
  const good = new Set([...seen].filter(([, { state }]) => state.isAcknowledged).map(([key]) => key));
  const queue = [...good];
  for (let key = queue.shift(); key !== undefined; key = queue.shift())
    for (const before of back.get(key) ?? [])
      if (!good.has(before)) {
        good.add(before);
        queue.push(before);
      }
  return [...seen].every(([key, { state }]) => state.isBroken || good.has(key));
}
