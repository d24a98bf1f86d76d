// receipt-shape.ts: is what was read a part of a receipt? Disks and hands spoil what is stored, and what is only nearly a part would
// break whoever joins it with others: it is told of as damage, by name, and the rest is read (S10).

import { tiers } from '@offswitch/core';
import type { AuditHead } from './audit/entry.ts';
import type { ReceiptGrant } from './grants/receipt-grant.ts';
import type { ReceiptCall, ReceiptPart, ReceiptSession } from './receipt.ts';

type Fields<T> = Partial<Record<keyof T, unknown>>;

export function isReceiptPart(value: unknown): value is ReceiptPart {
  if (!isRecord<ReceiptPart>(value)) return false;
  const {
    id,
    stop,
    stages,
    sessions,
    grants,
    residue,
    process,
    others,
    missing,
    at,
    released,
    formerly = [],
    audit = [],
  } = value;
  return (
    areTexts([id, process]) &&
    isNumber(at) &&
    isMaybe(released, isNumber) &&
    isStop(stop) &&
    isRecord(stages) &&
    Object.values(stages).every(isNumber) &&
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
const isNumber = (value: unknown): boolean => typeof value === 'number';
const isMaybe = (value: unknown, isOne: (item: unknown) => boolean): boolean => value === undefined || isOne(value);
const areTexts = (values: readonly unknown[]): boolean => values.every(isText);

function isListOf(value: unknown, isOne: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isOne);
}

function isStop(value: unknown): boolean {
  if (!isRecord<ReceiptPart['stop']>(value)) return false;
  const { id, tier, action, cause, subject, reason, by, since } = value;
  return (
    areTexts([id, action, cause, reason]) &&
    isMaybe(by, isText) &&
    tiers.some((one) => one === tier) &&
    isRecord(subject) &&
    areTexts(Object.values(subject)) &&
    isNumber(since)
  );
}

function isSession(value: unknown): boolean {
  if (!isRecord<ReceiptSession>(value)) return false;
  const { session, path, process, agent, workflow, user, state, why, checkpointTurn, calls, forensics } = value;
  return (
    areTexts([session, agent, workflow, state]) &&
    [process, user, why].every((one) => isMaybe(one, isText)) &&
    isNumber(checkpointTurn) &&
    isListOf(path, isText) &&
    isListOf(calls, isCall) &&
    isMaybe(forensics, isBundle)
  );
}

/** Under one of two names: its digest, or why there is none. */
function isBundle(value: unknown): boolean {
  return isRecord<Record<'digest' | 'missing', string>>(value) && isText('digest' in value ? value.digest : value.missing);
}

function isCall(value: unknown): boolean {
  if (!isRecord<ReceiptCall>(value)) return false;
  const { id, kind, name, outcome, idempotencyKey } = value;
  return areTexts([id, kind, name, outcome]) && isMaybe(idempotencyKey, isText);
}

function isGrant(value: unknown): boolean {
  if (!isRecord<ReceiptGrant>(value)) return false;
  const { id, session, broker, state, at, residualMs, evidence } = value;
  return areTexts([id, session, broker, state]) && isNumber(at) && isMaybe(residualMs, isNumber) && isMaybe(evidence, isText);
}

function isHead(value: unknown): boolean {
  if (!isRecord<AuditHead>(value)) return false;
  const { process, n, hash } = value;
  return areTexts([process, hash]) && isNumber(n);
}
