// stop-entry.ts: one stop that this process knows: what is kept of it, what people are shown of it, and what it decides.

import { actionOf, type Decision, effectOf, type Marks, noticeOf, type Stop, type SwitchFlag } from '@offswitch/core';
import { isConversationKey, type StopKey } from './stop-key.ts';
import type { StopDetails } from './store.ts';

/** One stop and both its marks, engaged or not. */
export interface StopEntry {
  readonly name: string;
  readonly key: StopKey;
  marks: Marks;
  details: StopDetails | undefined;
  releasedDetails: StopDetails | undefined;
  /** The `position.watch` under which this process last read it engaged live. */
  watch: number | undefined;
  /** Highest marks known to be stored, so that a failed write is retried. */
  stored: Marks;
}

/** The stop as people see it. */
export function describeStop(entry: StopEntry): Stop {
  const { key, details } = entry;
  const named = details?.subject ?? (key.subject === '-' ? '' : key.subject);
  const cause = key.kind === 'switch' ? 'switch' : key.cause;
  return {
    id: entry.name,
    cause,
    tier: key.tier,
    action: key.kind === 'switch' ? actionOf(key.tier) : key.action,
    subject:
      key.tier === 'global'
        ? {}
        : key.tier === 'feature'
          ? { workflow: named }
          : key.tier === 'user'
            ? { userId: named }
            : isConversationKey(key.subject)
              ? { conversationId: named }
              : { sessionId: named },
    reason: details?.reason ?? 'the reason was not written down (or its file is unreadable)',
    ...(details?.by === undefined ? {} : { by: details.by }),
    since: details?.at ?? 0,
    ...(key.kind === 'act' && key.breaker ? { breaker: key.breaker } : {}),
  };
}

/** What it means for a session that it covers. `flags`: the switches by tier, features by `feature.<workflow>`, whose effect statements are shown. */
export function decisionOf(entry: StopEntry, flags: ReadonlyMap<string, SwitchFlag>): Decision {
  const stop = describeStop(entry);
  const flag = flags.get(stop.tier === 'feature' ? `feature.${stop.subject.workflow}` : stop.tier);
  const effect = stop.cause === 'switch' && flag ? flag.effect : actEffect(stop);
  return {
    action: stop.action,
    tier: stop.tier,
    cause: stop.cause,
    reason: stop.reason,
    effect,
    notice: noticeOf(stop.action),
    ...(stop.by === undefined ? {} : { by: stop.by }),
    stopId: stop.id,
    since: stop.since,
  };
}

function actEffect(stop: Stop): string {
  if (stop.action === 'terminate') return effectOf('instance');
  return stop.tier === 'instance'
    ? 'This session pauses before its next turn, with every sub-agent it started. It goes on when a person releases it.'
    : effectOf(stop.tier, stop.subject.workflow);
}
