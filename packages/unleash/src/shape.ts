// shape.ts: what can be told of a flag by looking at it: whom it could be on for, and what the evaluator would not tell.
//
// The evaluator answers false for an operator, a strategy or a segment it does not know. For a switch that would be a
// silent release, so a flag is looked at before its answer is believed (I13). Used by the source and by the control.

/** A strategy as both APIs of Unleash give it. */
export interface Strategy {
  readonly name: string;
  readonly disabled?: boolean;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly constraints?: readonly Constraint[];
  readonly segments?: readonly number[];
  readonly variants?: readonly unknown[];
}

export interface Constraint {
  readonly contextName: string;
  readonly operator: string;
  readonly values?: readonly string[];
  readonly inverted?: boolean;
  readonly caseInsensitive?: boolean;
}

/** What share of those that its constraints let through a strategy is on for. */
export type Share = 'nobody' | 'some' | 'all';

/** The strategies of unleash-client 6.12.1, with the parameter that holds the share. `undefined`: its parameters choose people. */
const shareParameter: Readonly<Record<string, string | undefined>> = {
  default: '',
  flexibleRollout: 'rollout',
  gradualRolloutRandom: 'percentage',
  gradualRolloutSessionId: 'percentage',
  gradualRolloutUserId: 'percentage',
  userWithId: undefined,
  remoteAddress: undefined,
  applicationHostname: undefined,
};

/** Operators of unleash-client 6.12.1. One it does not know is never true for it. */
const operators = new Set([
  'IN',
  'NOT_IN',
  'STR_ENDS_WITH',
  'STR_STARTS_WITH',
  'STR_CONTAINS',
  'NUM_EQ',
  'NUM_GT',
  'NUM_GTE',
  'NUM_LT',
  'NUM_LTE',
  'DATE_AFTER',
  'DATE_BEFORE',
  'SEMVER_EQ',
  'SEMVER_GT',
  'SEMVER_LT',
  'SEMVER_GTE',
  'SEMVER_LTE',
  'REGEX',
  'IN_CIDR',
]);

export function isKnownStrategy(name: string): boolean {
  return Object.hasOwn(shareParameter, name);
}

export function shareOf(strategy: Strategy): Share {
  if (!isKnownStrategy(strategy.name)) return 'some';
  const parameter = shareParameter[strategy.name];
  if (parameter === '') return 'all';
  if (parameter === undefined) return 'some';
  const share = Number(strategy.parameters?.[parameter]);
  return share >= 100 ? 'all' : share > 0 ? 'some' : 'nobody';
}

/** True when nothing narrows the strategy down to somebody. */
export function isUnconditional(strategy: Strategy): boolean {
  return (
    (strategy.constraints?.length ?? 0) === 0 &&
    (strategy.segments?.length ?? 0) === 0 &&
    shareParameter[strategy.name] !== undefined
  );
}

/** On for a share of everybody: somebody turned it on and named nobody. No strategy at all is on for everybody, too. */
export function isOpenToAnybody(strategies: readonly Strategy[]): boolean {
  const active = strategies.filter((one) => one.disabled !== true);
  return active.length === 0 || active.some((one) => isUnconditional(one) && shareOf(one) !== 'nobody');
}

/** On for everybody, whoever asks. */
export function isOnForAll(strategies: readonly Strategy[]): boolean {
  const active = strategies.filter((one) => one.disabled !== true);
  return active.length === 0 || active.some((one) => isUnconditional(one) && shareOf(one) === 'all');
}

/** On for nobody, whoever asks, although the environment is on. */
export function isOnForNobody(strategies: readonly Strategy[]): boolean {
  const active = strategies.filter((one) => one.disabled !== true);
  return active.length > 0 && active.every((one) => shareOf(one) === 'nobody');
}

/** Why the evaluator's "not on" is no knowledge, as a clause; `undefined` where it is. */
export function doubtAbout(
  strategies: readonly Strategy[],
  knowsStrategy: (name: string) => boolean,
  knowsSegment: (id: number) => boolean,
): string | undefined {
  for (const one of strategies) {
    if (one.disabled === true) continue;
    if (!knowsStrategy(one.name)) return `its strategy ${JSON.stringify(one.name)} is not one this client evaluates`;
    const segment = one.segments?.find((id) => !knowsSegment(id));
    if (segment !== undefined) return `its segment ${segment} did not come with it`;
    const constraint = one.constraints?.find((each) => !operators.has(each.operator));
    if (constraint) return `its operator ${JSON.stringify(constraint.operator)} is not one this client evaluates`;
    if (shareOf(one) === 'some' && isKnownStrategy(one.name) && shareParameter[one.name] !== undefined)
      return 'it is rolled out to a percentage, and a switch is on or off';
  }
  return undefined;
}

/** What a reader is, and not whom it asks about: it differs from process to process, and the time from moment to moment. */
const readersOwn = new Set(['appName', 'currentTime', 'environment', 'remoteAddress']);

/**
 * Could this strategy be on for these ids in another process, or at another hour? Then its "not on" here is no release: nobody
 * has changed anything. `field` answers an id that is asked about; an application's own strategy may look at anything.
 */
export function dependsOnReader(
  strategy: Strategy,
  segmentConstraints: (id: number) => readonly Constraint[],
  field: (name: string) => string | undefined,
): boolean {
  if (strategy.disabled === true) return false;
  const all = [...(strategy.constraints ?? []), ...(strategy.segments ?? []).flatMap((id) => segmentConstraints(id))];
  const isAbout =
    !isKnownStrategy(strategy.name) ||
    strategy.name === 'applicationHostname' ||
    strategy.name === 'remoteAddress' ||
    all.some((one) => readersOwn.has(one.contextName));
  if (!isAbout) return false;
  // A list of ids that holds none of these keeps it from ever being on for them.
  return !all.some((one) => {
    if (readersOwn.has(one.contextName) || one.operator !== 'IN' || one.inverted === true || one.caseInsensitive === true)
      return false;
    const id = field(one.contextName);
    return Array.isArray(one.values) && !one.values.some((value) => typeof value === 'string' && value.trim() === id);
  });
}

/** The ids a strategy names in one field, where that is all it asks; `undefined` for any other shape. As the evaluator does, values are trimmed. */
export function namedBy(strategy: Strategy): { readonly field: string; readonly ids: readonly string[] } | undefined {
  const [constraint, ...more] = strategy.constraints ?? [];
  if (!constraint || more.length > 0 || (strategy.segments?.length ?? 0) > 0) return undefined;
  if (constraint.operator !== 'IN' || constraint.inverted === true || !Array.isArray(constraint.values)) return undefined;
  if (shareParameter[strategy.name] === undefined) return undefined;
  const values = constraint.values as readonly unknown[];
  if (!values.every((value) => typeof value === 'string')) return undefined;
  return {
    field: constraint.contextName,
    ids: (values as readonly string[]).map((value) => value.trim()).filter((value) => value !== ''),
  };
}

/** Where the control writes down who stopped and why: a strategy's parameters reach clients, its title does not (unleash-server 7.5.1). */
export const words = { reason: 'offswitch.reason', by: 'offswitch.by' } as const;
