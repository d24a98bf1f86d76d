// provision.ts: creates the flags of declared switches that a project does not have yet. It never edits a flag it did not create.

import type { KillSwitches, Plan, PlanStep, SwitchFlag } from '@offswitch/core';
import { LaunchDarklyError } from '../error.ts';
import type { Api } from './api.ts';
import { type RestFlag, type RestSegment, segmentOf, viewOf } from './rest-flag.ts';

/** On every flag and segment that was created here; approval settings can be tied to it. */
export const tag = 'offswitch';

export interface Place {
  readonly project: string;
  readonly environment: string;
  /** Key of the segment that lists the targets of the instance switch; undefined: individual targets. */
  readonly segment: string | undefined;
}

export async function provisionFlags(api: Api, place: Place, switches: KillSwitches, apply: boolean): Promise<Plan> {
  const steps: PlanStep[] = [];
  for (const flag of switches.flags) {
    const existing = await api.find<RestFlag>(`flags/${place.project}/${encodeURIComponent(flag.key)}?env=${place.environment}`);
    if (existing) {
      steps.push(await completed(api, place, flag, existing, apply));
      continue;
    }
    const isListed = flag.tier === 'instance' && place.segment !== undefined;
    const foreign = isListed ? await foreignSegment(api, place) : undefined;
    if (foreign !== undefined) {
      steps.push({ key: flag.key, change: 'refuse', detail: foreign });
      continue;
    }
    const where = isListed ? `, with the segment ${place.segment}` : '';
    const detail = `permanent boolean flag${where}, released; engaged when ${flag.engagedWhen}. ${flag.effect}`;
    if (apply) {
      await create(api, place, flag);
      if (isListed) await listThroughSegment(api, place, flag);
    }
    steps.push({ key: flag.key, change: 'create', detail });
  }
  return { steps, applied: apply };
}

/** A flag that is there is left alone, but for what we ourselves began and did not finish. */
async function completed(api: Api, place: Place, flag: SwitchFlag, existing: RestFlag, apply: boolean): Promise<PlanStep> {
  try {
    const view = viewOf(flag, existing, place.environment);
    const isOurs = existing.tags?.includes(tag) === true;
    const isUnfinished = isOurs && flag.tier === 'instance' && place.segment !== undefined && segmentOf(view) === undefined;
    if (!isUnfinished) return { key: flag.key, change: 'keep', detail: 'it is there and can be read; inspect says more' };
    const foreign = await foreignSegment(api, place);
    if (foreign !== undefined) return { key: flag.key, change: 'refuse', detail: foreign };
    if (apply) await listThroughSegment(api, place, flag);
    return {
      key: flag.key,
      change: 'create',
      detail: `the rule that reads the segment ${place.segment}; the flag itself is kept`,
    };
  } catch (error) {
    if (LaunchDarklyError.is(error) && error.code === 'flag_invalid')
      return { key: flag.key, change: 'refuse', detail: error.message };
    throw error;
  }
}

/** Why the segment cannot be used: everybody whom somebody else lists there would be terminated. Undefined: it can. */
async function foreignSegment(api: Api, { project, environment, segment }: Place): Promise<string | undefined> {
  if (segment === undefined) return undefined;
  const existing = await api.find<RestSegment>(`segments/${project}/${environment}/${encodeURIComponent(segment)}`);
  if (!existing || existing.tags?.includes(tag) === true) return undefined;
  const { included = [], includedContexts = [], rules = [], unbounded = false } = existing;
  const isEmpty = included.length === 0 && includedContexts.every((one) => one.values.length === 0) && rules.length === 0;
  if (isEmpty && !unbounded) return undefined;
  return `the segment ${segment} is there and was not made for this, so whoever it lists would be terminated; give another name as \`segment\`, or, if it is meant, tag it ${tag}`;
}

async function create(api: Api, { project }: Place, flag: SwitchFlag): Promise<void> {
  const isScoped = flag.tier === 'user' || flag.tier === 'instance';
  // The first variation is true, as in LaunchDarkly's own forms.
  const variations = [true, false].map((value) => ({
    value,
    name: value === flag.engagedWhen ? 'Engaged: stop' : 'Released: run',
  }));
  const indexOf = (value: boolean): number => (value ? 0 : 1);
  const engaged = indexOf(flag.engagedWhen);
  const released = indexOf(!flag.engagedWhen);
  await api.create(`flags/${project}`, {
    key: flag.key,
    name: `Kill switch: ${flag.workflow ?? flag.tier}`,
    description: flag.effect,
    variations,
    // A scoped switch is on and releases whoever is not named. The others are flipped by on and off: with `engagedWhen` true, on
    // is the stop; with false (LaunchDarkly's own kill-switch template), off is.
    defaults: isScoped
      ? { onVariation: released, offVariation: released }
      : { onVariation: 0, offVariation: flag.engagedWhen ? released : engaged },
    isFlagOn: isScoped || !flag.engagedWhen,
    temporary: false,
    // Whom it stops is nobody's business in a browser.
    clientSideAvailability: { usingEnvironmentId: false, usingMobileKey: false },
    tags: [tag],
  });
}

async function listThroughSegment(api: Api, { project, environment, segment }: Place, flag: SwitchFlag): Promise<void> {
  if (segment === undefined) return;
  const existing = await api.find<RestSegment>(`segments/${project}/${environment}/${encodeURIComponent(segment)}`);
  if (!existing) {
    await api.create(`segments/${project}/${environment}`, {
      key: segment,
      name: 'Terminated sessions',
      description: `Sessions and conversations listed here are terminated by the flag ${flag.key}.`,
      tags: [tag],
    });
  }
  const path = `flags/${project}/${encodeURIComponent(flag.key)}`;
  const created = await api.find<RestFlag>(path);
  if (!created) throw new LaunchDarklyError('not_confirmed', `${flag.key} was created and is not there`);
  await api.patch(path, {
    environmentKey: environment,
    comment: '[offswitch] provision: the listed sessions are engaged',
    instructions: [
      {
        kind: 'addRule',
        variationId: viewOf(flag, created, environment).engaged.id,
        clauses: [{ attribute: 'segmentMatch', op: 'segmentMatch', values: [segment], negate: false }],
      },
    ],
  });
}
