// provision.ts: creates the flags of declared switches that Unleash does not have. It never edits a flag it did not create.

import type { KillSwitches, Plan, PlanStep, SwitchFlag } from '@offswitch/core';
import { UnleashSwitchError } from '../error.ts';
import { addStrategy, featuresPath, type Place, turn } from './flag-place.ts';
import { inspectFlag, tags } from './inspect.ts';
import { idleTitle } from './words.ts';

export async function provisionFlags(place: Place, switches: KillSwitches, apply: boolean): Promise<Plan> {
  const steps: PlanStep[] = [];
  for (const flag of switches.flags) {
    const step = await planFor(place, flag);
    steps.push(apply && step.change === 'create' ? await create(place, flag, step) : step);
  }
  return { steps, applied: apply };
}

async function planFor(place: Place, flag: SwitchFlag): Promise<PlanStep> {
  const { key } = flag;
  const isScoped = flag.tier === 'user' || flag.tier === 'instance';
  if (isScoped && !flag.engagedWhen)
    return {
      key,
      change: 'refuse',
      detail: 'declared with engagedWhen: false; Unleash names people by turning a flag on for them, so declare it with true',
    };
  const { findings } = await inspectFlag(place, flag, undefined);
  const wrong = findings.find((one) => one.severity === 'error');
  if (wrong?.code === 'missing') {
    const state = isScoped
      ? `on in ${place.environment} with a strategy that matches nobody, until somebody is named`
      : `${flag.engagedWhen ? 'off' : 'on for everybody'} in ${place.environment}, which means running`;
    return { key, change: 'create', detail: `kill-switch flag, ${state}. ${flag.effect}` };
  }
  return wrong
    ? { key, change: 'refuse', detail: wrong.message }
    : { key, change: 'keep', detail: 'it is there and can be read' };
}

async function create(place: Place, flag: SwitchFlag, step: PlanStep): Promise<PlanStep> {
  const { api } = place;
  const answer = await api.request('POST', featuresPath(place), {
    name: flag.key,
    type: 'kill-switch',
    description: flag.effect,
    impressionData: false,
  });
  if (answer.status === 409)
    return { key: flag.key, change: 'keep', detail: 'somebody else made it at the same moment; inspect it' };
  if (answer.status >= 300)
    throw new UnleashSwitchError(
      'flag_invalid',
      `${place.base} refuses to create ${JSON.stringify(flag.key)}: ${answer.message}`,
    );
  for (const value of flag.engagedWhen ? [tags.ours] : [tags.ours, tags.inverted])
    await api.request('POST', `/api/admin/features/${encodeURIComponent(flag.key)}/tags`, { type: 'simple', value });
  // In this order: an environment that is turned on without a strategy gets one for everybody.
  if (flag.tier === 'user' || flag.tier === 'instance') {
    await addStrategy(place, flag.key, { title: idleTitle, rollout: '0' });
    await turn(place, flag.key, 'on');
  } else if (!flag.engagedWhen) {
    await addStrategy(place, flag.key, { title: 'Offswitch: running; turn the environment off to stop', rollout: '100' });
    await turn(place, flag.key, 'on');
  }
  return step;
}
