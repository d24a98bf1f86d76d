// engage.ts: throws a switch.

import type { Flip, Stop, Tier } from '@offswitch/core';
import { type Command, type Done, done, type Who } from './command.ts';
import { confirm } from './confirm.ts';
import { sessionsOf } from './conversation.ts';
import { latchFlip, latchPending, latchUnmoved, unlatchPending } from './express.ts';
import { exit } from './failure.ts';
import { type FlipTarget, isStopOf, planFlip, showFlip, stopWithoutSource, targetKey, tellFlip, wordsOf } from './flip.ts';
import { flipThrough } from './flip-through.ts';
import { followStop, tellFollowed, tellRunning } from './follow.ts';
import type { Place } from './place.ts';
import { countWithinMs, previewParams, reachOf, showReach } from './preview.ts';
import { clean, paint } from './print.ts';
import { askAll, previewIn } from './wire.ts';

export async function engage(command: Command, target: FlipTarget, who: Who, isYes: boolean): Promise<Done> {
  const { place } = command;
  // Both at once: a process that hangs is waited for once.
  const [plan, reach] = await Promise.all([planFlip(command, target), reachOf(command, target)]);
  showFlip(command, 'engage', plan);
  showReach(command, reach, 'stops', target);
  await confirm(command.io, question(target), isYes);

  const sessions = new Set(target.isConversation ? await conversationSessions(command, target) : []);
  let flip: Flip | undefined;
  let act: string | undefined;
  let pending: readonly string[] = [];
  let told: Promise<unknown> | undefined;
  try {
    if (!plan.wired) throw plan.refusal;
    if (!plan.wired.file) {
      pending = await latchPending(command, plan, who, sessions);
      if (pending.length > 0) command.say(`  ✓ written to ${clean(place.folder)}; ${plan.wired.title} is being asked`);
      // The vendor is asked meanwhile.
      told = tellRunning(place, 'reread', reach);
    }
    flip = await flipThrough(command, plan, plan.wired, 'engage', who);
    tellFlip(command, plan.wired, flip);
    if (plan.wired.file) await latchFlip(command, target, flip, sessions);
    else if (!flip.changed) await latchUnmoved(command, plan, who, sessions, pending);
  } catch (error) {
    act = await stopWithoutSource(command, plan, who, error);
    // A control that is not there would tell nobody; the folder's own watch would, a little later.
    await tellRunning(place, 'reread', reach);
    await unlatchPending(command, plan, pending, act);
  }
  await told;
  await tellRunning(place, 'refresh', reach);
  const isTargeted = target.tier === 'user' || target.tier === 'instance';
  const livesIn = async (place: Place, process: string): Promise<boolean> => {
    const answers = await askAll(place, 'preview', previewParams(target), previewIn, process);
    return answers.answered.length === 0 || answers.answered.some((one) => one.value.sessions > 0);
  };
  const isIt = act === undefined ? isStopOf(target, sessions) : (stop: Stop): boolean => stop.id === act;
  const followed = await followStop(command, isIt, isTargeted ? livesIn : undefined, reach);
  tellFollowed(command, followed);
  return done(
    {
      ...(flip ? { flip } : {}),
      ...(act === undefined ? {} : { stop: act, latchedBy: 'folder' }),
      preview: reach.preview,
      ...(reach.namesake === undefined ? {} : { namesake: reach.namesake }),
      confirmed: followed.isFenced && followed.processes > 0,
      processes: followed.processes,
      stages: followed.stages,
      receipts: followed.receiptIds,
      silent: followed.silent,
      ...(reach.damage === undefined ? {} : { problems: [reach.damage] }),
    },
    // An id that nobody has may be one to come; one that is somebody else's stops nobody who was meant.
    followed.isFenced && reach.namesake === undefined ? exit.ok : exit.unconfirmed,
  );
}

/** Names the outcome, so that a yes is a yes to that. */
function question(target: FlipTarget): string {
  const subject = clean(target.subject ?? '');
  const questions: Record<Tier, string> = {
    global: 'Stop all agents?',
    feature: `Stop every agent of the workflow ${subject}?`,
    user: `Stop every agent of user ${subject}?`,
    instance: target.isConversation
      ? `End every session of conversation ${subject} for good?`
      : `End session ${subject} for good?`,
  };
  return questions[target.tier];
}

async function conversationSessions(command: Command, target: FlipTarget): Promise<readonly string[]> {
  // The stop of the conversation does not wait for what cannot be told; its release does (S6).
  const { sessions, unknown } = await sessionsOf(command.place, targetKey(target), countWithinMs).catch((error) => ({
    sessions: [],
    unknown: [wordsOf(error)],
  }));
  for (const one of unknown)
    command.say(
      paint(
        command.io,
        'yellow',
        `  ! ${one}; what sessions it has is not known, and nothing is released before it is: look again`,
      ),
    );
  return sessions;
}
