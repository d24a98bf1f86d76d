// receipt-shape.ts: is what was read a part of a receipt? Disks and hands spoil what is stored, and what is only nearly a part would
// break whoever joins it with others: it is told of as damage, by name, and the rest is read (S10).

import { tiers } from '@offswitch/core';
import type { AuditHead } from './audit/entry.ts';
import type { ReceiptGrant } from './grants/receipt-grant.ts';
import type { ReceiptCall, ReceiptPart, ReceiptSession } from './receipt.ts';

type Fields<T> = Partial<Record<keyof T, unknown>>;

export function isReceiptPart(value: unknown): value is ReceiptPart {
  if (!isRecord<ReceiptPart>(value)) return false;
  const { id, stop, stages, sessions, grants, residue, process, others, missing, at, formerly = [], audit = [] } = value;
  return (
    areTexts([id, process]) &&
    typeof at === 'number' &&
    isStop(stop) &&
    isRecord(stages) &&
    Object.values(stages).every((time) => typeof time === 'number') &&
    isListOf(sessions, isSession) &&
    isListOf(grants, isGrant) &&
    isListOf(audit, isHead) &&
    [residue, others, formerly].every((one) => isListOf(one, isText)) &&
    isRecord(missing) &&
    Object.values(missing).every((one) => isListOf(one, isText))
  );
}

function isRecord<T>(value: unknown): value is Fields<T> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isText = (value: unknown): boolean => typeof value === 'string';
const areTexts = (values: readonly unknown[]): boolean => values.every(isText);

function isListOf(value: unknown, isOne: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isOne);
}

function isStop(value: unknown): boolean {
  if (!isRecord<ReceiptPart['stop']>(value)) return false;
  const { id, tier, action, subject, reason, since } = value;
  return areTexts([id, action, reason]) && tiers.some((one) => one === tier) && isRecord(subject) && typeof since === 'number';
}

function isSession(value: unknown): boolean {
  if (!isRecord<ReceiptSession>(value)) return false;
  const { session, path, agent, workflow, state, calls, forensics = {} } = value;
  return areTexts([session, agent, workflow, state]) && isListOf(path, isText) && isListOf(calls, isCall) && isRecord(forensics);
}

function isCall(value: unknown): boolean {
  if (!isRecord<ReceiptCall>(value)) return false;
  const { id, kind, name, outcome } = value;
  return areTexts([id, kind, name, outcome]);
}

function isGrant(value: unknown): boolean {
  if (!isRecord<ReceiptGrant>(value)) return false;
  const { id, session, broker, state, at } = value;
  return areTexts([id, session, broker, state]) && typeof at === 'number';
}

function isHead(value: unknown): boolean {
  if (!isRecord<AuditHead>(value)) return false;
  const { process, n, hash } = value;
  return areTexts([process, hash]) && typeof n === 'number';
}
