// words.ts: why a switch is engaged and who engaged it, kept in the flag's own metadata so that any editor shows it.
//
// flagd metadata is flat, so the words of many targets are one JSON string. A target is filed under its kind and id, for
// a session and a conversation may share an id.

import type { Json, JsonObject } from './document.ts';
import { isObject } from './document.ts';

/** Metadata keys of one flag. Pins: people read them, other tools may. */
export const wordKeys = {
  reason: 'offswitch.reason',
  by: 'offswitch.by',
  /** ISO 8601, UTC. */
  at: 'offswitch.at',
  /** JSON object from `kind:id` to { reason, by, at }. */
  targets: 'offswitch.targets',
} as const;

export interface Words {
  readonly reason?: string;
  readonly by?: string;
}

export type TargetField = 'userId' | 'sessionId' | 'conversationId';

export function targetName(field: TargetField, id: string): string {
  return `${field}:${id}`;
}

/** The words of one target, else of the whole flag: what a person wrote there by hand counts for every target. */
export function wordsOf(metadata: JsonObject, targets: readonly string[]): Words {
  const perTarget = targetWords(metadata);
  const found = targets.map((name) => perTarget.get(name)).find((words) => words !== undefined);
  return pickWords(
    isObject(found) ? found : metadata,
    isObject(found) ? 'reason' : wordKeys.reason,
    isObject(found) ? 'by' : wordKeys.by,
  );
}

function pickWords(from: JsonObject, reasonKey: string, byKey: string): Words {
  const reason = Object.hasOwn(from, reasonKey) ? from[reasonKey] : undefined;
  const by = Object.hasOwn(from, byKey) ? from[byKey] : undefined;
  return { ...(typeof reason === 'string' ? { reason } : {}), ...(typeof by === 'string' ? { by } : {}) };
}

/** Per-target words as they stand; damaged ones are as good as none, for words never decide anything. */
export function targetWords(metadata: JsonObject): Map<string, Json> {
  const text = Object.hasOwn(metadata, wordKeys.targets) ? metadata[wordKeys.targets] : undefined;
  if (typeof text !== 'string') return new Map();
  try {
    const parsed: unknown = JSON.parse(text);
    return new Map(isObject(parsed) ? Object.entries(parsed) : []);
  } catch {
    return new Map();
  }
}
