// flip.ts: what engaging and releasing a switch have in common: who may, where it is written, and above which position.

import type { Flip, Inspection, Order, Stop, SwitchFlag, Tier } from '@offswitch/core';
import { subjectId } from '@offswitch/core';
import type { FlagFileControl } from '@offswitch/flag-file';
import { parseStopKey, type StoredStop, subjectKey } from '@offswitch/runtime';
import type { Command, Who } from './command.ts';
import { type Declared, flagFor, needDeclared } from './declared.ts';
import { CommandError } from './failure.ts';
import { clean, paint } from './print.ts';

export interface FlipTarget {
  readonly tier: Tier;
  readonly subject: string | undefined;
  readonly isConversation: boolean;
}

export interface FlipPlan {
  readonly target: FlipTarget;
  readonly flag: SwitchFlag;
  readonly control: FlagFileControl;
  readonly inspection: Inspection | undefined;
  readonly above: number | undefined;
  readonly declared: Declared;
}

export async function planFlip(command: Command, target: FlipTarget): Promise<FlipPlan> {
  const declared = await needDeclared(command.place);
  const flag = flagFor(declared.switches, target.tier, target.subject);
  const { kind, location, series } = declared.source;
  if (kind !== 'flag-file' || location === undefined) {
    throw new CommandError(
      'no_control',
      `the switches are read from ${clean(kind)}${location ? ` (${clean(location)})` : ''}, which this command cannot flip: flip ${flag.key} there. ` +
        'To stop one session without it: offswitch stop <session> --reason ...',
    );
  }
  const control = command.place.control(location, series);
  const inspection = (await control.inspect(declared.switches)).find((one) => one.key === flag.key);
  return { target, flag, control, inspection, above: await highestEngaged(command, target), declared };
}

/**
 * The position the flip must be above (S3): the highest at which this very stop was read engaged. Of this subject only: another
 * one's would lift the file's revision past stops that nobody asked to release.
 */
async function highestEngaged(command: Command, target: FlipTarget): Promise<number | undefined> {
  let stored: readonly StoredStop[];
  try {
    stored = await command.place.stops();
  } catch (error) {
    command.say(paint(command.io, 'yellow', `  warning     ${clean(error instanceof Error ? error.message : String(error))}`));
    return undefined;
  }
  const own = stored.filter((one) => {
    const key = parseStopKey(one.key);
    if (key?.kind !== 'switch' || key.tier !== target.tier) return false;
    return target.subject === undefined || target.isConversation || key.subject === subjectKey(target.subject);
  });
  // Another vendor's counter says nothing about the file's revision. A file's series is named so unless the application named it.
  const files = own.filter((one) => one.engaged?.series?.startsWith('file:') === true);
  const marks = (files.length > 0 ? files : own).map((one) => Math.max(one.marks.engaged, one.marks.released));
  return marks.length === 0 ? undefined : Math.max(0, ...marks);
}

/** Who may, what it does, and what is wrong with the switch. */
export function showFlip(command: Command, verb: string, plan: FlipPlan): void {
  const { io } = command;
  const { flag, control, inspection } = plan;
  command.say(
    `${paint(io, 'bold', `${verb} ${flag.key}`)}${plan.target.subject === undefined || flag.tier === 'feature' ? '' : ` for ${clean(plan.target.subject)}`}`,
  );
  command.say(`  effect      ${clean(flag.effect)}`);
  command.say(
    `  authorised  ${flag.authorized.map(clean).join(', ')}. A flag file enforces nobody: whoever can write it can flip it`,
  );
  command.say(`  written to  ${clean(control.location)}`);
  for (const one of inspection?.findings ?? []) {
    command.say(paint(io, one.severity === 'error' ? 'red' : 'yellow', `  ${one.severity.padEnd(10)}  ${clean(one.message)}`));
  }
}

/** The order goes out; what comes back was read back from the file. */
export function order(plan: FlipPlan, who: Who): Order {
  const { target, flag, above } = plan;
  const isTargeted = target.tier === 'user' || target.tier === 'instance';
  return {
    flag,
    ...(isTargeted && target.subject !== undefined
      ? { target: target.subject, targetKind: target.isConversation ? ('conversation' as const) : ('session' as const) }
      : {}),
    reason: who.reason,
    by: who.by,
    ...(above === undefined ? {} : { above }),
  };
}

export function tellFlip(command: Command, flip: Flip): void {
  const at = flip.position?.n === undefined ? '' : ` at revision ${flip.position.n}`;
  command.say(flip.changed ? `  ✓ written to the flag file and read back${at}` : `  the flag file said so already${at}`);
}

/** Whether a stop in force is the one of this flip. */
export function isStopOf(target: FlipTarget, sessions: ReadonlySet<string>): (stop: Stop) => boolean {
  return (stop) => {
    if (stop.cause !== 'switch' || stop.tier !== target.tier) return false;
    const id = subjectId(stop.tier, stop.subject);
    return target.tier === 'global' || (target.isConversation ? id !== undefined && sessions.has(id) : id === target.subject);
  };
}
