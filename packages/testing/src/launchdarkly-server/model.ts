// model.ts: what the scripted LaunchDarkly keeps: flags and segments as its REST API shows them, and the same as its SDKs get them.
//
// One project and one environment. Fields and their meaning: LaunchDarkly REST API 20240415, "Feature flags" and "Segments".

import { randomUUID } from 'node:crypto';

export interface LdTargetList {
  readonly contextKind: string;
  readonly values: readonly string[];
  readonly variation: number;
}

export interface LdClause {
  readonly attribute: string;
  readonly op: string;
  readonly values: readonly unknown[];
  readonly contextKind?: string;
  readonly negate?: boolean;
}

export interface LdRule {
  readonly _id: string;
  readonly clauses: readonly LdClause[];
  readonly variation: number;
}

export interface LdFallthrough {
  readonly variation?: number;
  /** Weights are thousandths of a percent: 100000 is everybody. */
  readonly rollout?: { readonly contextKind?: string; readonly variations: readonly { variation: number; weight: number }[] };
}

/** A flag's settings in the one environment there is. */
export interface LdFlagConfig {
  readonly on: boolean;
  readonly version: number;
  readonly salt: string;
  readonly targets: readonly LdTargetList[];
  readonly contextTargets: readonly LdTargetList[];
  readonly rules: readonly LdRule[];
  readonly prerequisites: readonly { readonly key: string; readonly variation: number }[];
  readonly fallthrough: LdFallthrough;
  /** Absent: nothing is served while the flag is off. */
  readonly offVariation?: number;
}

export interface LdFlag {
  readonly key: string;
  readonly name: string;
  readonly description: string;
  readonly kind: 'boolean' | 'multivariate';
  readonly temporary: boolean;
  readonly archived: boolean;
  readonly tags: readonly string[];
  readonly creationDate: number;
  readonly _version: number;
  readonly variations: readonly { readonly _id: string; readonly value: unknown; readonly name?: string }[];
  readonly config: LdFlagConfig;
}

export interface LdSegment {
  readonly key: string;
  readonly name: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly version: number;
  readonly included: readonly string[];
  readonly excluded: readonly string[];
  readonly includedContexts: readonly { readonly contextKind: string; readonly values: readonly string[] }[];
  readonly excludedContexts: readonly { readonly contextKind: string; readonly values: readonly string[] }[];
}

/** A flag as a person would write it down; everything has the default that LaunchDarkly's form has. */
export interface LdFlagSeed {
  readonly key: string;
  readonly name?: string;
  readonly description?: string;
  readonly temporary?: boolean;
  readonly archived?: boolean;
  readonly tags?: readonly string[];
  /** Default `[true, false]`. */
  readonly variations?: readonly unknown[];
  readonly on?: boolean;
  /** Index. Default 0. */
  readonly fallthrough?: number | LdFallthrough;
  /** Index; `null`: none set. Default 1. */
  readonly offVariation?: number | null;
  readonly targets?: readonly LdTargetList[];
  readonly rules?: readonly Omit<LdRule, '_id'>[];
  readonly prerequisites?: readonly { readonly key: string; readonly variation: number }[];
}

export function flagFrom(seed: LdFlagSeed, version: number): LdFlag {
  const values = seed.variations ?? [true, false];
  const { fallthrough = 0, offVariation = 1, targets = [] } = seed;
  return {
    key: seed.key,
    name: seed.name ?? seed.key,
    description: seed.description ?? '',
    kind: values.length === 2 && values.every((one) => typeof one === 'boolean') ? 'boolean' : 'multivariate',
    temporary: seed.temporary ?? false,
    archived: seed.archived ?? false,
    tags: seed.tags ?? [],
    creationDate: Date.now(),
    _version: version,
    variations: values.map((value) => ({ _id: randomUUID(), value })),
    config: targets.reduce(
      (config, list) => withTargets(config, list.contextKind, list.variation, (before) => [...before, ...list.values]),
      {
        on: seed.on ?? false,
        version,
        salt: randomUUID(),
        targets: [],
        contextTargets: [],
        rules: (seed.rules ?? []).map((rule) => ({ ...rule, _id: randomUUID() })),
        prerequisites: seed.prerequisites ?? [],
        fallthrough: typeof fallthrough === 'number' ? { variation: fallthrough } : fallthrough,
        ...(offVariation === null ? {} : { offVariation }),
      } as LdFlagConfig,
    ),
  };
}

/** The target lists with one of them changed. Users live in `targets`, every other kind in `contextTargets`. */
export function withTargets(
  config: LdFlagConfig,
  contextKind: string,
  variation: number,
  change: (values: readonly string[]) => readonly string[],
): LdFlagConfig {
  const field = contextKind === 'user' ? 'targets' : 'contextTargets';
  const lists = config[field];
  const at = lists.findIndex((one) => one.contextKind === contextKind && one.variation === variation);
  const values = change(lists[at]?.values ?? []);
  const next = [...lists];
  if (at >= 0) next[at] = { contextKind, variation, values };
  else next.push({ contextKind, variation, values });
  return { ...config, [field]: next.filter((one) => one.values.length > 0) };
}

/** The flag as server-side SDKs get it. */
export function sdkFlag(flag: LdFlag): Record<string, unknown> {
  const { config } = flag;
  return {
    key: flag.key,
    version: config.version,
    on: config.on,
    variations: flag.variations.map((one) => one.value),
    offVariation: config.offVariation ?? null,
    fallthrough: config.fallthrough,
    targets: config.targets.map(({ values, variation }) => ({ values, variation })),
    // Where there are targets of other kinds, users are found only through an empty list of their own among them.
    contextTargets:
      config.contextTargets.length === 0
        ? []
        : [
            ...config.targets.map(({ variation }) => ({ contextKind: 'user', values: [], variation })),
            ...config.contextTargets.map(({ contextKind, values, variation }) => ({ contextKind, values, variation })),
          ],
    prerequisites: config.prerequisites,
    rules: config.rules.map(({ _id, clauses, variation }) => ({
      id: _id,
      variation,
      clauses: clauses.map((clause) => ({ negate: false, ...clause })),
      trackEvents: false,
    })),
    salt: config.salt,
    trackEvents: false,
    trackEventsFallthrough: false,
    debugEventsUntilDate: null,
    clientSide: false,
    clientSideAvailability: { usingMobileKey: false, usingEnvironmentId: false },
    deleted: false,
  };
}

export function sdkSegment(segment: LdSegment): Record<string, unknown> {
  const { key, version, included, excluded, includedContexts, excludedContexts } = segment;
  return { key, version, included, excluded, includedContexts, excludedContexts, rules: [], salt: key, deleted: false };
}

/** The flag as the REST API shows it. */
export function restFlag(flag: LdFlag, environment: string): Record<string, unknown> {
  const { config, ...rest } = flag;
  return { ...rest, environments: { [environment]: { ...config, archived: flag.archived } } };
}
