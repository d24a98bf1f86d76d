// switch-state.ts: what a flag file says of one switch, as far as a control needs to know it before it edits.

import type { SwitchFlag } from '@offswitch/core';
import { type FlagDocument, isObject, type Json, type JsonObject } from './document.ts';
import { type Rule, readRule } from './rule.ts';

export interface SwitchState {
  readonly flag: SwitchFlag;
  readonly definition: JsonObject;
  readonly engagedVariant: string;
  readonly releasedVariant: string;
  /** The default is engaged: for a scoped switch, the whole flag is on. */
  readonly isDefaultEngaged: boolean;
  readonly rule: Rule;
}

/** The flag must have been judged readable as this switch. */
export function switchState(document: FlagDocument, flag: SwitchFlag): SwitchState {
  const definition = document.flags[flag.key];
  const variants = isObject(definition) && isObject(definition.variants) ? definition.variants : undefined;
  if (!isObject(definition) || !variants) throw new TypeError(`${flag.key} was not judged before it was looked at`);
  const means = (name: Json | undefined): boolean | undefined => {
    const value = typeof name === 'string' && Object.hasOwn(variants, name) ? variants[name] : undefined;
    return typeof value === 'boolean' ? value === flag.engagedWhen : undefined;
  };
  const nameFor = (isEngaged: boolean, preferred: string): string =>
    means(preferred) === isEngaged ? preferred : (Object.keys(variants).find((name) => means(name) === isEngaged) ?? preferred);
  return {
    flag,
    definition,
    engagedVariant: nameFor(true, 'engaged'),
    releasedVariant: nameFor(false, 'released'),
    isDefaultEngaged: means(definition.defaultVariant) === true,
    rule: readRule(definition.targeting, flag, (name) => means(name) === true),
  };
}
