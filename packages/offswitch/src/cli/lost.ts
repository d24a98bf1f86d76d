// lost.ts: stops in force that the flag file no longer shows: it was restored from a backup, or checked out anew.
//
// The file has one revision for all its switches. Raising it for one flip would make every switch the file shows as released
// read as released at a newer revision, and lift stops that nobody asked to release (I13). So what was lost is written back in
// the same write as the flip, and told; whoever means to release it does so by name.

import { type Flip, isEngaged, type SwitchFlag } from '@offswitch/core';
import { type FlagFileControl, flagFile } from '@offswitch/flag-file';
import { isConversationKey, parseStopKey, seriesKey, subjectKey } from '@offswitch/runtime';
import type { Command, Who } from './command.ts';
import { type FlipPlan, order, targetKey } from './flip.ts';
import { clean, paint } from './print.ts';

/** Asked for beside a conversation: a session that is nobody's. */
const nobody = 'offswitch-nobody';

interface Lost {
  readonly flag: SwitchFlag;
  readonly target: string | undefined;
  readonly targetKind?: 'conversation';
  readonly reason: string;
  readonly by: string;
}

/** Makes the flip, and engages again, in the same write, what is in force and not shown in the file. */
export async function flipKeeping(
  command: Command,
  plan: FlipPlan,
  control: FlagFileControl,
  action: Flip['action'],
  who: Who,
): Promise<Flip> {
  const asked = { action, order: order(plan, who) };
  const lost = await findLost(command, plan);
  const [flip, ...kept] = await control.flipAll([
    asked,
    ...lost.map(({ flag, target, targetKind, reason, by }) => ({
      action: 'engage' as const,
      order: { flag, ...(target === undefined ? {} : { target }), ...(targetKind ? { targetKind } : {}), reason, by },
    })),
  ]);
  for (const one of kept) {
    if (!one.changed) continue;
    const subject = one.target === undefined ? '' : ` for ${clean(one.target)}`;
    command.say(
      paint(
        command.io,
        'yellow',
        `  ! ${one.key}${subject} is in force, but the flag file had lost it (restored, or checked out anew?): written back. To lift it, release it by name`,
      ),
    );
  }
  return flip!;
}

async function findLost(command: Command, plan: FlipPlan): Promise<readonly Lost[]> {
  const { location, series } = plan.declared.source;
  if (location === undefined) return [];
  const stored = (await command.place.stops()).filter((one) => isEngaged(one.marks));
  const source = flagFile(location, series === undefined ? {} : { series });
  try {
    await source.open();
    const lost: Lost[] = [];
    for (const stop of stored) {
      const key = parseStopKey(stop.key);
      // A session's terminate is never lifted, by no revision; a conversation's is.
      if (key?.kind !== 'switch') continue;
      const isConversation = isConversationKey(key.subject);
      if (key.tier === 'instance' && !isConversation) continue;
      const id = stop.engaged?.subject ?? (key.subject === '-' || key.subject.startsWith('~') ? undefined : key.subject);
      const { switches } = plan.declared;
      const flag =
        key.tier === 'feature'
          ? switches.flags.find((one) => one.workflow !== undefined && subjectKey(one.workflow) === key.subject)
          : switches[key.tier];
      const isThisFlip = key.tier === plan.target.tier && (key.tier === 'global' || targetKey(plan.target) === key.subject);
      const isTargeted = key.tier === 'user' || isConversation;
      if (!flag || isThisFlip || (isTargeted && id === undefined)) continue;
      const subject =
        key.tier === 'user'
          ? { userId: id! }
          : key.tier === 'feature'
            ? { workflow: flag.workflow! }
            : isConversation
              ? { sessionId: nobody, conversationId: id! }
              : {};
      const reading = source.read(flag, subject);
      if (reading instanceof Promise || reading.state !== 'released' || reading.origin !== 'live') continue;
      // A release above the stop's n counts already; below it, only this flip would make it count.
      if (seriesKey(reading.position.series) !== key.series || (reading.position.n ?? 0) > stop.marks.engaged) continue;
      lost.push({
        flag,
        target: isTargeted ? id : undefined,
        ...(isConversation ? { targetKind: 'conversation' } : {}),
        reason: stop.engaged?.reason ?? 'in force before the flag file was replaced',
        by: stop.engaged?.by ?? 'offswitch',
      });
    }
    return lost;
  } finally {
    await source.close();
  }
}
