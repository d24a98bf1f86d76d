// flip-through.ts: the flip goes out through its control.

import type { Flip } from '@offswitch/core';
import type { Command, Who } from './command.ts';
import type { Wired } from './control-of.ts';
import { failureOf } from './failure.ts';
import { type FlipPlan, order } from './flip.ts';
import { flipKeeping } from './lost.ts';

/**
 * Makes the flip; what comes back was read back. One revision counts for a whole flag file, so there the flip takes with it what
 * the file has lost (lost.ts); at a vendor each switch has a history of its own, and nothing else is touched.
 */
export async function flipThrough(
  command: Command,
  plan: FlipPlan,
  wired: Wired,
  action: Flip['action'],
  who: Who,
): Promise<Flip> {
  const { target, flag, declared } = plan;
  const fact = {
    type: 'flip',
    action,
    switch: flag.key,
    tier: target.tier,
    ...(target.subject === undefined ? {} : { subject: target.subject }),
    source: declared.source.kind,
    ...who,
  } as const;
  try {
    const flip = await through(command, plan, wired, action, who);
    command.place.note({ ...fact, outcome: 'done', ...(flip.position === undefined ? {} : { position: flip.position }) });
    return flip;
  } catch (error) {
    // The code alone: a vendor's words may hold anything.
    command.place.note({ ...fact, outcome: 'failed', why: failureOf(error).code });
    throw error;
  }
}

function through(command: Command, plan: FlipPlan, { control, file }: Wired, action: Flip['action'], who: Who): Promise<Flip> {
  if (file) return flipKeeping(command, plan, file, action, who);
  return action === 'engage' ? control.engage(order(plan, who)) : control.release(order(plan, who));
}
