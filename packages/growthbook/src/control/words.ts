// words.ts: why a switch was flipped and by whom, in words that stand in GrowthBook's own dashboard and can be read back.
//
// They are the description of our rule, and the title of a saved group's revision. They decide nothing.

import type { Flip } from '@offswitch/core';

export interface Words {
  readonly action: Flip['action'];
  readonly reason: string;
  readonly by: string;
}

const pattern = /^offswitch (engage|release): ([\s\S]*) \(by ([\s\S]*)\)$/;

export function writeWords({ action, reason, by }: Words): string {
  return `offswitch ${action}: ${reason} (by ${by})`;
}

export function readWords(text: string | undefined): Words | undefined {
  const found = pattern.exec(text ?? '');
  return found ? { action: found[1] as Flip['action'], reason: found[2]!, by: found[3]! } : undefined;
}
