// spec-flags.ts: the specification's two flag files as a switch source that resolves them.
//
// It understands exactly the rules those files hold, and throws for any other, so that a new rule is noticed and not ignored.

import type { Resolution, SwitchSource } from '@offswitch/core';
import { type MemorySource, memorySource } from '@offswitch/testing';
import { switches, withParts } from '../world.ts';

type Context = Readonly<Record<string, unknown>>;

interface SpecFlag {
  readonly variants: Readonly<Record<string, unknown>>;
  readonly defaultVariant?: string | null;
  readonly flagMetadata?: Resolution['flagMetadata'] | null;
  /** Of test-flags.json. */
  readonly disabled?: boolean;
  /** Of test-flags.json: a CEL expression that gives a variant, '' for none. */
  readonly contextEvaluator?: string;
  /** Of canonical-flags.json, in the flagd format. */
  readonly state?: 'ENABLED' | 'DISABLED';
  readonly targeting?: unknown;
}

export type SpecFlags = Readonly<Record<string, SpecFlag>>;

export interface SpecSource {
  readonly source: SwitchSource;
  /** The source without its flags: what can be lost and recovered. */
  readonly memory: MemorySource;
  /** Contexts that reached the vendor, oldest first. */
  readonly contexts: Context[];
  /** Makes another variant of a flag its default, and tells so. */
  modify(key: string): void;
}

export function specSource(flags: SpecFlags, parts: Partial<SwitchSource> = {}): SpecSource {
  const memory = memorySource(switches);
  const contexts: Context[] = [];
  const modified = new Map<string, string>();
  const tellers = new Set<(key: string) => void>();
  const source = withParts(memory, {
    resolve(key, _, context) {
      contexts.push(context);
      if (memory.health.state === 'starting') return { errorCode: 'PROVIDER_NOT_READY', errorMessage: 'no data yet' };
      if (!Object.hasOwn(flags, key)) return { errorCode: 'FLAG_NOT_FOUND', errorMessage: `flag ${key} not found` };
      return resolved(flags[key]!, modified.get(key), context);
    },
    subscribe(listener) {
      const tell = (key: string): void => listener({ flagsChanged: [key] });
      tellers.add(tell);
      const unsubscribe = memory.subscribe(listener);
      return () => {
        tellers.delete(tell);
        unsubscribe();
      };
    },
    ...parts,
  });
  return {
    source,
    memory,
    contexts,
    modify(key) {
      const flag = flags[key];
      const other = Object.keys(flag?.variants ?? {}).find((variant) => variant !== flag?.defaultVariant);
      if (other === undefined) throw new Error(`${key} has no other variant`);
      modified.set(key, other);
      for (const tell of tellers) tell(key);
    },
  };
}

function resolved(flag: SpecFlag, modifiedTo: string | undefined, context: Context): Resolution {
  if (flag.disabled === true || flag.state === 'DISABLED') return { reason: 'DISABLED' };
  const hasRule = flag.contextEvaluator !== undefined || flag.targeting !== undefined;
  const targeted =
    flag.contextEvaluator !== undefined ? byCel(flag.contextEvaluator, context) : byJsonLogic(flag.targeting, context);
  const variant = targeted ?? modifiedTo ?? flag.defaultVariant ?? undefined;
  if (variant === undefined) return { reason: 'DEFAULT' };
  return {
    value: flag.variants[variant],
    variant,
    reason: targeted !== undefined ? 'TARGETING_MATCH' : hasRule ? 'DEFAULT' : 'STATIC',
    ...(flag.flagMetadata ? { flagMetadata: flag.flagMetadata } : {}),
  };
}

/** `a && b ? 'variant' : ''` with conditions `!name`, `name == 'text'` and `name > number`. */
function byCel(expression: string, context: Context): string | undefined {
  const parts = /^(.+) \? '([^']+)' : ''$/.exec(expression);
  if (!parts?.[1] || !parts[2]) throw new Error(`no translation of the expression ${expression}`);
  const holds = parts[1].split(' && ').every((condition) => {
    const [, not, name, operator, text, number] = /^(!)?(\w+)(?: (==|>) (?:'([^']*)'|(\d+)))?$/.exec(condition) ?? [];
    if (name === undefined) throw new Error(`no translation of the condition ${condition}`);
    const value = context[name];
    if (not) return !value;
    if (operator === '==') return value === text;
    if (operator === '>') return typeof value === 'number' && value > Number(number);
    return Boolean(value);
  });
  return holds ? parts[2] : undefined;
}

/** `{ if: [{ '==': [{ var: name }, value] }, variant, null] }`. */
function byJsonLogic(rule: unknown, context: Context): string | undefined {
  if (rule === undefined) return undefined;
  const [condition, variant, otherwise] = (rule as { if?: unknown[] }).if ?? [];
  const [left, right] = (condition as { '=='?: unknown[] } | undefined)?.['=='] ?? [];
  const name = (left as { var?: unknown } | undefined)?.var;
  if (typeof name !== 'string' || typeof variant !== 'string' || otherwise !== null)
    throw new Error(`no translation of the rule ${JSON.stringify(rule)}`);
  return context[name] === right ? variant : undefined;
}
