// flip-wide.ts: a global or workflow switch: one strategy per stop says who and why, and the environment says whether.

import type { Flip, Order } from '@offswitch/core';
import { UnleashSwitchError } from '../error.ts';
import { isOnForAll, isOnForNobody } from '../shape.ts';
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
import { isOurStop, parametersOf, releasePatch, stopTitle } from './words.ts';

/** How often a flip starts over because somebody else moved the flag meanwhile. */
const attempts = 5;

/** Whether anything had to be written. */
export function flipWide(place: Place, action: Flip['action'], order: Order): Promise<boolean> {
  if (!order.flag.engagedWhen) return flipRunning(place, action, order);
  return action === 'engage' ? engage(place, order) : release(place, order);
}

const isOn = ({ enabled, strategies }: FlagPlace): boolean => enabled && isOnForAll(strategies);
const isOff = ({ enabled, strategies }: FlagPlace): boolean => !enabled || isOnForNobody(strategies);

async function engage(place: Place, { flag, reason, by }: Order): Promise<boolean> {
  if (isOn(await readPlace(place, flag.key))) return false;
  let own: StoredStrategy | undefined;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const now = await readPlace(place, flag.key);
    if (!now.strategies.some((one) => one.id === own?.id))
      own = await addStrategy(place, flag.key, {
        title: stopTitle('Stop', reason, by),
        rollout: '100',
        parameters: parametersOf(reason, by),
      });
    await turn(place, flag.key, 'on');
    if (isOn(await readPlace(place, flag.key))) return true;
  }
  throw contested(place, flag.key, 'engaged');
}

async function release(place: Place, { flag, reason, by }: Order): Promise<boolean> {
  const before = await readPlace(place, flag.key);
  const stops = before.strategies.filter(isOurStop);
  if (isOff(before) && stops.length === 0) return false;
  // First the words, then the deed: what comes after in the history is known by what stands before it.
  for (const one of stops) await patchStrategy(place, flag.key, one.id, releasePatch(reason, by));
  const seen = new Set(before.strategies.map((one) => one.id));
  await turn(place, flag.key, 'off');
  for (const one of stops) await removeStrategy(place, flag.key, one.id);
  const after = await readPlace(place, flag.key);
  if (isOff(after)) return true;
  // Somebody stopped it again while it was released. A stop wins: theirs stays.
  const again = after.strategies.find((one) => !seen.has(one.id));
  throw new UnleashSwitchError(
    'conflict',
    `${JSON.stringify(flag.key)} was released and is engaged again${again?.title ? ` (${again.title})` : ''}: somebody stopped it at the same moment; if that is meant to end too, release once more`,
  );
}

/** With `engagedWhen: false` on means running: the strategy stays, and only the environment moves. */
async function flipRunning(place: Place, action: Flip['action'], { flag, reason, by }: Order): Promise<boolean> {
  const isDone = (now: FlagPlace): boolean => (action === 'engage' ? isOff(now) : isOn(now));
  if (isDone(await readPlace(place, flag.key))) return false;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const now = await readPlace(place, flag.key);
    const [one] = now.strategies.filter((each) => each.disabled !== true && isOnForAll([each]));
    if (one) {
      const words = Object.entries(parametersOf(reason, by)).map(([name, value]) => ({
        op: 'add',
        path: `/parameters/${name}`,
        value,
      }));
      const title = { op: 'replace', path: '/title', value: stopTitle('Stop', reason, by) };
      await patchStrategy(place, flag.key, one.id, action === 'engage' ? [title, ...words] : releasePatch(reason, by));
    } else if (action === 'release') {
      await addStrategy(place, flag.key, { title: stopTitle('Released', reason, by), rollout: '100' });
    }
    await turn(place, flag.key, action === 'engage' ? 'off' : 'on');
    if (isDone(await readPlace(place, flag.key))) return true;
    if (action === 'release') break;
  }
  throw contested(place, flag.key, action === 'engage' ? 'engaged' : 'released');
}

function contested({ base }: Place, key: string, wanted: string): UnleashSwitchError {
  return new UnleashSwitchError(
    'conflict',
    `${JSON.stringify(key)} does not stay ${wanted} on ${base}: somebody else is changing it; look at the flag and try again`,
  );
}
