// inspect.ts: whether each declared switch is wired to something that would stop somebody (S13).

import type { Finding, Inspection, KillSwitches, SwitchFlag } from '@offswitch/core';
import type { Api } from './api.ts';
import {
  appliesTo,
  type Feature,
  fieldsOf,
  type Group,
  groupOf,
  isUnconditional,
  placeholder,
  type Rule,
  valueForEverybody,
} from './model.ts';
import type { ControlSettings } from './options.ts';

export async function inspect(api: Api, settings: ControlSettings, switches: KillSwitches): Promise<readonly Inspection[]> {
  const features = new Map(((await api.list('/v2/features', 'features')) as Feature[]).map((one) => [one.id, one]));
  const groups = new Map(((await api.list('/v1/saved-groups', 'savedGroups')) as Group[]).map((one) => [one.id, one]));
  const whole = canaryFindings(settings, features.get(settings.canaryKey));
  const inspected: Inspection[] = [];
  for (const flag of switches.flags) {
    const one = await inspectFlag(settings, flag, features.get(flag.key), groups);
    inspected.push({ ...one, findings: [...whole, ...one.findings] });
  }
  return inspected;
}

function canaryFindings(settings: ControlSettings, canary: Feature | undefined): Finding[] {
  const { canaryKey, environment } = settings;
  if (
    canary &&
    !canary.archived &&
    canary.environments[environment]?.enabled &&
    valueForEverybody(canary, environment) === 'true'
  )
    return [];
  const what = canary ? `is not true for everybody in ${environment}` : 'is not there';
  return [error('missing', `the canary feature ${canaryKey} ${what}, so every switch reads unknown; provision it`)];
}

const error = (code: string, message: string): Finding => ({ code, severity: 'error', message });
const warning = (code: string, message: string): Finding => ({ code, severity: 'warning', message });

async function inspectFlag(
  settings: ControlSettings,
  flag: SwitchFlag,
  feature: Feature | undefined,
  groups: ReadonlyMap<string, Group>,
): Promise<Inspection> {
  const { key } = flag;
  const { environment } = settings;
  const unknown = (finding: Finding): Inspection => ({ key, flag, engaged: 'unknown', targets: [], findings: [finding] });
  if (!feature) return unknown(error('missing', `GrowthBook has no feature ${key}; provision it`));
  if (feature.archived)
    return unknown(error('archived', `${key} is archived, so that no agent sees it; unarchive it in the dashboard`));
  if (feature.valueType !== 'boolean')
    return unknown(error('wrong-type', `${key} is of type ${feature.valueType}; a switch is a boolean`));
  if (feature.environments[environment]?.enabled !== true)
    return unknown(
      error('environment-off', `${key} is off in ${environment}, which reads as if it were not there; turn the environment on`),
    );

  const rules = feature.rules.filter((rule) => rule.enabled !== false && appliesTo(rule, environment));
  const findings = [...prerequisiteFindings(flag, feature, rules), ...ruleFindings(flag, rules, groups, environment)];
  const engagedValue = String(flag.engagedWhen);
  const opposite = rules.find((rule) => rule.type === 'force' && rule.value !== engagedValue);
  if (feature.defaultValue === engagedValue && opposite)
    findings.push(
      error(
        'inverted-polarity',
        `${key} is ${engagedValue} by default and a rule makes it ${opposite.value}, while ${engagedValue} means engaged; turn default and rule round, or declare engagedWhen: ${!flag.engagedWhen}`,
      ),
    );
  const everybody = valueForEverybody(feature, environment);
  const isScoped = fieldsOf(flag).length > 0;
  const isUntargeted =
    isScoped &&
    (feature.defaultValue === engagedValue || rules.some((rule) => isUnconditional(rule) && rule.value === engagedValue));
  if (isUntargeted)
    findings.push(
      error(
        'untargeted',
        `${key} is on for everybody, so it stops nobody; set its default to ${!flag.engagedWhen} and take rules without a condition away`,
      ),
    );

  const targets = isScoped ? targetsOf(flag, rules, groups) : [];
  const ended = await endedOf(settings, flag, rules, groups);
  if (ended.length > 0)
    findings.push(
      warning(
        'stale-targets',
        `${key} lists ${ended.length} sessions that are over, ${ended.slice(0, 3).join(', ')}; release them, lists are searched from front to back`,
      ),
    );
  const engaged = isScoped
    ? isUntargeted
      ? 'everybody'
      : targets.length > 0
        ? 'targets'
        : 'nobody'
    : everybody === undefined
      ? 'unknown'
      : everybody === engagedValue
        ? 'everybody'
        : 'nobody';
  return { key, flag, engaged, targets, findings };
}

function prerequisiteFindings(flag: SwitchFlag, feature: Feature, rules: readonly Rule[]): Finding[] {
  if (!feature.prerequisites?.length && !rules.some((rule) => rule.prerequisites?.length)) return [];
  return [error('prerequisite', `${flag.key} has a prerequisite, which can take its value away; remove it`)];
}

function ruleFindings(
  flag: SwitchFlag,
  rules: readonly Rule[],
  groups: ReadonlyMap<string, Group>,
  environment: string,
): Finding[] {
  const findings: Finding[] = [];
  const { key } = flag;
  const shadow = rules.findIndex(isUnconditional);
  if (shadow >= 0 && shadow < rules.length - 1)
    findings.push(warning('rule-never-matches', `${key} has rules after one without a condition; nobody ever reaches them`));
  if (rules.some((rule) => rule.scheduleRules?.length))
    findings.push(
      warning('temporary', `${key} has a rule with a schedule, which flips it when nobody looks; remove the schedule`),
    );
  for (const field of fieldsOf(flag)) {
    const id = rules.map((rule) => groupOf(rule, field)).find((one) => one !== undefined);
    const group = id === undefined ? undefined : groups.get(id);
    if (id === undefined)
      findings.push(
        warning('rule-never-matches', `${key} has no enabled rule in ${environment} for a saved group of ${field}; provision it`),
      );
    else if (!group || group.archived || group.attributeKey !== field)
      findings.push(
        error(
          'rule-never-matches',
          `the rule of ${key} asks for the saved group ${id}, which is not there, archived, or no list of ${field}`,
        ),
      );
  }
  return findings;
}

function targetsOf(flag: SwitchFlag, rules: readonly Rule[], groups: ReadonlyMap<string, Group>): string[] {
  const ids = fieldsOf(flag).flatMap((field) => rules.flatMap((rule) => valuesOf(groups, groupOf(rule, field))));
  return [...new Set(ids)];
}

async function endedOf(
  settings: ControlSettings,
  flag: SwitchFlag,
  rules: readonly Rule[],
  groups: ReadonlyMap<string, Group>,
): Promise<string[]> {
  if (flag.tier !== 'instance' || !settings.isEnded) return [];
  const ended: string[] = [];
  for (const id of new Set(rules.flatMap((rule) => valuesOf(groups, groupOf(rule, 'sessionId')))))
    if (await settings.isEnded(id)) ended.push(id);
  return ended;
}

function valuesOf(groups: ReadonlyMap<string, Group>, id: string | undefined): string[] {
  return (id === undefined ? [] : (groups.get(id)?.values ?? [])).filter((value) => value !== placeholder);
}
