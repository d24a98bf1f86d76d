// command.ts: what every command is given, and how it answers people and machines.

import { checkId, type Stop, type Tier, tiers } from '@offswitch/core';
import type { StoredStop } from '@offswitch/runtime';
import { formatStopKey, isConversationKey, parseStopKey } from '@offswitch/runtime';
import { CommandError, type ExitCode, exit } from './failure.ts';
import type { Io } from './io.ts';
import type { Place } from './place.ts';
import { clean } from './print.ts';

export interface Command {
  readonly io: Io;
  readonly place: Place;
  readonly isJson: boolean;
  /** For people; silent under `--json`. The text is ours: what strangers wrote goes through `clean` first. */
  say(text: string): void;
}

/** What a command ended with; printed as JSON under `--json`. */
export interface Done {
  readonly exitCode: ExitCode;
  readonly json: Readonly<Record<string, unknown>>;
}

export function commandOf(io: Io, place: Place, isJson: boolean): Command {
  return { io, place, isJson, say: (line) => (isJson ? undefined : io.out(`${line}\n`)) };
}

export function done(json: Readonly<Record<string, unknown>>, exitCode: ExitCode = exit.ok): Done {
  return { exitCode, json };
}

export interface Who {
  readonly reason: string;
  readonly by: string;
}

/** The reason is required: it is what everybody who meets the stop is shown. */
export function whoOf(io: Io, options: { readonly reason?: string; readonly by?: string }): Who {
  const reason = options.reason?.trim() ?? '';
  if (reason === '')
    throw new CommandError('reason_missing', 'say why: --reason "..." is required and must not be empty', exit.usage);
  if (reason.length > 2000) throw new CommandError('reason_too_long', 'the reason is longer than 2000 characters', exit.usage);
  const by = (options.by ?? io.user).trim();
  if (by === '' || by.length > 256)
    throw new CommandError('by_missing', 'say who asks with --by <name>, up to 256 characters', exit.usage);
  return { reason, by };
}

export function tierOf(name: string): Tier {
  const tier = tiers.find((one) => one === name);
  if (!tier)
    throw new CommandError(
      'unknown_tier',
      `${JSON.stringify(clean(name.slice(0, 64)))} is no tier; one of ${tiers.join(', ')}`,
      exit.usage,
    );
  return tier;
}

const fieldOf = { feature: 'workflow', user: 'userId', instance: 'sessionId' } as const;

/** The subject a tier needs, checked; `undefined` for global. */
export function subjectOf(tier: Tier, subject: string | undefined): string | undefined {
  if (tier === 'global') {
    if (subject !== undefined) throw new CommandError('subject_extra', 'global takes no subject: it is everybody', exit.usage);
    return undefined;
  }
  const what =
    tier === 'feature'
      ? 'a workflow'
      : tier === 'user'
        ? 'a user id'
        : 'a session id (or, with --conversation, a conversation id)';
  if (subject === undefined) throw new CommandError('subject_missing', `${tier} needs ${what}`, exit.usage);
  return checkId(fieldOf[tier], subject);
}

/** A stored stop as people see it: its name says what it stops, its contents who and why. */
export function stopOf(stored: StoredStop): Stop | undefined {
  const key = parseStopKey(stored.key);
  if (!key) return undefined;
  const named = stored.engaged?.subject ?? (key.subject === '-' ? '' : key.subject);
  return {
    id: formatStopKey(key),
    cause: key.kind === 'switch' ? 'switch' : key.cause,
    tier: key.tier,
    action: key.kind === 'act' ? key.action : key.tier === 'instance' ? 'terminate' : 'pause',
    subject:
      key.tier === 'global' ? {} : isConversationKey(key.subject) ? { conversationId: named } : { [fieldOf[key.tier]]: named },
    reason: stored.engaged?.reason ?? 'the reason was not written down (or its file is unreadable)',
    ...(stored.engaged?.by === undefined ? {} : { by: stored.engaged.by }),
    since: stored.engaged?.at ?? 0,
    ...(key.kind === 'act' && key.breaker ? { breaker: key.breaker } : {}),
  };
}
