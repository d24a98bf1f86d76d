// flip-named.ts: a user or instance switch: one strategy per stop, so that two operators at once cannot undo each other.
//
// Lists are not edited where that can be avoided: Unleash keeps one of two concurrent edits of a list, and answers 200 to both.

import type { Flip, Order, SwitchFlag } from '@offswitch/core';
import { UnleashSwitchError } from '../error.ts';
import { isOpenToAnybody, namedBy, shareOf } from '../shape.ts';
import {
  addStrategy,
  type FlagPlace,
  type Place,
  patchStrategy,
  readPlace,
  removeStrategy,
  type StoredStrategy,
  turn,
} from './flag-place.ts';
import type { Target } from './order.ts';
import { idleTitle, parametersOf, releasePatch, stopTitle } from './words.ts';

const attempts = 5;

/** Whether anything had to be written. */
export function flipNamed(place: Place, action: Flip['action'], order: Order, target: Target): Promise<boolean> {
  return action === 'engage' ? engage(place, order, target) : release(place, order, target);
}

const names = (one: StoredStrategy, { field, id }: Target): boolean => {
  const named = one.disabled === true || shareOf(one) !== 'all' ? undefined : namedBy(one);
  return named?.field === field && named.ids.includes(id);
};
const isNamed = (now: FlagPlace, target: Target): boolean => now.strategies.some((one) => names(one, target));

async function engage(place: Place, { flag, reason, by }: Order, target: Target): Promise<boolean> {
  const before = await readPlace(place, flag.key);
  refuseOpen(flag, before);
  if (before.enabled && isNamed(before, target)) return false;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const now = await readPlace(place, flag.key);
    if (!isNamed(now, target))
      await addStrategy(place, flag.key, {
        title: stopTitle('Stop', reason, by),
        rollout: '100',
        parameters: parametersOf(reason, by),
        constraints: [{ contextName: target.field, operator: 'IN', values: [target.id] }],
      });
    // Only with a strategy in place: Unleash adds one for everybody to an environment that it turns on without.
    if (!now.enabled) await turn(place, flag.key, 'on');
    const after = await readPlace(place, flag.key);
    refuseOpen(flag, after);
    if (after.enabled && isNamed(after, target)) return true;
  }
  throw new UnleashSwitchError(
    'conflict',
    `${target.field} ${JSON.stringify(target.id)} does not stay in ${JSON.stringify(flag.key)} on ${place.base}: somebody else is changing the flag; look at it and try again`,
  );
}

async function release(place: Place, { flag, reason, by }: Order, target: Target): Promise<boolean> {
  let isChanged = false;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const now = await readPlace(place, flag.key);
    refuseOpen(flag, now);
    const found = now.strategies.filter((one) => names(one, target));
    if (found.length === 0) {
      const odd = now.strategies.find((one) => one.disabled !== true && shareOf(one) !== 'nobody' && !namedBy(one));
      if (!odd) return isChanged;
      throw new UnleashSwitchError(
        'not_confirmed',
        `${JSON.stringify(flag.key)} holds a strategy made by hand${odd.title ? ` (${odd.title})` : ''} that may still name ${JSON.stringify(target.id)}; look at it in the dashboard`,
      );
    }
    isChanged = true;
    // With its last strategy an environment is turned off, and an environment that is off is no release.
    if (now.strategies.every((one) => one.disabled === true || found.includes(one)))
      await addStrategy(place, flag.key, { title: idleTitle, rollout: '0' });
    for (const one of found) await take(place, flag, one, target, reason, by);
  }
  const left = await readPlace(place, flag.key);
  if (!isNamed(left, target)) return true;
  throw new UnleashSwitchError(
    'conflict',
    `${JSON.stringify(target.id)} is in ${JSON.stringify(flag.key)} again: somebody stops it while it is released; look at the flag and try again`,
  );
}

async function take(
  place: Place,
  flag: SwitchFlag,
  one: StoredStrategy,
  { id }: Target,
  reason: string,
  by: string,
): Promise<void> {
  const values = one.constraints?.[0]?.values ?? [];
  const rest = values.filter((value) => value.trim() !== id);
  if (rest.length === 0) {
    await patchStrategy(place, flag.key, one.id, releasePatch(reason, by));
    await removeStrategy(place, flag.key, one.id);
    return;
  }
  // A list made by hand. The test makes a lost edit less likely, and reading back finds the one that was lost all the same.
  await patchStrategy(place, flag.key, one.id, [
    { op: 'test', path: '/constraints/0/values', value: values },
    { op: 'replace', path: '/constraints/0/values', value: rest },
  ]);
}

function refuseOpen(flag: SwitchFlag, { enabled, strategies }: FlagPlace): void {
  const active = strategies.filter((one) => one.disabled !== true);
  if (active.length === 0 || !isOpenToAnybody(active)) return;
  const state = enabled ? 'is on for everybody' : 'would be on for everybody once its environment is turned on';
  throw new UnleashSwitchError(
    'flag_invalid',
    `${JSON.stringify(flag.key)} ${state}, which is no order anybody can mean; take the strategy without constraints out, or set it to 0 %`,
  );
}
