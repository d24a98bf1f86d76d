// read.ts: one switch for one subject, as a reading. The vendor's evaluator says on or off; whether off is a release, and on a
// stop, is decided by what the flag looks like.

import { type Origin, type Position, type Reading, type Subject, type SwitchFlag, unknown } from '@offswitch/core';
import type { Context } from 'unleash-client';
import type { Flag, FlagData } from './flag-data.ts';
import {
  type Constraint,
  dependsOnReader,
  doubtAbout,
  isKnownStrategy,
  isOnForAll,
  isOnForNobody,
  isOpenToAnybody,
  namedBy,
  type Strategy,
  words,
} from './shape.ts';

export interface ReadInput {
  readonly data: FlagData;
  readonly evaluate: (key: string, context: Context) => boolean;
  /** Names of strategies that the application brought along. */
  readonly custom: ReadonlySet<string>;
  readonly origin: Origin;
  readonly position: Position;
  /** Where this is read from, for people. */
  readonly location: string;
}

/** A subject nobody is: a scoped switch that is on for it is on for everybody (S11). */
const canary = 'offswitch-canary-5f0c2a61-5f5e-4d0b-9f0a-7d1c3b9e8a42';

/** What a switch's strategies can see of a subject. Anything that is no string is nobody's id. */
export function contextOf(subject: Subject): Context {
  const { userId, sessionId, conversationId, workflow } = (subject ?? {}) as Partial<Record<keyof Subject, unknown>>;
  return {
    ...(typeof userId === 'string' ? { userId } : {}),
    ...(typeof sessionId === 'string' ? { sessionId } : {}),
    properties: {
      ...(typeof conversationId === 'string' ? { conversationId } : {}),
      ...(typeof workflow === 'string' ? { workflow } : {}),
    },
  };
}

export function readSwitch(input: ReadInput, flag: SwitchFlag, subject: Subject): Reading {
  const { data, location, origin, position } = input;
  const name = JSON.stringify(flag.key);
  const found = data.flags.get(flag.key);
  if (!found)
    return unknown(
      'not-found',
      `${location} sends no flag ${name}: it does not exist, is archived, or is in a project or environment this token does not read`,
    );
  const facts = factsOf(input, found);
  if (typeof facts === 'string') return unknown('wrong-type', `flag ${name}: ${facts}`);
  const isScoped = flag.tier === 'user' || flag.tier === 'instance';
  return isScoped
    ? readScoped(input, flag, subject, found, facts)
    : readWide(input, flag, subject, found, facts, { origin, position });
}

interface Facts {
  readonly enabled: boolean;
  readonly strategies: readonly Strategy[];
  readonly doubt: string | undefined;
  /** Engaged, as far as this polarity goes, for a subject nobody is. Filled when first asked. */
  readonly canary: Map<boolean, boolean>;
  /** Every id that a strategy names, by field, where all strategies do nothing but name ids; the others are `undefined`. */
  readonly named: ReadonlyMap<string, ReadonlySet<string>> | undefined;
}

// Once for each flag of each data set: a flag's object is made anew with every answer.
const known = new WeakMap<Flag, Facts | string>();

/** The facts of a flag, or why it is no switch. */
function factsOf(input: ReadInput, found: Flag): Facts | string {
  let facts = known.get(found);
  if (facts === undefined) {
    facts = lookAt(input, found);
    known.set(found, facts);
  }
  return facts;
}

function lookAt({ data, custom }: ReadInput, found: Flag): Facts | string {
  const { enabled, strategies } = found;
  if (typeof enabled !== 'boolean') return `"enabled" is ${typeof enabled}, and a switch is true or false`;
  if (!Array.isArray(strategies) || !strategies.every((one: unknown) => typeof one === 'object' && one !== null))
    return 'its strategies are no list of strategies';
  const list = strategies as readonly Strategy[];
  if ((found.variants?.length ?? 0) > 0 || list.some((one) => (one.variants?.length ?? 0) > 0))
    return 'it has variants, and a switch is on or off; take them out';
  const parents = found.dependencies?.length ?? 0;
  const doubt =
    doubtAbout(
      list,
      (name) => isKnownStrategy(name) || custom.has(name),
      (id) => data.segments.has(id),
    ) ?? (parents > 0 ? 'it depends on another flag; remove the dependency' : undefined);
  return { enabled, strategies: list, doubt, canary: new Map(), named: namedIds(list) };
}

function namedIds(strategies: readonly Strategy[]): Map<string, Set<string>> | undefined {
  const ids = new Map<string, Set<string>>();
  for (const one of strategies) {
    if (isOnForNobody([one])) continue;
    const named = namedBy(one);
    if (!named || one.constraints?.[0]?.caseInsensitive === true) return undefined;
    const set = ids.get(named.field) ?? new Set();
    for (const id of named.ids) set.add(id);
    ids.set(named.field, set);
  }
  return ids;
}

/** Global and workflow switches: on or off for all, and nothing in between. */
function readWide(
  input: ReadInput,
  flag: SwitchFlag,
  subject: Subject,
  found: Flag,
  facts: Facts,
  taken: Pick<ReadInput, 'origin' | 'position'>,
): Reading {
  const value = input.evaluate(flag.key, contextOf(subject));
  const isOn = facts.enabled && isOnForAll(facts.strategies);
  const isOff = !facts.enabled || isOnForNobody(facts.strategies);
  // Stopping needs either; releasing needs that nothing else could have been meant.
  const isEngaged = flag.engagedWhen ? value || (isOn && !hasParent(found)) : !value || isOff;
  if (isEngaged) return { state: 'engaged', ...pick(taken), ...wordsOf(facts.strategies) };
  const isReleased = flag.engagedWhen ? isOff : isOn && value;
  if (isReleased && (facts.doubt === undefined || !facts.enabled)) return { state: 'released', ...pick(taken) };
  return unknown(
    'error',
    `flag ${JSON.stringify(flag.key)} is on, but for whom cannot be told${facts.doubt === undefined ? '' : `: ${facts.doubt}`}; ` +
      `a ${flag.tier} switch needs one strategy at 100 % without constraints, or the environment off`,
  );
}

/** User and instance switches: on for those who are named. */
function readScoped(input: ReadInput, flag: SwitchFlag, subject: Subject, found: Flag, facts: Facts): Reading {
  const { origin, position, evaluate } = input;
  const name = JSON.stringify(flag.key);
  if (!facts.enabled && flag.engagedWhen)
    return unknown(
      'error',
      `the environment of ${name} is off, so it stops nobody; turn it on, with a strategy that matches nobody (0 %) while no one is named`,
    );
  if (isUntargeted(input, flag, facts))
    return unknown(
      'untargeted',
      `flag ${name} is on for everybody, and a ${flag.tier} switch must name its targets; target it, or take the open strategy out`,
    );
  const context = contextOf(subject);
  // Naming nobody of these ids, it cannot match: the evaluator would search the whole list to say the same.
  const isNamed = !facts.named || [...facts.named].some(([field, ids]) => ids.has(fieldOf(context, field) ?? ''));
  const value = (isNamed || !flag.engagedWhen) && evaluate(flag.key, context);
  if (value === flag.engagedWhen) return { state: 'engaged', origin, position, ...wordsFor(facts, context) };
  if (facts.doubt === undefined)
    return { state: 'released', origin, position: isReadersOwn(input, facts, context) ? { series: position.series } : position };
  return unknown('error', `flag ${JSON.stringify(found.name)} cannot be read: ${facts.doubt}`);
}

/** Released here and now, and perhaps not elsewhere or a moment ago: that permits, and releases no stop (S3). */
function isReadersOwn({ data }: ReadInput, facts: Facts, context: Context): boolean {
  if (facts.named) return false;
  const constraintsOf = (id: number): readonly Constraint[] =>
    (data.segments.get(id)?.constraints ?? []) as readonly Constraint[];
  return facts.strategies.some((one) => dependsOnReader(one, constraintsOf, (field) => fieldOf(context, field)));
}

function isUntargeted({ evaluate }: ReadInput, flag: SwitchFlag, facts: Facts): boolean {
  const kept = facts.canary.get(flag.engagedWhen);
  if (kept !== undefined) return kept;
  const context = contextOf({ userId: canary, sessionId: canary, conversationId: canary });
  const isOpen = flag.engagedWhen && facts.enabled && isOpenToAnybody(facts.strategies);
  const answer = isOpen || evaluate(flag.key, context) === flag.engagedWhen;
  facts.canary.set(flag.engagedWhen, answer);
  return answer;
}

const hasParent = (found: Flag): boolean => (found.dependencies?.length ?? 0) > 0;
const pick = ({ origin, position }: Pick<ReadInput, 'origin' | 'position'>): Pick<ReadInput, 'origin' | 'position'> => ({
  origin,
  position,
});

function fieldOf(context: Context, field: string): string | undefined {
  const value = field === 'userId' || field === 'sessionId' ? context[field] : context.properties?.[field];
  return typeof value === 'string' ? value : undefined;
}

function wordsFor(facts: Facts, context: Context): { reason?: string; by?: string } {
  const matching = facts.strategies.filter((one) => {
    const named = namedBy(one);
    return named?.ids.includes(fieldOf(context, named.field) ?? '') === true;
  });
  return wordsOf(matching);
}

/** Who and why, as the control wrote them into a strategy. */
function wordsOf(strategies: readonly Strategy[]): { reason?: string; by?: string } {
  for (const { parameters } of strategies) {
    const reason = parameters?.[words.reason];
    const by = parameters?.[words.by];
    if (typeof reason === 'string') return { reason, ...(typeof by === 'string' ? { by } : {}) };
  }
  return {};
}
