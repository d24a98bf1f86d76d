// flip.ts: one flip, published and read back.
//
// GrowthBook takes the whole list of a feature's rules and has no If-Match. So the version we read and the version we wrote are
// compared: what somebody published in between is taken as the new base, and our change is made again on top of it.

import type { SwitchFlag } from '@offswitch/core';
import { GrowthBookError } from '../error.ts';
import { type Api, memberOf } from './api.ts';
import { type Asked, confirmAtSdk } from './confirm.ts';
import { type Feature, type Group, groupOf, isOnRule, isShadowed, type Rule, targetRuleOf, valueForEverybody } from './model.ts';
import type { ControlSettings } from './options.ts';
import { type Words, writeWords } from './words.ts';

/** How often a flip starts over because somebody published meanwhile, and the longest pause before it does. Milliseconds. */
const attempts = 6;
const pauseMs = 200;
const pause = (attempt: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, attempt === 0 ? 0 : Math.random() * pauseMs));

export interface Flipping extends Asked {
  readonly words: Words;
}

/** True when something was written. */
export async function flip(api: Api, settings: ControlSettings, asked: Flipping): Promise<boolean> {
  const feature = memberOf<Feature>(await api.get(featurePath(asked.flag)), 'feature');
  checkUsable(feature, asked.flag, settings.environment);
  const changed = asked.target
    ? await flipTarget(api, settings, asked, feature)
    : await flipEverybody(api, settings, asked, feature);
  await confirmAtSdk(settings, asked);
  if (settings.clientKey === undefined && asked.action === 'engage' && feature.prerequisites?.length)
    throw new GrowthBookError(
      'not_confirmed',
      `${asked.flag.key} is published, and has a prerequisite, which can take its value away; remove the prerequisite, or give the control a clientKey so that it looks at what agents get`,
    );
  return changed;
}

function featurePath(flag: SwitchFlag): string {
  return `/v2/features/${encodeURIComponent(flag.key)}`;
}

function checkUsable(feature: Feature, flag: SwitchFlag, environment: string): void {
  const wrong = (what: string): GrowthBookError => new GrowthBookError('flag_invalid', `${flag.key} ${what}`);
  if (feature.valueType !== 'boolean')
    throw wrong(
      `is of type ${feature.valueType}, and a switch is a boolean; delete or rename it in the dashboard, and provision again`,
    );
  if (feature.archived) throw wrong('is archived, so that no agent sees it; unarchive it in the dashboard');
  if (feature.environments[environment]?.enabled !== true)
    throw wrong(`is off in ${environment}, which looks as if it were not there; turn the environment on in the dashboard`);
}

async function flipEverybody(api: Api, settings: ControlSettings, asked: Flipping, before: Feature): Promise<boolean> {
  const { flag, action } = asked;
  const wanted = String(action === 'engage' ? flag.engagedWhen : !flag.engagedWhen);
  let base = before;
  let changed = false;
  for (let attempt = 0; attempt < attempts; attempt++) {
    await pause(attempt);
    if (valueForEverybody(base, settings.environment) !== wanted || changed) {
      let written: Feature;
      try {
        written = memberOf<Feature>(await api.post(featurePath(flag), editOf(base, asked, settings.environment)), 'feature');
      } catch (error) {
        if (!(GrowthBookError.is(error) && error.code === 'conflict')) throw error;
        base = memberOf<Feature>(await api.get(featurePath(flag)), 'feature');
        continue;
      }
      changed = true;
      const overwritten = await publishedBetween(api, flag, base, written).catch((error: unknown) =>
        settings.warn(
          `${flag.key} was published; whether a colleague's edit at the same moment was kept cannot be told: ${String(error)}`,
        ),
      );
      if (overwritten) {
        base = { ...written, ...overwritten };
        continue;
      }
    }
    const now = memberOf<Feature>(await api.get(featurePath(flag)), 'feature');
    if (valueForEverybody(now, settings.environment) === wanted) return changed;
    if (action === 'release' && now.rules.some((rule) => rule.enabled !== false))
      throw new GrowthBookError(
        'flag_invalid',
        `another rule of ${flag.key} still engages it in ${settings.environment}; it was made by hand, so take it away in the dashboard`,
      );
    base = now;
  }
  throw new GrowthBookError('conflict', `${flag.key} was published ${attempts} times while it was being flipped; try again`);
}

/** Engage: our rule comes first, enabled. Release: it is disabled, and a default value that engages is set back. */
function editOf(base: Feature, { flag, action, words }: Flipping, environment: string): Record<string, unknown> {
  const ours = base.rules.find((rule) => isOnRule(rule, flag, environment));
  const others = base.rules.filter((rule) => !isOnRule(rule, flag, environment));
  const rule: Rule = {
    ...ours,
    type: 'force',
    value: String(flag.engagedWhen),
    description: writeWords(words),
    enabled: action === 'engage',
    allEnvironments: false,
    environments: [environment],
  };
  const isOnByDefault = base.defaultValue === String(flag.engagedWhen);
  return {
    rules: [rule, ...others],
    ...(action === 'release' && isOnByDefault ? { defaultValue: String(!flag.engagedWhen) } : {}),
  };
}

/** What somebody published between our read and our write, and our write undid. */
async function publishedBetween(
  api: Api,
  flag: SwitchFlag,
  read: Feature,
  written: Feature,
): Promise<Pick<Feature, 'rules' | 'defaultValue'> | undefined> {
  const from = read.revision?.version;
  const to = written.revision?.version;
  if (from === undefined || to === undefined || to - from <= 1) return undefined;
  const revisions = await api.list(`${featurePath(flag)}/revisions`, 'revisions');
  const between = (revisions as (Feature & { readonly version: number; readonly status: string })[])
    .filter(({ version, status }) => version > from && version < to && status === 'published')
    .sort((a, b) => b.version - a.version)[0];
  if (!between || JSON.stringify(between.rules) === JSON.stringify(read.rules)) return undefined;
  return { rules: between.rules, defaultValue: between.defaultValue ?? written.defaultValue };
}

async function flipTarget(api: Api, settings: ControlSettings, asked: Flipping, feature: Feature): Promise<boolean> {
  const { flag, target, action } = asked;
  if (!target) return false;
  const { environment } = settings;
  const rule = targetRuleOf(feature, flag, target.field, environment);
  const id = rule && groupOf(rule, target.field);
  if (!rule || id === undefined)
    throw new GrowthBookError(
      'flag_missing',
      `${flag.key} has no rule in ${environment} that asks for a saved group of ${target.field}; provision it`,
    );
  if (rule.enabled === false)
    throw new GrowthBookError(
      'flag_invalid',
      `the rule of ${flag.key} for ${target.field} is disabled; enable it in the dashboard`,
    );
  if (feature.defaultValue === String(flag.engagedWhen))
    throw new GrowthBookError(
      'flag_invalid',
      `${flag.key} is on for everybody by its default value; set it to ${!flag.engagedWhen} in the dashboard`,
    );
  if (action === 'engage' && isShadowed(feature, rule, environment))
    throw new GrowthBookError(
      'flag_invalid',
      `a rule of ${flag.key} before the one for ${target.field} gives everybody in ${environment} the other value, so that nobody would be stopped; take it away in the dashboard`,
    );
  const path = `/v1/saved-groups/${encodeURIComponent(id)}`;
  const drafts = `/v1/saved-groups-revisions/${encodeURIComponent(id)}`;
  for (let attempt = 0; attempt < attempts; attempt++) {
    await pause(attempt);
    const group = memberOf<Group>(await api.get(path), 'savedGroup');
    if ((group.values ?? []).includes(target.id) === (action === 'engage')) return attempt > 0;
    const verb = action === 'engage' ? 'add' : 'remove';
    const draft = await api.post(`${drafts}/new/items/${verb}`, { items: [target.id], revisionTitle: writeWords(asked.words) });
    const { version } = memberOf<{ readonly version: number }>(draft, 'revision');
    try {
      await api.post(`${drafts}/${version}/publish`, {});
    } catch (error) {
      if (!GrowthBookError.is(error)) throw error;
      if (error.code === 'approval_required')
        throw new GrowthBookError(
          'approval_required',
          `${error.message}. Revision ${version} of the saved group "${group.name}" holds the change: open it there, approve and publish it`,
          { cause: error },
        );
      // The draft is of no use any more; a failure to discard it must not hide what happened.
      await api
        .post(`${drafts}/${version}/discard`, {})
        .catch((late: unknown) =>
          settings.warn(`revision ${version} of the saved group "${group.name}" is left as a draft: ${String(late)}`),
        );
      if (error.code === 'conflict') continue;
      throw error;
    }
    const now = memberOf<Group>(await api.get(path), 'savedGroup');
    if ((now.values ?? []).includes(target.id) === (action === 'engage')) return true;
  }
  throw new GrowthBookError(
    'conflict',
    `the saved group of ${flag.key} was published ${attempts} times while it was being flipped; try again`,
  );
}
