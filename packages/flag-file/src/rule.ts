// rule.ts: the one shape of targeting that our control writes, and that a person can read and edit.
//
//   user:      {"if": [{"in": [{"var": "userId"}, ["u-1", "u-2"]]}, "engaged", null]}
//   instance:  the same with sessionId, then conversationId as a second condition of the same "if".
//
// `null` as the last answer leaves it to "defaultVariant", so that a match and no match can be told apart.

import type { SwitchFlag } from '@offswitch/core';
import { isObject, type Json } from './document.ts';
import type { TargetField } from './words.ts';

export interface TargetList {
  readonly field: TargetField;
  readonly ids: readonly string[];
  /** Where the list stands inside the rule, for an edit that touches nothing else. */
  readonly path: readonly (string | number)[];
}

export type Rule =
  | { readonly kind: 'none' }
  | { readonly kind: 'lists'; readonly lists: readonly TargetList[] }
  | { readonly kind: 'hand-written' };

/** The lists a tier may have. Global and feature switches have none: their default is the switch. */
export function fieldsOf(flag: SwitchFlag): readonly TargetField[] {
  switch (flag.tier) {
    case 'global':
    case 'feature':
      return [];
    case 'user':
      return ['userId'];
    case 'instance':
      return ['sessionId', 'conversationId'];
  }
}

/** `engagedVariant`: tells whether the variant of that name means engaged. */
export function readRule(targeting: Json | undefined, flag: SwitchFlag, engagedVariant: (name: Json) => boolean): Rule {
  if (targeting === undefined || (isObject(targeting) && Object.keys(targeting).length === 0)) return { kind: 'none' };
  const steps = onlyArgument(targeting, 'if');
  if (!Array.isArray(steps) || steps.length < 2) return { kind: 'hand-written' };
  const fields = fieldsOf(flag);
  const lists: TargetList[] = [];
  for (let i = 0; i + 1 < steps.length; i += 2) {
    const args = onlyArgument(steps[i], 'in');
    if (!Array.isArray(args) || args.length !== 2 || !engagedVariant(steps[i + 1])) return { kind: 'hand-written' };
    const field = fields.find((one) => one === onlyArgument(args[0], 'var'));
    const ids: unknown = args[1];
    if (
      !field ||
      lists.some((list) => list.field === field) ||
      !Array.isArray(ids) ||
      !ids.every((id) => typeof id === 'string')
    ) {
      return { kind: 'hand-written' };
    }
    lists.push({ field, ids, path: ['if', i, 'in', 1] });
  }
  const hasElse = steps.length % 2 === 1;
  if (hasElse && steps.at(-1) !== null) return { kind: 'hand-written' };
  return { kind: 'lists', lists };
}

/** The whole rule for a set of lists. Empty lists stay, as the place where a person adds the next id. */
export function writeRule(lists: readonly Pick<TargetList, 'field' | 'ids'>[], engagedVariant: string): Json {
  return { if: [...lists.flatMap(({ field, ids }): Json[] => [{ in: [{ var: field }, [...ids]] }, engagedVariant]), null] };
}

function onlyArgument(rule: Json | undefined, operator: string): Json | undefined {
  if (!isObject(rule)) return undefined;
  const keys = Object.keys(rule);
  return keys.length === 1 && keys[0] === operator ? rule[operator] : undefined;
}
