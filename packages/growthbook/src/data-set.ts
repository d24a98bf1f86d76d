// data-set.ts: one payload under the vendor's own evaluator.
//
// The SDK's client gets the payload through `initSync` and no client key, so that it fetches nothing, streams nothing and touches
// none of the state that all clients of a process share. A new payload is a new client: nothing is ever half replaced.

import { type ClientOptions, type FeatureResult, GrowthBookClient } from '@growthbook/growthbook';
import { type Reading, type Subject, type SwitchFlag, unknown } from '@offswitch/core';
import { type Features, isObject, type Payload } from './payload.ts';

export type Attributes = Readonly<Record<string, unknown>>;

export interface DataSet {
  readonly n: number;
  readonly features: Features;
  readonly payload: Payload;
  /** The canary feature is there and true: the payload is whole, and of the environment that was provisioned. */
  readonly hasCanary: boolean;
  /** Says of one switch what the data say; whether they can be believed is the source's business. */
  says(flag: SwitchFlag, subject: Subject): 'engaged' | 'released' | Extract<Reading, { state: 'unknown' }>;
  /** For the application's own flags. `undefined`: there is no such feature. Throws where the SDK throws. */
  evaluate(key: string, attributes: Attributes): FeatureResult | undefined;
}

/** A subject nobody is, for a scoped switch that is on for everybody (S11). */
const nobody = 'offswitch-canary-of-the-source';

export function dataSet(payload: Payload, canaryKey: string, application: ClientOptions | undefined): DataSet {
  const { features } = payload;
  const client = new GrowthBookClient().initSync({ payload: payload.forSdk });
  let ofApplication: GrowthBookClient | undefined;
  const untargeted = new Map<string, boolean>();

  const evaluated = (
    flag: SwitchFlag,
    attributes: Attributes,
  ): 'engaged' | 'released' | Extract<Reading, { state: 'unknown' }> => {
    const { value, source } = client.evalFeature<unknown, string>(flag.key, { attributes });
    if (typeof value === 'boolean') return value === flag.engagedWhen ? 'engaged' : 'released';
    const { key } = flag;
    switch (source) {
      case 'prerequisite':
        return cannotTell('error', `${key}: a prerequisite is not met, so it has no value; take the prerequisite away`);
      case 'cyclicPrerequisite':
        return cannotTell('error', `${key}: its prerequisites go round in a circle; take one away`);
      case 'unknownFeature':
      case 'defaultValue':
      case 'force':
      case 'override':
      case 'experiment':
        return cannotTell('wrong-type', `${key} is ${value === null ? 'null' : `a ${typeof value}`}; a switch is a boolean`);
    }
  };
  /** Engaged for a person nobody is, without any attribute but that one id. */
  const isUntargeted = (flag: SwitchFlag): boolean => {
    if (flag.tier !== 'user' && flag.tier !== 'instance') return false;
    const known = untargeted.get(flag.key);
    if (known !== undefined) return known;
    const is = evaluated(flag, attributesOf(flag.tier === 'user' ? { userId: nobody } : { sessionId: nobody })) === 'engaged';
    untargeted.set(flag.key, is);
    return is;
  };

  const groups = isObject(payload.forSdk.savedGroups) ? payload.forSdk.savedGroups : {};
  const lacking = new Map<string, string | undefined>();
  /** A saved group that the feature asks for and the payload has not: to the SDK it is an empty list, which releases everybody in it. */
  const lackingGroup = (key: string): string | undefined => {
    if (!lacking.has(key))
      lacking.set(
        key,
        groupsIn(features[key]?.rules).find((id) => !Object.hasOwn(groups, id) || !isGroup(groups[id])),
      );
    return lacking.get(key);
  };

  return {
    n: payload.n,
    features,
    payload,
    hasCanary: Object.hasOwn(features, canaryKey) && client.evalFeature(canaryKey, { attributes: {} }).value === true,
    says(flag, subject) {
      // The SDK looks a key up in a plain object, where `constructor` is found and is no feature.
      if (!Object.hasOwn(features, flag.key))
        return cannotTell(
          'not-found',
          `${flag.key} is not in the payload: no such feature, archived, or its environment is off; provision it, or enable the environment`,
        );
      const said = evaluated(flag, attributesOf(subject));
      if (said === 'engaged' && isUntargeted(flag))
        return cannotTell(
          'untargeted',
          `${flag.key} is on for everybody, so it stops nobody; take the rule without a condition away, or set its default back`,
        );
      const group = said === 'released' ? lackingGroup(flag.key) : undefined;
      if (group !== undefined)
        return cannotTell(
          'error',
          `${flag.key} asks for the saved group ${group}, which the payload has not, so nobody can tell who is in it; is it archived, or does a proxy leave savedGroups out?`,
        );
      return said;
    },
    evaluate(key, attributes) {
      if (!Object.hasOwn(features, key)) return undefined;
      ofApplication ??= new GrowthBookClient(application ? { ...application } : {}).initSync({ payload: payload.forSdk });
      return ofApplication.evalFeature<unknown, string>(key, { attributes });
    },
  };
}

const groupOperators = ['$inGroup', '$notInGroup', '$savedGroup'];

/** The ids of the saved groups that a condition, or a list of rules, asks for. */
function groupsIn(condition: unknown): string[] {
  if (Array.isArray(condition)) return condition.flatMap(groupsIn);
  if (!isObject(condition)) return [];
  return Object.entries(condition).flatMap(([operator, operand]) => {
    if (!groupOperators.includes(operator)) return groupsIn(operand);
    const id = isObject(operand) ? operand.id : operand;
    return typeof id === 'string' ? [id] : [];
  });
}

/** A list of ids, plain or with its attribute, or a condition. */
function isGroup(group: unknown): boolean {
  return Array.isArray(group) || (isObject(group) && (Array.isArray(group.values) || isObject(group.condition)));
}

type Unknown = Extract<Reading, { state: 'unknown' }>;

function cannotTell(cause: Unknown['cause'], message: string): Unknown {
  return unknown(cause, message) as Unknown;
}

/**
 * What a rule can see of a subject: `workflow`, `userId`, `sessionId`, `conversationId`, strings all, and `id`, the narrowest of
 * them, for percentage rollouts. What is no string is left out: the SDK would compare an array or a number by other rules.
 */
export function attributesOf(subject: Subject): Attributes {
  const attributes: Record<string, string> = {};
  const { workflow, userId, sessionId, conversationId } = subject ?? {};
  const id = [sessionId, userId, workflow].find((one) => typeof one === 'string');
  if (id !== undefined) attributes.id = id;
  if (typeof workflow === 'string') attributes.workflow = workflow;
  if (typeof userId === 'string') attributes.userId = userId;
  if (typeof sessionId === 'string') attributes.sessionId = sessionId;
  if (typeof conversationId === 'string') attributes.conversationId = conversationId;
  return attributes;
}

/** The features that differ, by key; `undefined` where one may change the answer of another (prerequisites, saved groups). */
export function changedKeys(before: DataSet | undefined, after: DataSet): readonly string[] | undefined {
  if (!before || !same(before.payload.forSdk.savedGroups, after.payload.forSdk.savedGroups)) return undefined;
  const keys = new Set([...Object.keys(before.features), ...Object.keys(after.features)]);
  const changed = [...keys].filter((key) => !same(before.features[key], after.features[key]));
  const hasPrerequisites = [before, after].some((set) =>
    Object.values(set.features).some(
      (feature) => Array.isArray(feature.rules) && feature.rules.some((rule) => rule?.parentConditions),
    ),
  );
  return hasPrerequisites && changed.length > 0 ? undefined : changed;
}

export function sameContent(a: DataSet, b: DataSet): boolean {
  return same(a.features, b.features) && same(a.payload.forSdk.savedGroups, b.payload.forSdk.savedGroups);
}

function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
