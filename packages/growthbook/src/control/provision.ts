// provision.ts: what switches need in GrowthBook: attributes, a saved group for each kind of target, a canary, and the features.
//
// First a plan, then the same plan carried out. What is there and bears our tag may get a rule for one more environment; what
// somebody else made is never edited.

import type { KillSwitches, Plan, PlanStep, SwitchFlag } from '@offswitch/core';
import { type Api, memberOf } from './api.ts';
import { type Feature, fieldsOf, type Group, groupName, placeholder, type Rule, tag, targetRule, targetRuleOf } from './model.ts';
import type { ControlSettings } from './options.ts';

interface Step extends PlanStep {
  /** Carries it out; group ids are known by then. */
  readonly make?: (groups: Map<string, string>) => Promise<void>;
}

export async function provision(api: Api, settings: ControlSettings, switches: KillSwitches, apply: boolean): Promise<Plan> {
  const features = new Map(((await api.list('/v2/features', 'features')) as Feature[]).map((one) => [one.id, one]));
  const groups = new Map(((await api.list('/v1/saved-groups', 'savedGroups')) as Group[]).map((one) => [one.name, one]));
  const { attributes } = await api.get('/v1/attributes');
  const known = new Set((Array.isArray(attributes) ? attributes : []).map((one: { property?: unknown }) => one.property));
  const fields = [...new Set(['workflow' as const, ...switches.flags.flatMap(fieldsOf)])];

  const steps: Step[] = [
    ...fields.map((field): Step => attributeStep(api, field, known.has(field))),
    canaryStep(api, settings, features.get(settings.canaryKey)),
    ...switches.flags.flatMap((flag) => fieldsOf(flag).map((field) => groupStep(api, settings, flag, field, groups))),
    ...switches.flags.map((flag) => featureStep(api, settings, flag, features.get(flag.key))),
  ];
  if (apply) {
    const ids = new Map([...groups].map(([name, group]) => [name, group.id]));
    for (const step of steps) await step.make?.(ids);
  }
  return { steps: steps.map(({ key, change, detail }) => ({ key, change, detail })), applied: apply };
}

function attributeStep(api: Api, field: string, isKnown: boolean): Step {
  const key = `attribute ${field}`;
  if (isKnown) return { key, change: 'keep', detail: 'it is there' };
  const make = async (): Promise<void> => {
    await api.post('/v1/attributes', {
      property: field,
      datatype: 'string',
      description: 'Offswitch: whom a kill switch is read for',
    });
  };
  return { key, change: 'create', detail: 'a targeting attribute of type string', make };
}

function canaryStep(api: Api, settings: ControlSettings, found: Feature | undefined): Step {
  const { canaryKey: key, environment } = settings;
  if (found && found.valueType === 'boolean' && found.defaultValue === 'true' && isOn(found, environment))
    return { key, change: 'keep', detail: 'it is there, true and enabled' };
  if (found && !isOurs(found))
    return {
      key,
      change: 'refuse',
      detail: `somebody else made it; it must be a boolean, true for everybody, and enabled in ${environment}`,
    };
  if (found) {
    const make = async (): Promise<void> => {
      await api.post(`/v2/features/${encodeURIComponent(key)}`, {
        defaultValue: 'true',
        rules: [],
        environments: { [environment]: { enabled: true } },
      });
    };
    return { key, change: 'create', detail: `true and enabled in ${environment}`, make };
  }
  const make = async (): Promise<void> => {
    await api.post('/v2/features', {
      ...common(settings),
      id: key,
      defaultValue: 'true',
      description: 'Offswitch: proves that a payload is whole and of the right environment. Always true; never turn it off.',
      rules: [],
    });
  };
  return {
    key,
    change: 'create',
    detail: `boolean feature, true, enabled in ${environment}; without it every switch reads unknown`,
    make,
  };
}

function groupStep(
  api: Api,
  settings: ControlSettings,
  flag: SwitchFlag,
  field: ReturnType<typeof fieldsOf>[number],
  groups: ReadonlyMap<string, Group>,
): Step {
  const name = groupName(flag, field, settings.environment);
  const found = groups.get(name);
  if (found?.type === 'list' && found.attributeKey === field)
    return { key: name, change: 'keep', detail: 'the saved group is there' };
  if (found)
    return {
      key: name,
      change: 'refuse',
      detail: `a saved group of this name is no ID list of ${field}; rename it in the dashboard`,
    };
  const make = async (ids: Map<string, string>): Promise<void> => {
    const answer = await api.post('/v1/saved-groups', {
      name,
      type: 'list',
      attributeKey: field,
      values: [placeholder],
      ...(settings.project === undefined ? {} : { projects: [settings.project] }),
    });
    ids.set(name, memberOf<Group>(answer, 'savedGroup').id);
  };
  return {
    key: name,
    change: 'create',
    detail: `saved group, an ID list of ${field}, with nobody in it but ${placeholder}`,
    make,
  };
}

function featureStep(api: Api, settings: ControlSettings, flag: SwitchFlag, found: Feature | undefined): Step {
  const { key } = flag;
  const { environment } = settings;
  const rules = (ids: ReadonlyMap<string, string>): Rule[] =>
    fieldsOf(flag).map((field) => targetRule(flag, field, ids.get(groupName(flag, field, environment)) ?? '', environment));
  if (!found) {
    const make = async (ids: Map<string, string>): Promise<void> => {
      await api.post('/v2/features', {
        ...common(settings),
        id: key,
        defaultValue: String(!flag.engagedWhen),
        description: `${flag.effect} May be flipped by: ${flag.authorized.join(', ')}.`,
        rules: rules(ids),
      });
    };
    const detail = `boolean feature, enabled in ${environment}, default ${!flag.engagedWhen} (released); engaged when ${flag.engagedWhen}. ${flag.effect}`;
    return { key, change: 'create', detail, make };
  }
  if (found.valueType !== 'boolean')
    return {
      key,
      change: 'refuse',
      detail: `it is of type ${found.valueType}, and a switch is a boolean; rename or delete it in the dashboard`,
    };
  if (found.archived) return { key, change: 'refuse', detail: 'it is archived; unarchive it in the dashboard, or delete it' };
  const lacking = fieldsOf(flag).filter((field) => targetRuleOf(found, flag, field, environment) === undefined);
  if (isOn(found, environment) && lacking.length === 0) return { key, change: 'keep', detail: 'it is there and can be flipped' };
  const lack = isOn(found, environment)
    ? `no rule for ${lacking.join(' and ')} in ${environment}`
    : `it is off in ${environment}`;
  if (!isOurs(found))
    return {
      key,
      change: 'refuse',
      detail: `${lack}, and somebody else made it; change that in the dashboard, or give it the tag "${tag}" and provision again`,
    };
  const make = async (ids: Map<string, string>): Promise<void> => {
    const added = rules(ids).filter((_, at) => lacking.includes(fieldsOf(flag)[at]!));
    await api.post(`/v2/features/${encodeURIComponent(key)}`, {
      ...(added.length === 0 ? {} : { rules: [...found.rules, ...added] }),
      environments: { [environment]: { enabled: true } },
    });
  };
  return { key, change: 'create', detail: `ours already, and ${lack}: that is added`, make };
}

function common(settings: ControlSettings): Record<string, unknown> {
  return {
    valueType: 'boolean',
    owner: '',
    tags: [tag],
    environments: { [settings.environment]: { enabled: true } },
    ...(settings.project === undefined ? {} : { project: settings.project }),
  };
}

function isOn(feature: Feature, environment: string): boolean {
  return !feature.archived && feature.environments[environment]?.enabled === true;
}

function isOurs(feature: Feature): boolean {
  return (feature.tags ?? []).includes(tag);
}
