// lint-rule.ts: what can be wrong inside a targeting rule and would otherwise only show as a switch that never fires.
//
// flagd's own strict validation knows operators and their shapes. It does not know which variant names exist, that `in` on a
// string looks for a substring, or which variables a switch is read with.

import type { Node } from 'jsonc-parser';
import { members } from './document.ts';
import type { LintCode } from './finding.ts';

/** Operators of flagd's targeting schema (flagd.dev/schema/v0/targeting.json): JsonLogic's and flagd's four. */
const operators = new Set(
  (
    'var missing missing_some if == === != !== > >= < <= ! !! or and % / map reduce filter all none some ' +
    'merge in cat substr + - * max min fractional starts_with ends_with sem_ver $ref'
  ).split(' '),
);
const answersBoolean = new Set('== === != !== > >= < <= ! !! in all none some starts_with ends_with sem_ver missing'.split(' '));
const scoping = new Set('map reduce filter all none some'.split(' '));
const flagdVariables = new Set(['$flagd.flagKey', '$flagd.timestamp']);

export interface RuleContext {
  readonly variants: ReadonlySet<string>;
  readonly evaluators: ReadonlyMap<string, Node>;
  /** The variables a switch is read with; absent for a flag that is none, whose context nobody here knows. */
  readonly variables?: ReadonlySet<string>;
  /** A switch that must name its targets: a share of everybody is nobody's order (S11). */
  readonly isTargeted?: boolean;
  report(code: LintCode, node: Node, message: string, isWarning?: boolean): void;
}

/** `asResult`: what the rule answers here is the name of a variant. */
export function lintRule(
  node: Node,
  asResult: boolean,
  context: RuleContext,
  inScope = false,
  references: readonly string[] = [],
): void {
  const value = (one: Node): void => lintRule(one, false, context, inScope, references);
  const result = (one: Node): void => lintRule(one, asResult, context, inScope, references);
  if (node.type === 'array') {
    for (const item of node.children ?? []) value(item);
    return;
  }
  if (node.type !== 'object') {
    if (asResult && node.type !== 'null' && !context.variants.has(String(node.value))) {
      context.report(
        'missing-variant',
        node,
        `the rule answers ${show(String(node.value))}, which is no variant of this flag; ${listed(context.variants)}`,
      );
    }
    return;
  }
  const operations = members(node);
  const [operation] = operations;
  if (!operation) return;
  if (operations.length > 1) {
    context.report('bad-rule', operations[1]!.keyNode, 'a rule has exactly one operator; wrap the two in "and" or "or"');
    return;
  }
  const { key: operator, value: argument } = operation;
  if (!operators.has(operator)) {
    context.report(
      'unknown-operator',
      operation.keyNode,
      `${show(operator)} is no operator of flagd; the rule would never match`,
    );
    return;
  }
  const args = argument.type === 'array' ? (argument.children ?? []) : [argument];
  if (operator === '$ref') {
    const name = String(argument.value);
    const target = context.evaluators.get(name);
    if (!target) context.report('unknown-reference', argument, `"$evaluators" has no ${show(name)}`);
    else if (!references.includes(name)) lintRule(target, asResult, context, inScope, [...references, name]);
    else context.report('unknown-reference', argument, `${show(name)} refers to itself`);
    return;
  }
  if (operator === 'var') {
    const [name] = args;
    const path = name?.type === 'string' ? String(name.value) : undefined;
    if (path !== undefined && !inScope && context.variables && !context.variables.has(path) && !flagdVariables.has(path)) {
      context.report(
        'unknown-variable',
        name!,
        `this switch is not read with ${show(path)}, so the rule would never match; there is ${[...context.variables].join(', ')}`,
      );
    }
    for (const one of args.slice(1)) value(one);
    return;
  }
  if (operator === 'if') {
    args.forEach((one, i) => {
      if (i % 2 === 0 && i < args.length - 1) value(one);
      else result(one);
    });
    return;
  }
  if (operator === 'fractional') {
    if (context.isTargeted)
      context.report(
        'untargeted',
        operation.keyNode,
        '"fractional" would stop a share of everybody, and this switch must name whom it stops; list the ids',
      );
    for (const bucket of args) {
      const [variant, ...rest] = bucket.type === 'array' ? (bucket.children ?? []) : [];
      if (variant) result(variant);
      else value(bucket);
      for (const one of rest) value(one);
    }
    return;
  }
  if (operator === 'in') lintIn(args, context);
  if (asResult && answersBoolean.has(operator) && !(context.variants.has('true') && context.variants.has('false'))) {
    context.report(
      'missing-variant',
      operation.keyNode,
      `${show(operator)} answers true or false, which are no variants of this flag; write {"if": [ ..., "<variant>", null]}; ${listed(context.variants)}`,
    );
  }
  for (const [i, one] of args.entries()) lintRule(one, false, context, inScope || (scoping.has(operator) && i > 0), references);
}

function lintIn(args: readonly Node[], context: RuleContext): void {
  const [needle, haystack] = args;
  if (!needle || !haystack) {
    context.report(
      'bad-rule',
      needle ?? haystack ?? args[0] ?? emptyNode,
      '"in" takes two arguments: what to look for, and a list',
    );
    return;
  }
  if (haystack.type === 'string') {
    context.report(
      'substring-in',
      haystack,
      `"in" on a string looks for a substring: "1" and "" match too; write a list: [${JSON.stringify(haystack.value)}]`,
    );
  } else if (haystack.type === 'object' && needle.type === 'string' && context.variables) {
    context.report('substring-in', haystack, '"in" on a variable looks for a substring; use "==" for an exact id', true);
  } else if (haystack.type === 'array' && context.variables) {
    const odd = (haystack.children ?? []).find((item) => item.type !== 'string' && item.type !== 'object');
    if (odd) context.report('non-string-id', odd, `ids are strings: ${show(String(odd.value))} without quotes matches nobody`);
  }
}

const emptyNode: Node = { type: 'null', offset: 0, length: 0 };
const show = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
const listed = (names: ReadonlySet<string>): string => `there is ${[...names].map(show).join(', ') || 'none'}`;
