// inspect.ts: whether each declared switch is wired to something that would stop somebody (S13).

import type { Finding, Inspection, SwitchFlag } from '@offswitch/core';
import { isKnownStrategy, isOnForAll, isOnForNobody, isOpenToAnybody, namedBy, shareOf } from '../shape.ts';
import { featuresPath, type Place, type StoredStrategy } from './flag-place.ts';

/** Tag that provisioning leaves on what it made, of Unleash's built-in type `simple`; and the one that says that on means running. */
export const tags = { ours: 'offswitch', inverted: 'offswitch-on-means-running' } as const;

/** Types whose flags Unleash expects to go away again (unleash-server 7.5.1: kill-switch and permission are permanent). */
const temporaryTypes = new Set(['release', 'experiment', 'operational']);
const always = ['appName', 'currentTime'];
const fieldsOfTier: Readonly<Record<SwitchFlag['tier'], readonly string[]>> = {
  global: always,
  feature: ['workflow', ...always],
  user: ['userId', ...always],
  instance: ['sessionId', 'conversationId', 'userId', 'workflow', ...always],
};

export interface StoredFeature {
  readonly type?: string;
  readonly stale?: boolean;
  readonly dependencies?: readonly unknown[];
  readonly environments: readonly {
    readonly name: string;
    readonly enabled: boolean;
    readonly strategies: readonly StoredStrategy[];
  }[];
}

/** The flag as a whole; `undefined` where there is none, or it is archived. */
export async function readFeature(place: Place, key: string): Promise<StoredFeature | undefined> {
  const answer = await place.api.request('GET', `${featuresPath(place)}/${encodeURIComponent(key)}`);
  return answer.status === 200 ? (answer.body as StoredFeature) : undefined;
}

export async function isArchived(place: Place, key: string): Promise<boolean> {
  const query = new URLSearchParams({ archived: 'IS:true', project: `IS:${place.project}`, query: key, limit: '100' });
  const answer = await place.api.request('GET', `/api/admin/search/features?${query}`);
  const { features } = (answer.body ?? {}) as { features?: readonly { name?: unknown }[] };
  return features?.some((one) => one.name === key) === true;
}

export async function inspectFlag(
  place: Place,
  flag: SwitchFlag,
  isEnded: ((id: string) => boolean) | undefined,
): Promise<Inspection> {
  const findings: Finding[] = [];
  const error = (code: string, message: string): void => void findings.push({ code, severity: 'error', message });
  const warning = (code: string, message: string): void => void findings.push({ code, severity: 'warning', message });
  const nothing = (): Inspection => ({ key: flag.key, flag, engaged: 'unknown', targets: [], findings });
  const name = JSON.stringify(flag.key);

  const feature = await readFeature(place, flag.key);
  if (!feature) {
    if (await isArchived(place, flag.key))
      error('archived', `${name} is archived, so it stops nobody; revive it, and turn its environment on again`);
    else error('missing', `there is no flag ${name} in project ${place.project}; provision it`);
    return nothing();
  }
  const here = feature.environments.find((one) => one.name === place.environment);
  if (!here) {
    error('environment-missing', `${name} has no environment ${place.environment}; check the name, or add it to the project`);
    return nothing();
  }
  if (feature.type !== undefined && temporaryTypes.has(feature.type))
    warning('temporary', `${name} is of type ${feature.type}, which Unleash expects to be removed; make its type kill-switch`);
  if (feature.stale === true) warning('marked-stale', `${name} is marked stale, so somebody may clean it up; take the mark off`);
  if ((feature.dependencies?.length ?? 0) > 0)
    error('prerequisite', `${name} depends on another flag, which can keep it from stopping anybody; remove the dependency`);
  const listed = await place.api.request('GET', `/api/admin/features/${encodeURIComponent(flag.key)}/tags`);
  const given = (listed.body as { tags?: readonly { value?: unknown }[] } | null)?.tags?.map((one) => one.value) ?? [];
  if (given.includes(tags.inverted) === flag.engagedWhen && given.includes(tags.ours))
    error(
      'inverted-polarity',
      `${name} was provisioned to mean ${flag.engagedWhen ? 'running' : 'stopped'} when it is on, and is declared with engagedWhen: ${flag.engagedWhen}`,
    );

  const { enabled } = here;
  const active = here.strategies.filter((one) => one.disabled !== true);
  if (active.some((one) => (one.variants?.length ?? 0) > 0))
    error('wrong-type', `${name} has variants, and a switch is on or off; take them out`);
  if (active.length >= place.strategyLimit * 0.8)
    warning(
      'limit-near',
      `${name} holds ${active.length} of ${place.strategyLimit} strategies, and each stop is one; release ended ones or raise UNLEASH_FEATURE_ENVIRONMENT_STRATEGIES_LIMIT`,
    );
  for (const one of active) {
    const why = neverMatches(flag, one);
    if (why !== undefined) warning('rule-never-matches', `a strategy of ${name}${one.title ? ` (${one.title})` : ''} ${why}`);
  }
  switch (flag.tier) {
    case 'global':
    case 'feature': {
      const isOn = enabled && isOnForAll(active);
      const isOff = !enabled || isOnForNobody(active);
      if (!isOn && !isOff)
        error(
          'partly-on',
          `${name} is on, but for whom cannot be told; use one strategy at 100 % without constraints, or turn the environment off`,
        );
      const engaged = isOn === isOff ? 'unknown' : (flag.engagedWhen ? isOn : isOff) ? 'everybody' : 'nobody';
      return { key: flag.key, flag, engaged, targets: [], findings };
    }
    case 'user':
    case 'instance': {
      if (!flag.engagedWhen)
        error(
          'inverted-polarity',
          `${name} is declared with engagedWhen: false, and Unleash names people by turning a flag on for them`,
        );
      if (!enabled)
        error(
          'environment-off',
          `${name} is off in ${place.environment}, so it stops nobody; add a strategy at 0 % and turn it on`,
        );
      const isOpen = enabled && isOpenToAnybody(active);
      if (isOpen)
        error(
          'untargeted',
          `${name} is on for everybody, so it stops nobody (untargeted); take the strategy without constraints out`,
        );
      const named = active.flatMap((one) => namedBy(one) ?? []);
      const targets = [...new Set(named.flatMap((one) => one.ids))];
      const ended = isEnded
        ? [...new Set(named.filter((one) => one.field === 'sessionId').flatMap((one) => one.ids))].filter(isEnded)
        : [];
      if (ended.length > 0)
        warning(
          'stale-targets',
          `${name} names ${ended.length} sessions that have ended (${ended.slice(0, 5).join(', ')}${ended.length > 5 ? ', ...' : ''}); release them`,
        );
      const engaged = isOpen ? 'everybody' : !enabled ? 'nobody' : targets.length > 0 ? 'targets' : 'nobody';
      return { key: flag.key, flag, engaged, targets, findings };
    }
  }
}

function neverMatches(flag: SwitchFlag, one: StoredStrategy): string | undefined {
  if (!isKnownStrategy(one.name)) return `is of the kind ${JSON.stringify(one.name)}, which no standard client evaluates`;
  if (shareOf(one) === 'nobody') return undefined;
  for (const { contextName, values } of one.constraints ?? []) {
    if (!fieldsOfTier[flag.tier].includes(contextName))
      return `asks for ${JSON.stringify(contextName)}, which a ${flag.tier} switch is not read with (it is read with ${fieldsOfTier[flag.tier].join(', ')})`;
    if (Array.isArray(values) && values.length > 0 && values.every((value) => String(value).trim() === ''))
      return 'lists only blanks';
  }
  return undefined;
}
