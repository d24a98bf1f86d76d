// model.ts: features and saved groups as the management API shows them, and which parts of them make a switch.
//
// A global or feature switch is on through a rule without a condition, or through its default value. A user or instance switch is
// on for the ids of a saved group that a rule asks for with `$inGroup`. A group named in a condition is never left out, whereas a
// rule whose saved group targeting is emptied applies to everybody (backend, `getParsedCondition`).

import type { SwitchFlag } from '@offswitch/core';

export interface Rule {
  readonly id?: string;
  readonly type: string;
  readonly value?: string;
  readonly description?: string;
  readonly condition?: string;
  readonly enabled?: boolean;
  readonly allEnvironments?: boolean;
  readonly environments?: readonly string[];
  readonly savedGroupTargeting?: readonly unknown[];
  readonly prerequisites?: readonly unknown[];
  readonly scheduleRules?: readonly unknown[];
}

export interface Feature {
  readonly id: string;
  readonly archived?: boolean;
  readonly valueType: string;
  readonly defaultValue: string;
  readonly tags?: readonly string[];
  readonly rules: readonly Rule[];
  readonly environments: Readonly<Record<string, { readonly enabled: boolean }>>;
  readonly prerequisites?: readonly unknown[];
  readonly revision?: { readonly version: number };
}

export interface Group {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly attributeKey?: string;
  readonly values?: readonly string[];
  readonly archived?: boolean;
}

/** Marks what we created; nothing else is edited by provisioning. */
export const tag = 'offswitch';

/** Kept in every group: an emptied group of an old organisation is ignored in targeting, and the rule applies to everybody. */
export const placeholder = 'offswitch:nobody';

export type TargetField = 'userId' | 'sessionId' | 'conversationId';

/** The attributes of a scoped switch, each with a saved group of its own. */
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

export function groupName(flag: SwitchFlag, field: TargetField, environment: string): string {
  return `${tag} ${flag.key} ${field} (${environment})`;
}

export function appliesTo(rule: Rule, environment: string): boolean {
  return rule.allEnvironments === true || (rule.environments ?? []).includes(environment);
}

/** A rule for everybody in the environment: no condition, no targeting, no prerequisite. */
export function isUnconditional(rule: Rule): boolean {
  const { condition, savedGroupTargeting, prerequisites } = rule;
  const hasCondition = condition !== undefined && condition !== '' && condition !== '{}';
  return rule.type === 'force' && !hasCondition && !savedGroupTargeting?.length && !prerequisites?.length;
}

/** Our rule of a global or feature switch, or one that a person made just like it. */
export function isOnRule(rule: Rule, flag: SwitchFlag, environment: string): boolean {
  return (
    isUnconditional(rule) &&
    rule.value === String(flag.engagedWhen) &&
    !rule.allEnvironments &&
    rule.environments?.length === 1 &&
    rule.environments[0] === environment
  );
}

/** The group that a rule of a scoped switch asks for, `{"userId":{"$inGroup":"grp_1"}}`. */
export function groupOf(rule: Rule, field: TargetField): string | undefined {
  if (rule.type !== 'force' || rule.condition === undefined) return undefined;
  try {
    const condition: unknown = JSON.parse(rule.condition);
    if (typeof condition !== 'object' || condition === null || Object.keys(condition).length !== 1) return undefined;
    const asked: unknown = (condition as Record<string, unknown>)[field];
    if (typeof asked !== 'object' || asked === null) return undefined;
    const group: unknown = (asked as Record<string, unknown>).$inGroup;
    return typeof group === 'string' ? group : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The rule through which the ids of a scoped switch are stopped in this environment. One for all environments is not meant: an id in
 * its group is stopped in each of them.
 */
export function targetRuleOf(
  feature: Pick<Feature, 'rules'>,
  flag: SwitchFlag,
  field: TargetField,
  environment: string,
): Rule | undefined {
  return feature.rules.find(
    (rule) =>
      rule.value === String(flag.engagedWhen) &&
      rule.environments?.includes(environment) &&
      !rule.allEnvironments &&
      groupOf(rule, field) !== undefined,
  );
}

/** A rule before this one that gives everybody in the environment the other value, so that this one is never reached. */
export function isShadowed(feature: Pick<Feature, 'rules'>, rule: Rule, environment: string): boolean {
  return feature.rules
    .slice(0, feature.rules.indexOf(rule))
    .some((one) => one.enabled !== false && appliesTo(one, environment) && isUnconditional(one) && one.value !== rule.value);
}

export function targetRule(flag: SwitchFlag, field: TargetField, group: string, environment: string): Rule {
  return {
    type: 'force',
    value: String(flag.engagedWhen),
    description: `${tag}: stops the ids of the saved group; flip it by adding and removing ids there`,
    condition: JSON.stringify({ [field]: { $inGroup: group } }),
    enabled: true,
    allEnvironments: false,
    environments: [environment],
  };
}

/** What a feature says for everybody in an environment; `undefined`: that depends on who asks, or cannot be told. */
export function valueForEverybody(feature: Pick<Feature, 'rules' | 'defaultValue'>, environment: string): string | undefined {
  const reachable = new Set<string | undefined>();
  for (const rule of feature.rules) {
    if (rule.enabled === false || !appliesTo(rule, environment)) continue;
    reachable.add(rule.type === 'force' ? rule.value : undefined);
    if (isUnconditional(rule)) return reachable.size === 1 ? rule.value : undefined;
  }
  reachable.add(feature.defaultValue);
  return reachable.size === 1 ? feature.defaultValue : undefined;
}
