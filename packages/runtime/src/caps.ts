// caps.ts: which caps a session spends of: its graph's, and those of every user and workflow on its path. All of them at once,
// and the tightest decides.
//
// | cap       | declared                     | over                                        | reached, it pauses       |
// |-----------|------------------------------|---------------------------------------------|--------------------------|
// | graph     | `breakers[workflow].costMicros` of the root's workflow | one graph, in every process | the root              |
// | user      | `caps.user[id]`, `*` for the rest     | everything of a user, until it is raised | the user's sessions |
// | workflow  | `caps.workflow[name]`, `*` for the rest | everything of a workflow, until it is raised | its sessions   |
//
// A release names how much more is allowed and so raises the cap for good, in every process.

import { isEngaged } from '@offswitch/core';
import { thresholdsFor } from './breakers.ts';
import { RuntimeError } from './error.ts';
import type { Node } from './node.ts';
import { type StopKey, subjectKey } from './stop-key.ts';
import type { World } from './world.ts';

/** Integer millionths of the currency of `usageOf`, over all graphs and processes that share the store. */
export interface Caps<Workflow extends string = string> {
  /** By user id; `*` for each user that is not named. */
  readonly user?: Readonly<Record<string, number>>;
  /** By workflow; `*` for each that is not named. */
  readonly workflow?: Partial<Readonly<Record<Workflow | '*', number>>>;
}

/** Checks the caps at the edge. Throws `invalid_option`. */
export function checkCaps(caps: Caps, workflows: readonly string[], keepsBudgets: boolean): void {
  for (const [kind, table] of Object.entries(caps)) {
    if (kind !== 'user' && kind !== 'workflow')
      throw new RuntimeError('invalid_option', `caps: ${JSON.stringify(kind)} is no cap; there are user and workflow`);
    for (const [name, micros] of Object.entries((table ?? {}) as Readonly<Record<string, unknown>>)) {
      if (kind === 'workflow' && name !== '*' && !workflows.includes(name))
        throw new RuntimeError('invalid_option', `caps: workflow ${JSON.stringify(name)} is not declared`);
      if (!(Number.isSafeInteger(micros) && (micros as number) > 0))
        throw new RuntimeError('invalid_option', `caps: ${kind}.${name} must be a positive integer, got ${String(micros)}`);
      if (!keepsBudgets)
        throw new RuntimeError('invalid_option', 'caps: this store keeps no budgets, so nothing would be held to them');
    }
  }
}

type Tier = 'instance' | 'user' | 'feature';
const names = { instance: 'graph', user: 'user', feature: 'feature' } as const;

/** One cap that applies to a session, whatever its height is now. */
export interface Cap {
  /** In the store of budgets. */
  readonly key: string;
  readonly tier: Tier;
  /** In clear: the root's id, the user's, the workflow. */
  readonly subject: string;
  /** As it was declared; releases allow more. */
  readonly micros: number;
}

/** The declared cap of one user or workflow. */
export function declaredCap(caps: Caps, tier: 'user' | 'feature', subject: string): number | undefined {
  const table = (tier === 'user' ? caps.user : caps.workflow) as Readonly<Record<string, number>> | undefined;
  if (!table) return undefined;
  return Object.hasOwn(table, subject) ? table[subject] : table['*'];
}

/** Narrowest first: the graph's, then those of the path, from the session up. */
export function capsOn(world: World, node: Node): readonly Cap[] {
  const { caps, breakers } = world.options;
  const found = new Map<string, Cap>();
  const add = (tier: Tier, subject: string | undefined, micros: number | undefined): void => {
    if (subject === undefined || micros === undefined) return;
    const key = capKey(tier, subject);
    if (!found.has(key)) found.set(key, { key, tier, subject, micros });
  };
  const root = rootOf(node);
  add('instance', root.id, thresholdsFor(breakers, root.workflow ?? '*').costMicros);
  for (const { userId } of upwards(node)) if (userId !== undefined) add('user', userId, declaredCap(caps, 'user', userId));
  for (const { workflow } of upwards(node))
    if (workflow !== undefined) add('feature', workflow, declaredCap(caps, 'feature', workflow));
  return [...found.values()];
}

/** Every key that a cap on this path could have, declared or not. */
export function capKeysOn(node: Node): ReadonlySet<string> {
  const keys = new Set([capKey('instance', rootOf(node).id)]);
  for (const { userId, workflow } of upwards(node)) {
    if (userId !== undefined) keys.add(capKey('user', userId));
    if (workflow !== undefined) keys.add(capKey('feature', workflow));
  }
  return keys;
}

/** What it allows now. */
export function heightOf(world: World, { tier, subject, micros }: Cap): number {
  return micros + world.kernel.stops.allowed(subjectKey(subject), 'cost', micros, tier);
}

/** `value`: what would be spent or reserved with the call that does not fit. `nextMicros`: what of it that call may cost. */
export interface Reached {
  readonly value: number;
  readonly nextMicros: number;
}

/** In micros, as the cap was declared and as a release names what more is allowed; lists show dollars. */
export function overCap(value: number, nextMicros: number, limit: number, of: string): string {
  return `breaker cost: ${value - nextMicros} micros are spent or reserved and the next call may cost ${nextMicros}, over the cap of ${limit} for ${of} (1000000 micros are $1)`;
}

/**
 * Latches the pause, unless it is in force. Its name counts how often this cap was reached, so that processes that see it at the
 * same time make one stop, and one release is enough.
 */
export function reachCap(world: World, cap: Cap, session: string, { value, nextMicros }: Reached): void {
  const { stops } = world.kernel;
  const subject = subjectKey(cap.subject);
  const trips = stops.trips(subject, 'cost', cap.tier);
  if (trips.some(({ marks }) => isEngaged(marks))) return;
  const limit = heightOf(world, cap);
  const key: StopKey = {
    kind: 'act',
    cause: 'breaker',
    breaker: 'cost',
    action: 'pause',
    tier: cap.tier,
    subject,
    id: `cap-${trips.length + 1}`,
  };
  const of = cap.tier === 'instance' ? 'this graph' : `${cap.tier === 'user' ? 'user' : 'workflow'} ${cap.subject}`;
  stops.act(key, {
    reason: overCap(value, nextMicros, limit, of),
    by: 'breaker',
    at: world.clock.now(),
    subject: cap.subject,
  });
  world.emit({ type: 'breaker', session, breaker: 'cost', value, limit, tripped: true });
}

function capKey(tier: Tier, subject: string): string {
  return `${names[tier]}.${subjectKey(subject)}`;
}

function rootOf(node: Node): Node {
  let root = node;
  while (root.parent) root = root.parent;
  return root;
}

/** Whoever a detached session left is still above it, as it is for switches (S2). */
function* upwards(node: Node): Generator<Node> {
  for (let at: Node | undefined = node; at; at = at.parent ?? at.detachedFrom) yield at;
}
