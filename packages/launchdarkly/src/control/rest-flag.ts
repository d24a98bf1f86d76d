// rest-flag.ts: a flag as the REST API shows it, and what it means for a switch in one environment.

import type { SwitchFlag } from '@offswitch/core';
import { LaunchDarklyError } from '../error.ts';

export interface RestTargets {
  readonly contextKind?: string;
  readonly values: readonly string[];
  readonly variation: number;
}

export interface RestRule {
  readonly _id?: string;
  readonly clauses: readonly {
    readonly op: string;
    readonly attribute?: string;
    readonly values: readonly unknown[];
    readonly contextKind?: string;
    readonly negate?: boolean;
  }[];
  readonly variation?: number;
  readonly rollout?: unknown;
}

export interface RestConfig {
  readonly on: boolean;
  readonly version: number;
  readonly targets?: readonly RestTargets[];
  readonly contextTargets?: readonly RestTargets[];
  readonly rules?: readonly RestRule[];
  readonly prerequisites?: readonly { readonly key: string }[];
  readonly fallthrough?: {
    readonly variation?: number;
    readonly rollout?: { readonly variations?: readonly { readonly variation: number; readonly weight: number }[] };
  };
  readonly offVariation?: number;
}

export interface RestFlag {
  readonly key: string;
  readonly kind: string;
  readonly temporary: boolean;
  readonly archived: boolean;
  readonly tags?: readonly string[];
  readonly variations: readonly { readonly _id: string; readonly value: unknown }[];
  readonly environments: Readonly<Record<string, RestConfig>>;
}

export interface RestSegment {
  readonly key: string;
  readonly tags?: readonly string[];
  readonly rules?: readonly unknown[];
  /** A big segment: whom it lists is not shown. */
  readonly unbounded?: boolean;
  readonly included?: readonly string[];
  readonly includedContexts?: readonly { readonly contextKind: string; readonly values: readonly string[] }[];
}

/** One switch's flag with what is asked of it again and again. */
export interface SwitchView {
  readonly flag: SwitchFlag;
  readonly rest: RestFlag;
  readonly config: RestConfig;
  /** Index of the first variation with that value, and its id. */
  readonly engaged: { readonly index: number; readonly id: string };
  readonly released: { readonly index: number; readonly id: string };
}

/** Throws `flag_invalid` for a flag in which an order cannot mean anything. */
export function viewOf(flag: SwitchFlag, rest: RestFlag, environment: string): SwitchView {
  const config = rest.environments[environment];
  if (!config) throw invalid(flag, `the project has no environment ${JSON.stringify(environment)}`);
  if (rest.archived) throw invalid(flag, 'it is archived, so no SDK gets it; restore it in LaunchDarkly');
  if (rest.variations.some((one) => typeof one.value !== 'boolean'))
    throw invalid(
      flag,
      'a variation is no boolean; a switch is a boolean flag, so make another and give its key in the declaration',
    );
  const variation = (value: boolean): SwitchView['engaged'] => {
    const index = rest.variations.findIndex((one) => one.value === value);
    const found = rest.variations[index];
    if (!found) throw invalid(flag, `it has no variation ${value}`);
    return { index, id: found._id };
  };
  return { flag, rest, config, engaged: variation(flag.engagedWhen), released: variation(!flag.engagedWhen) };
}

function invalid(flag: SwitchFlag, why: string): LaunchDarklyError {
  return new LaunchDarklyError('flag_invalid', `flag ${flag.key}: ${why}`);
}

/** The variation for whoever no target or rule names; undefined: none, or a percentage. */
export function everybodyGets(config: RestConfig): number | undefined {
  return config.on ? config.fallthrough?.variation : config.offVariation;
}

/** Everything by which somebody may get another variation than everybody: it matters only while the flag is on. */
export function exceptions(view: SwitchView, wanted: number): readonly string[] {
  const { config } = view;
  if (!config.on) return [];
  const lists = [...(config.targets ?? []), ...(config.contextTargets ?? [])];
  return [
    ...(lists.some((one) => one.variation !== wanted && one.values.length > 0) ? ['individual targets'] : []),
    ...((config.rules ?? []).some((one) => one.variation !== wanted) ? ['rules'] : []),
    ...((config.prerequisites ?? []).length > 0 && config.offVariation !== wanted ? ['a prerequisite'] : []),
  ];
}

/** Individual targets of one kind in one variation. Users may stand in either list. */
export function targetsOf(config: RestConfig, contextKind: string, variation: number): readonly string[] {
  return [...(config.targets ?? []), ...(config.contextTargets ?? [])]
    .filter((one) => (one.contextKind ?? 'user') === contextKind && one.variation === variation)
    .flatMap((one) => one.values);
}

/** The segment through which this flag engages its targets: a rule that asks for nothing but membership. */
export function segmentOf(view: SwitchView): string | undefined {
  for (const rule of view.config.rules ?? []) {
    const [clause, ...more] = rule.clauses;
    if (rule.variation !== view.engaged.index || more.length > 0 || clause?.op !== 'segmentMatch' || clause.negate === true)
      continue;
    const [key] = clause.values;
    if (typeof key === 'string') return key;
  }
  return undefined;
}

export function membersOf(segment: RestSegment, contextKind: string): readonly string[] {
  return [
    ...(contextKind === 'user' ? (segment.included ?? []) : []),
    ...(segment.includedContexts ?? []).filter((one) => one.contextKind === contextKind).flatMap((one) => one.values),
  ];
}
