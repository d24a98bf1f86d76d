// lint.ts: every fault of a flag file that would be silent otherwise, with its place and the way out.
//
// flagd accepts a flag whose "targeting" is misspelt and simply never targets. For a kill switch that is the worst fault
// there is, so what is a warning in somebody else's flag is an error in a switch.

import type { KillSwitches, SwitchFlag, Tier } from '@offswitch/core';
import type { Node } from 'jsonc-parser';
import { type FlagDocument, isObject, type Member, member, members, parseDocument } from './document.ts';
import type { LintCode, LintFinding } from './finding.ts';
import { lintRule } from './lint-rule.ts';
import { type SwitchState, switchState } from './switch-state.ts';

const rootMembers = new Set(['$schema', 'flags', 'metadata', '$evaluators']);
const flagMembers = new Set(['state', 'variants', 'defaultVariant', 'targeting', 'metadata', 'description']);
/** Keys with this prefix are taken for switches where nobody says which flags are. The default keys of core have it. */
const switchPrefix = 'killswitch.';

/** What is known of a switch when its flag is judged: its polarity and tier, where it was declared. */
export type SwitchFacts = Pick<SwitchFlag, 'engagedWhen' | 'tier'> | 'undeclared';

/**
 * Every finding of a flag file, in the order of the text. With `switches`, a declared switch that is missing is a finding
 * too; without, keys that start with `killswitch.` are judged as switches.
 */
export function lintFlagFile(text: string, switches?: KillSwitches): readonly LintFinding[] {
  const parsed = parseDocument(text);
  if (!parsed.ok) return [parsed.finding];
  const { document } = parsed;
  const declared = new Map(switches?.flags.map((flag) => [flag.key, flag] as const));
  const findings = lintRoot(document);
  for (const key of new Set(members(document.flagsNode).map((one) => one.key))) {
    const flag = declared.get(key);
    const own = lintFlag(document, key, flag ?? (looksLikeSwitch(key) ? 'undeclared' : undefined));
    findings.push(...own);
    // Not in `lintFlag`: such a switch can be read, and is read as untargeted (S11), not as broken.
    if (flag && !own.some((one) => one.severity === 'error')) findings.push(...lintTarget(document, flag));
  }
  for (const flag of declared.values()) {
    if (!Object.hasOwn(document.flags, flag.key)) findings.push(missingSwitch(document, flag.key));
  }
  return findings.sort((a, b) => a.line - b.line || a.column - b.column);
}

function lintTarget(document: FlagDocument, flag: SwitchFlag): LintFinding[] {
  const message = untargeted(switchState(document, flag));
  const node = member(document.flagsNode, flag.key);
  if (message === undefined || !node) return [];
  const at = document.at((member(node, 'defaultVariant') ?? node).offset);
  return [{ code: 'untargeted', severity: 'error', message, ...at, flag: flag.key }];
}

/** What is wrong with a user or session switch that is on for everybody, and the way out; `undefined` where nothing is. */
export function untargeted({ flag, isDefaultEngaged, releasedVariant }: SwitchState): string | undefined {
  if (!isDefaultEngaged || (flag.tier !== 'user' && flag.tier !== 'instance')) return undefined;
  return `${JSON.stringify(flag.key)} is on for everybody, so it stops nobody (untargeted); set "defaultVariant" to "${releasedVariant}" and list ids`;
}

export function looksLikeSwitch(key: string): boolean {
  return key.startsWith(switchPrefix);
}

function missingSwitch(document: FlagDocument, key: string): LintFinding {
  return {
    code: 'missing-switch',
    severity: 'error',
    message: `there is no flag ${JSON.stringify(key)}, so this switch stops nobody; provision it`,
    ...document.at(document.flagsNode.offset),
    flag: key,
  };
}

function lintRoot(document: FlagDocument): LintFinding[] {
  const findings: LintFinding[] = [];
  for (const { key, keyNode } of members(document.rootNode)) {
    if (rootMembers.has(key)) continue;
    findings.push({
      code: 'unknown-member',
      severity: 'warning',
      message: `${JSON.stringify(key)} means nothing to flagd here${nearest(key, rootMembers)}`,
      ...document.at(keyNode.offset),
    });
  }
  const metadata = member(document.rootNode, 'metadata');
  if (metadata) findings.push(...lintMetadata(document, metadata));
  if (members(document.flagsNode).length === 0) {
    findings.push({
      code: 'empty-flags',
      severity: 'error',
      message: '"flags" is empty, so every switch is missing; provision the file',
      ...document.at(document.flagsNode.offset),
    });
  }
  return findings;
}

function lintMetadata(document: FlagDocument, node: Node): LintFinding[] {
  const odd =
    node.type === 'object' ? members(node).find(({ value }) => !['string', 'number', 'boolean'].includes(value.type)) : undefined;
  if (node.type === 'object' && !odd) return [];
  const message = odd
    ? `metadata ${JSON.stringify(odd.key)} must be a string, number or boolean`
    : '"metadata" must be an object';
  return [{ code: 'bad-metadata', severity: 'warning', message, ...document.at((odd?.value ?? node).offset) }];
}

/** The variables a tier's switch is evaluated with (core `subjectFor`, and our targeting key). */
function variablesOf(facts: SwitchFacts): ReadonlySet<string> {
  const byTier: Record<Tier, readonly string[]> = {
    global: [],
    feature: ['workflow'],
    user: ['userId'],
    instance: ['sessionId', 'conversationId', 'workflow', 'userId'],
  };
  return new Set([...byTier[facts === 'undeclared' ? 'instance' : facts.tier], 'targetingKey']);
}

/** The findings of one flag. `facts` undefined: somebody else's flag. The flag must be in the document. */
export function lintFlag(document: FlagDocument, key: string, facts: SwitchFacts | undefined): LintFinding[] {
  const findings: LintFinding[] = [];
  const report = (code: LintCode, node: Node, message: string, isWarning = false): void => {
    findings.push({ code, severity: isWarning ? 'warning' : 'error', message, ...document.at(node.offset), flag: key });
  };
  const occurrences = members(document.flagsNode).filter((one) => one.key === key);
  for (const again of occurrences.slice(1))
    report(
      'duplicate-key',
      again.keyNode,
      `the flag ${JSON.stringify(key)} is there twice, and only the last counts; delete one`,
    );
  const own = occurrences.at(-1);
  if (!own) return [missingSwitch(document, key)];
  if (own.value.type !== 'object') {
    report('bad-flag', own.value, 'a flag must be an object with "state", "variants" and "defaultVariant"');
    return findings;
  }
  const parts = new Map<string, Member>();
  for (const part of members(own.value)) {
    if (parts.has(part.key))
      report('duplicate-key', part.keyNode, `${JSON.stringify(part.key)} is there twice, and only the last counts`);
    parts.set(part.key, part);
    if (!flagMembers.has(part.key)) {
      const near = nearest(part.key, flagMembers);
      report('unknown-member', part.keyNode, `${JSON.stringify(part.key)} means nothing to flagd${near}`, !facts && near === '');
    }
  }
  const state = parts.get('state');
  if (state?.value.value !== 'ENABLED' && state?.value.value !== 'DISABLED') {
    report('bad-state', state?.value ?? own.keyNode, '"state" must be "ENABLED" or "DISABLED"');
  } else if (state.value.value === 'DISABLED' && facts) {
    report(
      'disabled',
      state.value,
      'the flag is DISABLED, so this switch has no value and stops nobody; set "state" to "ENABLED"',
    );
  }
  const variants = lintVariants(parts.get('variants'), own, facts, report);
  const defaultVariant = parts.get('defaultVariant');
  if (defaultVariant === undefined || defaultVariant.value.type === 'null') {
    if (facts)
      report(
        'missing-default',
        defaultVariant?.value ?? own.keyNode,
        '"defaultVariant" must name what holds when nobody is targeted',
      );
  } else if (defaultVariant.value.type !== 'string' || !variants.has(String(defaultVariant.value.value))) {
    const name = JSON.stringify(defaultVariant.value.value ?? defaultVariant.value.type);
    report('missing-variant', defaultVariant.value, `"defaultVariant" names ${name}, which is no variant of this flag`);
  }
  const targeting = parts.get('targeting');
  if (targeting && targeting.value.type !== 'object') {
    report('bad-rule', targeting.value, '"targeting" must be a rule: an object with one operator, or {}');
  } else if (targeting) {
    lintRule(targeting.value, true, {
      variants: new Set(variants.keys()),
      evaluators: evaluatorNodes(document),
      ...(facts ? { variables: variablesOf(facts) } : {}),
      isTargeted: facts !== undefined && facts !== 'undeclared' && (facts.tier === 'user' || facts.tier === 'instance'),
      // The substring trap may be meant in somebody else's flag; never in a switch.
      report: (code, node, message, isWarning) => report(code, node, message, isWarning || (!facts && code === 'substring-in')),
    });
  }
  const metadata = parts.get('metadata');
  if (metadata) findings.push(...lintMetadata(document, metadata.value).map((one) => ({ ...one, flag: key })));
  return findings;
}

function evaluatorNodes(document: FlagDocument): ReadonlyMap<string, Node> {
  const node = member(document.rootNode, '$evaluators');
  return new Map(node ? members(node).map((one) => [one.key, one.value] as const) : []);
}

type Report = (code: LintCode, node: Node, message: string, isWarning?: boolean) => void;

function lintVariants(
  part: Member | undefined,
  own: Member,
  facts: SwitchFacts | undefined,
  report: Report,
): ReadonlyMap<string, Node> {
  const variants = new Map<string, Node>();
  if (part?.value.type !== 'object' || members(part.value).length === 0) {
    report('missing-variants', part?.value ?? own.keyNode, '"variants" must be an object with at least one variant');
    return variants;
  }
  for (const one of members(part.value)) {
    if (variants.has(one.key)) report('duplicate-key', one.keyNode, `the variant ${JSON.stringify(one.key)} is there twice`);
    variants.set(one.key, one.value);
  }
  const [firstName, first] = [...variants][0]!;
  const kind = (node: Node): string => (node.type === 'array' ? 'object' : node.type);
  for (const [name, node] of variants) {
    if (node.type === 'null' || kind(node) !== kind(first)) {
      report(
        'mixed-types',
        node,
        `the variant ${JSON.stringify(name)} is ${kind(node)} and ${JSON.stringify(firstName)} is ${kind(first)}; all must be of one type`,
      );
    }
  }
  if (!facts) return variants;
  const odd = [...variants].find(([, node]) => node.type !== 'boolean');
  if (odd) {
    report(
      'wrong-type',
      odd[1],
      `a switch is boolean, and the variant ${JSON.stringify(odd[0])} is ${odd[1].type}; use true and false without quotes`,
    );
    return variants;
  }
  const values = new Set([...variants.values()].map((node) => node.value === true));
  if (values.size < 2) {
    const only = values.has(true) ? 'true' : 'false';
    report(
      'one-sided',
      part.keyNode,
      `every variant is ${only}, so this switch can only ever say one thing; add a variant that is ${only === 'true' ? 'false' : 'true'}`,
    );
  }
  if (facts !== 'undeclared') lintPolarity(variants, facts.engagedWhen, report);
  return variants;
}

/** Variant names that leave no doubt about what a person means by them. */
const saysEngaged = new Set(['engaged', 'killed', 'stopped', 'paused', 'terminated']);
const saysReleased = new Set(['released', 'running', 'run']);

function lintPolarity(variants: ReadonlyMap<string, Node>, engagedWhen: boolean, report: Report): void {
  for (const [name, node] of variants) {
    const isEngaged = node.value === engagedWhen;
    if (saysEngaged.has(name) ? isEngaged : !saysReleased.has(name) || !isEngaged) continue;
    report(
      'inverted-polarity',
      node,
      `the variant ${JSON.stringify(name)} is ${node.value}, and the switch is declared with engagedWhen: ${engagedWhen}; turn one of them round`,
    );
  }
}

function nearest(word: string, known: ReadonlySet<string>): string {
  const near = [...known].find((one) => isNear(word.toLowerCase(), one.toLowerCase()));
  return near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`;
}

/** At most two edits apart. */
function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 2) return false;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length]! <= 2;
}

/** True when a value of the document is an object with that state; used where DISABLED has a meaning of its own. */
export function isDisabled(document: FlagDocument, key: string): boolean {
  const flag = Object.hasOwn(document.flags, key) ? document.flags[key] : undefined;
  return isObject(flag) && flag.state === 'DISABLED';
}
