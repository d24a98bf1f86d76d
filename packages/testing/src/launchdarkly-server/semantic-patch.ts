// semantic-patch.ts: LaunchDarkly's semantic patch instructions, those that switches need. An unknown one is refused, as it is there.

import { randomUUID } from 'node:crypto';
import { type LdFlag, type LdRule, type LdSegment, withTargets } from './model.ts';

/** Why the API refused, with the status it answers. */
export class PatchRefused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

type Instruction = Readonly<Record<string, unknown>> & { readonly kind: string };

export function applyToFlag(flag: LdFlag, instructions: readonly Instruction[]): LdFlag {
  return instructions.reduce(flagInstruction, flag);
}

function flagInstruction(flag: LdFlag, one: Instruction): LdFlag {
  const configured = (config: Partial<LdFlag['config']>): LdFlag => ({ ...flag, config: { ...flag.config, ...config } });
  switch (one.kind) {
    case 'turnFlagOn':
      return configured({ on: true });
    case 'turnFlagOff':
      return configured({ on: false });
    case 'addTargets':
    case 'removeTargets':
    case 'replaceTargets': {
      const variation = variationOf(flag, one.variationId);
      const kind = typeof one.contextKind === 'string' ? one.contextKind : 'user';
      const values = strings(one.values);
      const elsewhere = [...flag.config.targets, ...flag.config.contextTargets].find(
        (list) => list.contextKind === kind && list.variation !== variation && list.values.some((id) => values.includes(id)),
      );
      if (elsewhere && one.kind !== 'removeTargets')
        throw new PatchRefused(400, 'invalid_request', 'a context key cannot be targeted in two variations');
      const change = (before: readonly string[]): readonly string[] =>
        one.kind === 'replaceTargets'
          ? values
          : one.kind === 'addTargets'
            ? [...new Set([...before, ...values])]
            : without(before, values);
      return configured(withTargets(flag.config, kind, variation, change));
    }
    case 'clearTargets': {
      const variation = variationOf(flag, one.variationId);
      const kept = (lists: LdFlag['config']['targets']): LdFlag['config']['targets'] =>
        lists.filter((list) => list.variation !== variation);
      return configured({ targets: kept(flag.config.targets), contextTargets: kept(flag.config.contextTargets) });
    }
    case 'updateFallthroughVariationOrRollout':
      return configured({ fallthrough: { variation: variationOf(flag, one.variationId) } });
    case 'updateOffVariation':
      return configured({ offVariation: variationOf(flag, one.variationId) });
    case 'addRule': {
      const clauses = Array.isArray(one.clauses) ? (one.clauses as LdRule['clauses']) : [];
      const rule: LdRule = { _id: randomUUID(), clauses, variation: variationOf(flag, one.variationId) };
      return configured({ rules: [...flag.config.rules, rule] });
    }
    case 'makeFlagPermanent':
      return { ...flag, temporary: false };
    case 'addTags':
      return { ...flag, tags: [...new Set([...flag.tags, ...strings(one.values)])] };
    case 'archiveFlag':
      return { ...flag, archived: true };
    case 'restoreFlag':
      return { ...flag, archived: false };
    default:
      throw new PatchRefused(400, 'invalid_request', `unknown instruction ${JSON.stringify(one.kind)}`);
  }
}

export function applyToSegment(segment: LdSegment, instructions: readonly Instruction[]): LdSegment {
  return instructions.reduce(segmentInstruction, segment);
}

function segmentInstruction(segment: LdSegment, one: Instruction): LdSegment {
  switch (one.kind) {
    case 'addIncludedTargets':
    case 'removeIncludedTargets': {
      const kind = typeof one.contextKind === 'string' ? one.contextKind : 'user';
      const values = strings(one.values);
      const change = (list: readonly string[]): readonly string[] =>
        one.kind === 'addIncludedTargets' ? [...new Set([...list, ...values])] : without(list, values);
      if (kind === 'user') return { ...segment, included: change(segment.included) };
      const has = segment.includedContexts.some((list) => list.contextKind === kind);
      const lists = has ? segment.includedContexts : [...segment.includedContexts, { contextKind: kind, values: [] }];
      return {
        ...segment,
        includedContexts: lists.map((list) => (list.contextKind === kind ? { ...list, values: change(list.values) } : list)),
      };
    }
    default:
      throw new PatchRefused(400, 'invalid_request', `unknown instruction ${JSON.stringify(one.kind)}`);
  }
}

function variationOf(flag: LdFlag, id: unknown): number {
  const index = flag.variations.findIndex((one) => one._id === id);
  if (index < 0) throw new PatchRefused(400, 'invalid_request', `no variation ${JSON.stringify(id)}`);
  return index;
}

function without(from: readonly string[], gone: readonly string[]): readonly string[] {
  const set = new Set(gone);
  return from.filter((one) => !set.has(one));
}

function strings(values: unknown): readonly string[] {
  return Array.isArray(values) ? values.filter((one): one is string => typeof one === 'string') : [];
}
