// words.ts: who flipped what and why, as the comment that LaunchDarkly keeps with a change and shows in its history.
//
// Written to be read by people there, and strict enough to be read back by `history`.

import type { Flip } from '@offswitch/core';

const shape =
  /^\[offswitch\] (engage|release)(?: (user|session|conversation) ("(?:[^"\\]|\\.)*"))? by ("(?:[^"\\]|\\.)*"): ([\s\S]*)$/;

export interface FlipComment {
  readonly action: Flip['action'];
  readonly target?: { readonly kind: string; readonly id: string };
  readonly by: string;
  readonly reason: string;
}

export function commentOf({ action, target, by, reason }: FlipComment): string {
  const whom = target ? ` ${target.kind} ${JSON.stringify(target.id)}` : '';
  return `[offswitch] ${action}${whom} by ${JSON.stringify(by)}: ${reason}`;
}

/** Undefined: a change somebody made by other means. */
export function readComment(comment: unknown): FlipComment | undefined {
  const [, action, kind, id, by, reason] = (typeof comment === 'string' && shape.exec(comment)) || [];
  if (action === undefined || by === undefined || reason === undefined) return undefined;
  try {
    return {
      action: action as Flip['action'],
      ...(kind !== undefined && id !== undefined ? { target: { kind, id: JSON.parse(id) as string } } : {}),
      by: JSON.parse(by) as string,
      reason,
    };
  } catch {
    // Written by hand: quoted, and not as JSON quotes.
    return undefined;
  }
}
