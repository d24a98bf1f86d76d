// payload.ts: from what GrowthBook stores to the payload an SDK connection of one environment gets.
//
// As the vendor does it: a feature that is archived or whose environment is off is left out altogether; a disabled rule or one
// for other environments is left out; saved groups are inlined as $in unless the connection asks for references.

import { createCipheriv, randomBytes } from 'node:crypto';
import type { Stored, StoredFeature, StoredRule } from './stored.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type FeatureDefinition = { [key: string]: Json };

export function featuresOf(stored: Stored, environment: string): Record<string, FeatureDefinition> {
  const features: [string, FeatureDefinition][] = [];
  for (const feature of stored.features.values()) {
    if (feature.archived || feature.environments[environment]?.enabled !== true) continue;
    features.push([feature.id, definitionOf(stored, feature, environment)]);
  }
  return Object.fromEntries(features);
}

function definitionOf(stored: Stored, feature: StoredFeature, environment: string): FeatureDefinition {
  const gates = feature.prerequisites.map((id): Json => ({ parentConditions: [{ id, condition: { value: true }, gate: true }] }));
  const rules = feature.rules
    .filter(
      (rule) => rule.enabled !== false && (rule.allEnvironments === true || (rule.environments ?? []).includes(environment)),
    )
    .map((rule): Json => ruleOf(stored, feature, rule));
  return {
    defaultValue: jsonOf(feature, feature.defaultValue),
    ...(gates.length + rules.length === 0 ? {} : { rules: [...gates, ...rules] }),
  };
}

function ruleOf(stored: Stored, feature: StoredFeature, rule: StoredRule): Json {
  const conditions: Json[] = [];
  if (rule.condition !== undefined && rule.condition !== '' && rule.condition !== '{}')
    conditions.push(inlined(stored, JSON.parse(rule.condition) as Json));
  for (const { matchType, savedGroups } of rule.savedGroupTargeting ?? []) {
    // A group the vendor does not have is left out of the targeting, and with the last one the targeting itself.
    const known = savedGroups.flatMap((id) => stored.groups.get(id) ?? []);
    if (known.length === 0) continue;
    const each = known.map((group): Json => ({ [group.attributeKey]: { $in: [...group.values] } }));
    conditions.push(...(matchType === 'all' ? each : [{ [matchType === 'any' ? '$or' : '$nor']: each }]));
  }
  const parents = (rule.prerequisites ?? []).map((one): Json => ({ id: one.id, condition: JSON.parse(one.condition) as Json }));
  return {
    ...(parents.length === 0 ? {} : { parentConditions: parents }),
    ...(conditions.length === 0 ? {} : { condition: conditions.length === 1 ? conditions[0]! : { $and: conditions } }),
    force: jsonOf(feature, rule.value),
  };
}

/** `$inGroup` becomes `$in` with the group's values; a group nobody has is an empty list. */
function inlined(stored: Stored, condition: Json): Json {
  if (Array.isArray(condition)) return condition.map((one) => inlined(stored, one));
  if (typeof condition !== 'object' || condition === null) return condition;
  return Object.fromEntries(
    Object.entries(condition).map(([key, value]) => {
      if (key === '$inGroup' || key === '$notInGroup')
        return [key === '$inGroup' ? '$in' : '$nin', [...(stored.groups.get(String(value))?.values ?? [])]];
      return [key, inlined(stored, value)];
    }),
  );
}

function jsonOf(feature: StoredFeature, text: string): Json {
  switch (feature.valueType) {
    case 'boolean':
      return text === 'true';
    case 'string':
      return text;
    case 'number':
      return Number(text);
    case 'json':
      return JSON.parse(text) as Json;
  }
}

/** AES-CBC with a random initialisation vector, `<iv>.<ciphertext>` in base64: what the SDKs decrypt. `key`: base64. */
export function encrypt(text: string, key: string): string {
  const bytes = Buffer.from(key, 'base64');
  const iv = randomBytes(16);
  const cipher = createCipheriv(`aes-${bytes.length * 8}-cbc`, bytes, iv);
  return `${iv.toString('base64')}.${Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]).toString('base64')}`;
}
